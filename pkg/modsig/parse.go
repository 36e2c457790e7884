package modsig

import (
	"crypto"
	"crypto/x509"
	"fmt"
	"math/big"
)

// Signature is a parsed PKCS#7 SignedData (RFC 5652 section 5.1).
type Signature struct {
	Version      int
	Signers      []Signer            // one at least
	Certificates []*x509.Certificate // embedded ones that parse
	Unparsed     int                 // embedded ones that do not: most are fatal to the kernel
	Attached     bool                // has content of its own: the kernel refuses it
}

// Signer is one SignerInfo (RFC 5652 section 5.3).
type Signer struct {
	Version      int
	RawIssuer    []byte      // the whole DER Name; nil with a key id
	Serial       *big.Int    // nil with a key id
	RawSerial    []byte      // value of the INTEGER, as the kernel compares it
	KeyID        []byte      // nil with issuer and serial
	Hash         crypto.Hash // 0 where the kernel knows no such digest
	HashOID      string
	SignatureOID string
	SignedAttrs  bool // the kernel refuses a module signature that has them
	Value        []byte
}

// Parse reads a PKCS#7 message by the grammar of the kernel
// (crypto/asymmetric_keys/pkcs7.asn1 and pkcs7_parser.c). Errors are
// ErrMalformed. Bytes behind the message are ignored, and so are CRLs and
// unsigned attributes, as the kernel does; algorithms that it does not know
// are reported and not refused here: see Signer.Supported.
func Parse(der []byte) (*Signature, error) {
	if len(der) > maxMessage {
		return nil, fmt.Errorf("%w: %d bytes, the kernel reads at most %d", ErrMalformed, len(der), maxMessage)
	}
	in, err := openSignedData(der)
	if err != nil {
		return nil, err
	}
	s := &Signature{}
	if s.Version, err = in.takeVersion("SignedData"); err != nil {
		return nil, err
	}
	if err := in.skipDigestAlgorithms(); err != nil {
		return nil, err
	}
	authenticode, err := s.readContent(&in)
	if err != nil {
		return nil, err
	}
	if err := s.readCertificates(&in); err != nil {
		return nil, err
	}
	if _, _, err := in.optional(contextTag|constructed|1, contextTag|constructed|3); err != nil {
		return nil, fmt.Errorf("crls: %w", err)
	}
	if err := s.readSigners(&in); err != nil {
		return nil, err
	}
	if authenticode && !s.Signers[0].SignedAttrs {
		return nil, fmt.Errorf("%w: Authenticode content without signed attributes", ErrMalformed)
	}
	return s, in.end("SignedData")
}

// openSignedData gives what is inside ContentInfo { signedData, [0] SignedData }.
func openSignedData(der []byte) (cursor, error) {
	in := cursor(der)
	info, err := in.take("ContentInfo", tagSequence)
	if err != nil {
		return nil, err
	}
	in = info.body
	oid, err := in.takeOID("content type")
	if err != nil {
		return nil, err
	}
	if oid != oidSignedData {
		return nil, fmt.Errorf("%w: content type %s, not signedData", ErrMalformed, oid)
	}
	wrap, err := in.take("content", contextTag|constructed)
	if err != nil {
		return nil, err
	}
	if err := in.end("ContentInfo"); err != nil {
		return nil, err
	}
	in = wrap.body
	data, err := in.take("SignedData", tagSequence)
	if err != nil {
		return nil, err
	}
	return data.body, in.end("content")
}

// takeVersion reads a version number: one byte, 1 or 3.
func (c *cursor) takeVersion(what string) (int, error) {
	e, err := c.take(what+" version", tagInteger)
	if err != nil {
		return 0, err
	}
	if len(e.body) != 1 || e.body[0] != 1 && e.body[0] != 3 {
		return 0, fmt.Errorf("%w: %s version is neither 1 nor 3", ErrMalformed, what)
	}
	return int(e.body[0]), nil
}

// skipDigestAlgorithms reads past the list of digests: nobody uses it, the
// SignerInfo has its own.
func (c *cursor) skipDigestAlgorithms() error {
	e, err := c.take("digestAlgorithms", tagSet, tagSequence)
	if err != nil {
		return err
	}
	for in := cursor(e.body); len(in) > 0; {
		if _, err := in.takeAlgorithm("digestAlgorithms"); err != nil {
			return err
		}
	}
	return nil
}

func (s *Signature) readContent(c *cursor) (authenticode bool, err error) {
	e, err := c.take("encapsulated content", tagSequence)
	if err != nil {
		return false, err
	}
	in := cursor(e.body)
	oid, err := in.takeOID("encapsulated content type")
	if err != nil {
		return false, err
	}
	if oid != oidData && oid != oidIndirectData {
		return false, fmt.Errorf("%w: content of type %s, not data", ErrMalformed, oid)
	}
	if _, s.Attached, err = in.optional(contextTag | constructed); err != nil {
		return false, fmt.Errorf("encapsulated content: %w", err)
	}
	return oid == oidIndirectData, in.end("encapsulated content")
}

func (s *Signature) readCertificates(c *cursor) error {
	e, ok, err := c.optional(contextTag|constructed, contextTag|constructed|2)
	if err != nil || !ok {
		return err
	}
	for in := cursor(e.body); len(in) > 0; {
		// The kernel wants the constructed bit here and nowhere else.
		if in[0] != tagSequence {
			return fmt.Errorf("%w: embedded certificate begins with tag %#02x", ErrMalformed, in[0])
		}
		raw, err := in.next()
		if err != nil {
			return fmt.Errorf("embedded certificate: %w", err)
		}
		cert, err := x509.ParseCertificate(raw.full)
		if err != nil {
			s.Unparsed++
			continue
		}
		s.Certificates = append(s.Certificates, cert)
	}
	return nil
}

func (s *Signature) readSigners(c *cursor) error {
	e, err := c.take("signerInfos", tagSet, tagSequence)
	if err != nil {
		return err
	}
	for in := cursor(e.body); len(in) > 0; {
		one, err := in.take("SignerInfo", tagSequence)
		if err != nil {
			return err
		}
		signer, err := readSigner(one.body, s.Version)
		if err != nil {
			return err
		}
		s.Signers = append(s.Signers, *signer)
		if signer.SignedAttrs != s.Signers[0].SignedAttrs {
			return fmt.Errorf("%w: only some signers have signed attributes", ErrMalformed)
		}
	}
	if len(s.Signers) == 0 {
		return fmt.Errorf("%w: no signer", ErrMalformed)
	}
	return nil
}
