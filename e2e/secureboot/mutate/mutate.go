// Package mutate damages signed modules in ways that a seed decides, so that
// host and guest of the Secure Boot test make the same bytes without passing
// them to each other.
package mutate

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
)

const (
	marker  = 28 // bytes of "~Module signature appended~\n"
	trailer = 12 // struct module_signature
)

// Mutant is a damaged module and what was done to it.
type Mutant struct {
	Bytes []byte
	What  string
}

// parts are the regions of a signed module.
type parts struct{ body, sig, tail []byte }

// cut splits a module that ends in one well-formed signature.
func cut(module []byte) parts {
	end := len(module) - marker - trailer
	n := int(binary.BigEndian.Uint32(module[end+8:]))
	return parts{body: module[:end-n], sig: module[end-n : end], tail: module[end:]}
}

// join puts a module together; resize makes the trailer tell the new length of the signature.
func (p parts) join(resize bool) []byte {
	tail := bytes.Clone(p.tail)
	if resize {
		binary.BigEndian.PutUint32(tail[8:], uint32(len(p.sig)))
	}
	return bytes.Join([][]byte{p.body, p.sig, tail}, nil)
}

// Make gives mutation number index of base under seed; the same three give the
// same bytes wherever it runs (math/rand/v2: PCG is stable).
func Make(base []byte, seed uint64, index int) Mutant {
	r := rand.New(rand.NewPCG(seed, uint64(index)))
	p := cut(base)
	switch n := r.IntN(100); {
	case n < 35:
		return flip(r, p)
	case n < 65:
		return edit(r, p)
	case n < 73:
		return splice(r, p)
	case n < 83:
		return trail(r, p)
	case n < 91:
		return body(r, p)
	default:
		return behind(r, p)
	}
}

// flip changes one bit of the PKCS#7 message, rarely a few.
func flip(r *rand.Rand, p parts) Mutant {
	p.sig = bytes.Clone(p.sig)
	what := "flip"
	times := 1
	if r.IntN(8) == 0 {
		times = 2 + r.IntN(3)
	}
	for range times {
		// The structure is in front; half of the flips go there, for the rest of
		// the message is mostly the signature value, where all flips are alike.
		span := len(p.sig)
		if r.IntN(2) == 0 {
			span = min(span, 110)
		}
		at, bit := r.IntN(span), r.IntN(8)
		p.sig[at] ^= 1 << bit
		what += fmt.Sprintf(" sig[%d]^%#x", at, 1<<bit)
	}
	return Mutant{p.join(false), what}
}

// splice cuts bytes out of the message or puts some in, with or without telling the trailer.
func splice(r *rand.Rand, p parts) Mutant {
	at, n, resize := r.IntN(len(p.sig)), 1+r.IntN(8), r.IntN(3) > 0
	if r.IntN(2) == 0 {
		n = min(n, len(p.sig)-at)
		p.sig = bytes.Join([][]byte{p.sig[:at], p.sig[at+n:]}, nil)
		return Mutant{p.join(resize), fmt.Sprintf("cut sig[%d:+%d] resize=%t", at, n, resize)}
	}
	junk := make([]byte, n)
	for i := range junk {
		junk[i] = byte(r.Uint32())
	}
	p.sig = bytes.Join([][]byte{p.sig[:at], junk, p.sig[at:]}, nil)
	return Mutant{p.join(resize), fmt.Sprintf("insert sig[%d] %x resize=%t", at, junk, resize)}
}

// trail edits the trailer or the marker.
func trail(r *rand.Rand, p parts) Mutant {
	p.tail = bytes.Clone(p.tail)
	at := r.IntN(trailer)
	if r.IntN(6) == 0 {
		at = trailer + r.IntN(marker)
	}
	v := byte(r.Uint32())
	if r.IntN(2) == 0 {
		v = p.tail[at] ^ 1<<r.IntN(8)
	}
	p.tail[at] = v
	return Mutant{p.join(false), fmt.Sprintf("tail[%d]=%#x", at, v)}
}

// body flips a bit of what is signed; the kernel must never run it, so it is
// only for kernels that trust the signer and check before they look.
func body(r *rand.Rand, p parts) Mutant {
	p.body = bytes.Clone(p.body)
	at, bit := r.IntN(len(p.body)), r.IntN(8)
	p.body[at] ^= 1 << bit
	return Mutant{p.join(false), fmt.Sprintf("body[%d]^%#x", at, 1<<bit)}
}

// behind adds or takes bytes at the very end, or doubles the end.
func behind(r *rand.Rand, p parts) Mutant {
	whole := p.join(false)
	switch r.IntN(4) {
	case 0:
		n := 1 + r.IntN(80)
		return Mutant{whole[:len(whole)-n], fmt.Sprintf("cut end %d", n)}
	case 1:
		return Mutant{append(whole, p.tail...), "tail twice"}
	case 2:
		return Mutant{append(whole, p.tail[trailer:]...), "marker twice"}
	default:
		n := 1 + r.IntN(16)
		return Mutant{append(whole, make([]byte, n)...), fmt.Sprintf("%d zeros behind", n)}
	}
}
