package modsig

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Every single bit of a signed module counts, but for those that the kernel
// does not look at either:
//
//   - the list of digest algorithms (the SignerInfo has its own) and which tag
//     it has: SET or SEQUENCE, with the constructed bit or not;
//   - parameters of an algorithm (the NULL of rsaEncryption): any element does;
//   - SET or SEQUENCE for the list of signers, and the constructed bit of every
//     element that holds others.
func TestEveryBitCounts(t *testing.T) {
	t.Parallel()
	id, body := newIdentity(t, "rsa2048"), testModule()
	module := signed(t, body, id, Options{})
	a, err := Split(module)
	require.NoError(t, err)
	unread := unreadBits(t, a.PKCS7)
	for i := range len(module) * 8 {
		bent := append([]byte(nil), module...)
		bent[i/8] ^= 1 << (i % 8)
		at := i/8 - len(body)
		if err := verdict(bent, id); err == nil {
			inside := at >= 0 && at < len(unread)
			if !assert.True(t, inside && unread[at]&(1<<(i%8)) != 0, "byte %d of the message, bit %d: nobody noticed", at, i%8) {
				return
			}
		}
	}
}

// unreadBits marks the bits of a message by Sign that may be anything.
func unreadBits(t *testing.T, der []byte) []byte {
	t.Helper()
	mask := make([]byte, len(der))
	mark := func(at, n int, bits byte) {
		for i := range n {
			mask[at+i] |= bits
		}
	}
	var walk func(at, end, depth int)
	walk = func(at, end, depth int) {
		for at < end {
			c := cursor(der[at:end])
			e, err := c.next()
			require.NoError(t, err)
			if e.tag&constructed != 0 {
				mark(at, 1, constructed)
				if e.tag == tagSet {
					mark(at, 1, tagSet^tagSequence)
				}
				walk(at+len(e.full)-len(e.body), at+len(e.full), depth+1)
			}
			if e.tag == tagSet && depth == 3 && len(e.body) < 20 { // digestAlgorithms
				mark(at+len(e.full)-len(e.body), len(e.body), 0xff)
			}
			if e.tag == 5 { // NULL
				mark(at, 1, 0xff)
			}
			at += len(e.full)
		}
	}
	walk(0, len(der), 0)
	return mask
}
