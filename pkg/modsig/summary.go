package modsig

import (
	"fmt"
	"math/big"
	"strings"
	"unicode"
	"unicode/utf16"
)

const oidCommonName = "2.5.4.3"

// Summary is what a signature says of itself, for people; nothing in it is
// verified. Its fields are those of manifest.Signature.
type Summary struct {
	Signer string // CN of the issuer as modinfo shows it, else the key id
	Serial string // lower-case hex; modinfo's sig_key
	KeyID  string // lower-case hex
	Hash   string // sha256; the OID of one that the kernel does not know
}

// Summary describes the first signer, the one that modinfo shows.
func (s *Signature) Summary() Summary {
	if len(s.Signers) == 0 {
		return Summary{}
	}
	return s.Signers[0].Summary()
}

// Summary describes s.
func (s *Signer) Summary() Summary {
	out := Summary{KeyID: fmt.Sprintf("%x", s.KeyID), Hash: HashName(s.Hash)}
	if s.Hash == 0 {
		out.Hash = s.HashOID
	}
	if s.Serial != nil {
		out.Serial = SerialHex(s.Serial)
	}
	out.Signer = commonName(s.RawIssuer)
	if out.Signer == "" {
		out.Signer = out.KeyID
	}
	return out
}

// SerialHex is a serial number in lower-case hex, whole bytes, the sign before.
func SerialHex(n *big.Int) string {
	digits := new(big.Int).Abs(n).Text(16)
	if len(digits)%2 == 1 {
		digits = "0" + digits
	}
	if n.Sign() < 0 {
		return "-" + digits
	}
	return digits
}

// commonName is the first CN in a DER Name of any string kind, with anything
// that a terminal could act on replaced; empty where there is none.
func commonName(name []byte) string {
	for rdns := cursor(valueOf(name)); len(rdns) > 0; {
		rdn, err := rdns.next()
		if err != nil {
			return ""
		}
		for attrs := cursor(rdn.body); len(attrs) > 0; {
			attr, err := attrs.next()
			if err != nil {
				return ""
			}
			if text, ok := commonNameValue(attr.body); ok {
				return text
			}
		}
	}
	return ""
}

func commonNameValue(attr cursor) (string, bool) {
	oid, err := attr.takeOID("attribute")
	if err != nil || oid != oidCommonName {
		return "", false
	}
	value, err := attr.next()
	if err != nil {
		return "", false
	}
	return printable(decodeText(value)), true
}

// decodeText decodes a DirectoryString (RFC 5280 section 4.1.2.4). T61 is read
// as Latin-1, as everyone does.
func decodeText(e element) string {
	const t61, bmp, universal = 0x14, 0x1e, 0x1c
	var out []rune
	switch e.tag {
	case t61:
		for _, b := range e.body {
			out = append(out, rune(b))
		}
	case bmp:
		var units []uint16
		for i := 0; i+1 < len(e.body); i += 2 {
			units = append(units, uint16(e.body[i])<<8|uint16(e.body[i+1]))
		}
		out = utf16.Decode(units)
	case universal:
		for i := 0; i+3 < len(e.body); i += 4 {
			out = append(out, rune(e.body[i])<<24|rune(e.body[i+1])<<16|rune(e.body[i+2])<<8|rune(e.body[i+3]))
		}
	default:
		return string(e.body)
	}
	return string(out)
}

func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}
