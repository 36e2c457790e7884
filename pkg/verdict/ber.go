package verdict

// The kernel reads a signature with its own BER decoder (lib/asn1_decoder.c),
// driven by a grammar (crypto/asymmetric_keys/*.asn1). It is laxer than DER in
// places and stricter in others, so its rules are restated here:
//
//   - a tag is one byte; long tags are refused even where the element is optional
//   - an expected constructed tag matches with or without the constructed bit;
//     an expected primitive tag matches only as it stands
//   - lengths: one byte, 0x81 or 0x82 forms of any value (minimal or not), or
//     0x80, indefinite, for constructed tags; nothing longer than 65535 bytes
//   - what follows the outermost element is not looked at
//   - SEQUENCE OF and SET OF need at least one element, unless that is optional
//   - an optional element at the end of its container is passed over without
//     forgetting that an earlier one matched: a CHOICE there may be left out

const (
	tagConstructed = 0x20
	tagLong        = 0x1f
	indefinite     = 0x80
	berLimit       = 65535
)

// The tags that the grammars name.
const (
	tagBoolean  = 0x01
	tagInteger  = 0x02
	tagBits     = 0x03
	tagOctets   = 0x04
	tagOID      = 0x06
	tagUTC      = 0x17
	tagGenTime  = 0x18
	tagSequence = 0x30
	tagSet      = 0x31
)

// context is the tag [n], constructed or primitive.
func context(n byte) byte   { return 0xa0 | n }
func primitive(n byte) byte { return 0x80 | n }

// element is what an action is told: data[off:off+len(val)] with the header
// of hdr bytes before it.
type element struct {
	tag byte
	hdr int
	off int
	val []byte
}

type action func(element) Errno

type stepKind int

const (
	stepMatch stepKind = iota
	stepFail           // refuse unless an alternative of the CHOICE matched
	stepAct            // run act on the element read last
	stepMaybe          // the same, if the element before matched
)

// step is one instruction of a grammar.
type step struct {
	kind stepKind
	tag  byte
	any  bool   // every tag
	skip bool   // OPTIONAL, or an alternative of a CHOICE
	cond bool   // alternative after the first: passed over once one matched
	act  action // for a leaf
	body []step // for a constructed element
	call bool   // body is a rule of its own: its end counts as a match
	many bool   // body repeats
	end  action // at the end of a constructed element
}

// decoder walks data along a grammar.
type decoder struct {
	data          []byte
	pos, limit    int
	matched, last bool
	at            element // the element read or left last
}

// decode reads one element of data along grammar.
func decode(data []byte, grammar []step) Errno {
	if len(data) > berLimit {
		return eMSGSIZE
	}
	d := &decoder{data: data, limit: len(data)}
	return d.run(grammar)
}

func (d *decoder) run(steps []step) Errno {
	for i := range steps {
		if e := d.step(&steps[i]); e != noError {
			return e
		}
	}
	return noError
}

func (d *decoder) step(s *step) Errno {
	switch s.kind {
	case stepFail:
		if !d.matched {
			return eBADMSG
		}
		return noError
	case stepMaybe:
		if !d.last {
			return noError
		}
		return s.act(d.at)
	case stepAct:
		return s.act(d.at)
	default:
		return d.match(s)
	}
}

func (d *decoder) match(s *step) Errno {
	if s.cond && d.matched || s.skip && d.pos == d.limit {
		d.last = false
		return noError
	}
	d.matched, d.last = false, false
	if d.limit-d.pos < 2 {
		return eBADMSG
	}
	tag := d.data[d.pos]
	if tag&tagLong == tagLong {
		return eBADMSG
	}
	d.at.tag, d.at.hdr = tag, 2
	if !s.any && (s.tag^tag)&^(s.tag&tagConstructed) != 0 {
		if s.skip {
			return noError
		}
		return eBADMSG
	}
	d.matched = true
	d.pos++
	hdr, n, e := d.length(tag)
	if e != noError {
		return e
	}
	d.at = element{tag: tag, hdr: hdr, off: d.pos}
	if s.body != nil {
		return d.constructed(s, n)
	}
	return d.leaf(s, n)
}

// length reads a length; n is -1 where it is indefinite.
func (d *decoder) length(tag byte) (hdr, n int, e Errno) {
	n = int(d.data[d.pos])
	d.pos++
	rest := d.limit - d.pos
	switch {
	case n < indefinite:
		if n > rest {
			return 0, 0, eBADMSG
		}
		return 2, n, noError
	case n == indefinite:
		if tag&tagConstructed == 0 || rest < 2 {
			return 0, 0, eBADMSG
		}
		return 2, -1, noError
	}
	size := n - indefinite
	if size > 2 || size > rest {
		return 0, 0, eBADMSG
	}
	n = 0
	for range size {
		n = n<<8 | int(d.data[d.pos])
		d.pos++
	}
	if n > d.limit-d.pos {
		return 0, 0, eBADMSG
	}
	return 2 + size, n, noError
}

func (d *decoder) leaf(s *step, n int) Errno {
	if n < 0 {
		var e Errno
		if n, e = d.indefiniteLength(); e != noError {
			return e
		}
	}
	d.at.val = d.data[d.pos : d.pos+n]
	if s.act != nil {
		if e := s.act(d.at); e != noError {
			return e
		}
	}
	d.pos += n
	return noError
}

func (d *decoder) constructed(s *step, n int) Errno {
	tag, hdr, start, outer := d.at.tag, d.at.hdr, d.pos, d.limit
	if n >= 0 {
		d.limit = start + n
	}
	for again := true; again; {
		if e := d.run(s.body); e != noError {
			return e
		}
		var e Errno
		if again, e = d.leave(s, n < 0); e != noError {
			return e
		}
	}
	stop := d.pos
	if n < 0 {
		stop -= 2
	}
	d.limit = outer
	d.at = element{tag: tag, hdr: hdr, off: start, val: d.data[start:stop]}
	if s.end != nil {
		if e := s.end(d.at); e != noError {
			return e
		}
	}
	if s.call {
		d.matched, d.last = true, true
	}
	return noError
}

// leave ends a round of a constructed element; again: another one follows.
func (d *decoder) leave(s *step, indef bool) (again bool, e Errno) {
	if !indef {
		if d.pos < d.limit && s.many {
			return true, noError
		}
		if d.pos != d.limit {
			return false, eBADMSG
		}
		return false, noError
	}
	if d.limit-d.pos < 2 {
		return false, eBADMSG
	}
	if d.data[d.pos] != 0 {
		if s.many {
			return true, noError
		}
		return false, eBADMSG
	}
	if d.data[d.pos+1] != 0 {
		return false, eBADMSG
	}
	d.pos += 2
	return false, noError
}

// indefiniteLength finds the end of an element of indefinite length that the
// grammar does not look into; the end-of-contents bytes count.
func (d *decoder) indefiniteLength() (int, Errno) {
	for p, depth := d.pos, 1; ; {
		if d.limit-p < 2 {
			return 0, eBADMSG
		}
		tag := d.data[p]
		p++
		if tag == 0 {
			if d.data[p] != 0 {
				return 0, eBADMSG
			}
			p++
			if depth--; depth == 0 {
				return p - d.pos, noError
			}
			continue
		}
		var ok, deeper bool
		if p, deeper, ok = d.skipElement(tag, p); !ok {
			return 0, eBADMSG
		}
		if deeper {
			depth++
		}
	}
}

// skipElement passes over the rest of a tag at p, its length and its content.
func (d *decoder) skipElement(tag byte, p int) (next int, deeper, ok bool) {
	if tag&tagLong == tagLong {
		for more := true; more; p++ {
			if d.limit-p < 2 {
				return 0, false, false
			}
			more = d.data[p]&0x80 != 0
		}
	}
	n := int(d.data[p])
	p++
	if n == indefinite {
		return p, true, tag&tagConstructed != 0
	}
	if n > indefinite {
		size := n - indefinite
		if size > 7 || size > d.limit-p {
			return 0, false, false
		}
		n = 0
		for range size {
			n = min(n<<8|int(d.data[p]), 1<<32)
			p++
		}
	}
	if n > d.limit-p {
		return 0, false, false
	}
	return p + n, false, true
}
