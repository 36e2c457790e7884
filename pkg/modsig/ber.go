package modsig

import (
	"crypto/x509"
	"fmt"
)

// Tags of X.690; the bit constructed says that the value holds elements.
const (
	tagInteger    = 0x02
	tagOctets     = 0x04
	tagOID        = 0x06
	tagSequence   = 0x30
	tagSet        = 0x31
	constructed   = 0x20
	contextTag    = 0x80 // [0]
	longTag       = 0x1f
	indefinite    = 0x80
	maxMessage    = 65535 // lib/asn1_decoder.c: EMSGSIZE above it
	maxIndefinite = 10    // nesting, as the kernel's stack
)

// element is a tag with its value; full has the header too.
type element struct {
	tag        byte
	body, full []byte
}

// cursor reads elements one after the other. It takes and refuses what the
// kernel's lib/asn1_decoder.c does, which is laxer than encoding/asn1: long
// forms of a short length, indefinite lengths and any integer are fine; tags
// above 30 and lengths of more than two bytes are not.
type cursor []byte

func (c *cursor) next() (element, error) { return c.read(0) }

func (c *cursor) read(depth int) (element, error) {
	b := *c
	if len(b) < 2 {
		return element{}, fmt.Errorf("%w: cut off", ErrMalformed)
	}
	if b[0]&longTag == longTag {
		return element{}, fmt.Errorf("%w: tag of several bytes", ErrMalformed)
	}
	if b[1] == indefinite {
		return c.readIndefinite(depth)
	}
	size, header := int(b[1]), 2
	if b[1] > 0x7f {
		n := int(b[1] & 0x7f)
		if n > 2 || len(b) < 2+n {
			return element{}, fmt.Errorf("%w: bad length", ErrMalformed)
		}
		for size = 0; header < 2+n; header++ {
			size = size<<8 | int(b[header])
		}
	}
	if size > len(b)-header {
		return element{}, fmt.Errorf("%w: element of %d bytes, %d are left", ErrMalformed, size, len(b)-header)
	}
	*c = b[header+size:]
	return element{b[0], b[header : header+size], b[:header+size]}, nil
}

// readIndefinite reads up to the matching end-of-contents, two zero bytes.
func (c *cursor) readIndefinite(depth int) (element, error) {
	b := *c
	if b[0]&constructed == 0 || depth >= maxIndefinite {
		return element{}, fmt.Errorf("%w: indefinite length", ErrMalformed)
	}
	rest := b[2:]
	for {
		if len(rest) >= 2 && rest[0] == 0 && rest[1] == 0 {
			end := len(b) - len(rest)
			*c = rest[2:]
			return element{b[0], b[2:end], b[:end+2]}, nil
		}
		if _, err := rest.read(depth + 1); err != nil {
			return element{}, err
		}
	}
}

// matches compares as the kernel does: where it expects an element that holds
// others, it does not look at the constructed bit.
func matches(tag, want byte) bool { return (tag^want)&^(want&constructed) == 0 }

// take reads the next element, which must have one of the tags.
func (c *cursor) take(what string, tags ...byte) (element, error) {
	e, ok, err := c.optional(tags...)
	if err != nil {
		return e, fmt.Errorf("%s: %w", what, err)
	}
	if !ok {
		return e, fmt.Errorf("%s: %w: missing", what, ErrMalformed)
	}
	return e, nil
}

// optional reads the next element if it has one of the tags.
func (c *cursor) optional(tags ...byte) (element, bool, error) {
	for _, tag := range tags {
		if len(*c) > 0 && matches((*c)[0], tag) {
			e, err := c.next()
			return e, err == nil, err
		}
	}
	return element{}, false, nil
}

// end refuses what is left over in a value.
func (c *cursor) end(what string) error {
	if len(*c) > 0 {
		return fmt.Errorf("%s: %w: %d bytes left over", what, ErrMalformed, len(*c))
	}
	return nil
}

// takeOID reads an object identifier and spells it with dots, or in hex where
// it is none.
func (c *cursor) takeOID(what string) (string, error) {
	e, err := c.take(what, tagOID)
	if err != nil {
		return "", err
	}
	var oid x509.OID
	if err := oid.UnmarshalBinary(e.body); err == nil {
		return oid.String(), nil
	}
	return fmt.Sprintf("0x%x", e.body), nil
}

// takeAlgorithm reads an AlgorithmIdentifier, whatever its parameters: the
// kernel does not look at them.
func (c *cursor) takeAlgorithm(what string) (string, error) {
	e, err := c.take(what, tagSequence)
	if err != nil {
		return "", err
	}
	in := cursor(e.body)
	oid, err := in.takeOID(what)
	if err != nil {
		return "", err
	}
	if len(in) > 0 {
		if _, err := in.next(); err != nil {
			return "", fmt.Errorf("%s: %w", what, err)
		}
	}
	return oid, in.end(what)
}
