package mutate

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/assert"
)

// signed is a body with a small DER structure as its message.
func signed() []byte {
	msg := []byte{0x30, 0x0a, 0x02, 0x01, 0x01, 0x31, 0x05, 0x06, 0x03, 0x2a, 0x03, 0x04}
	tail := []byte{0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, byte(len(msg))}
	return bytes.Join([][]byte{bytes.Repeat([]byte("body"), 100), msg, tail, []byte("~Module signature appended~\n")}, nil)
}

// Host and guest must make the same bytes, today and with the next compiler.
func TestMakeIsStable(t *testing.T) {
	t.Parallel()
	h := sha256.New()
	for i := range 500 {
		h.Write(Make(signed(), 7, i).Bytes)
	}
	assert.Equal(t, "3d96a55a8e0e86fa55f929770b7f38287eda877e81965d8ab1bfc07e92c41dcb", hex.EncodeToString(h.Sum(nil)))
}

func TestMakeDiffersBySeedAndLeavesTheBaseAlone(t *testing.T) {
	t.Parallel()
	base := signed()
	kept := bytes.Clone(base)
	kinds := map[string]bool{}
	for i := range 500 {
		a, b := Make(base, 1, i), Make(base, 2, i)
		kinds[a.What[:3]] = true
		_ = b
	}
	assert.Equal(t, kept, base)
	for _, k := range []string{"fli", "cut", "ins", "tai", "bod", "nod"} {
		assert.True(t, kinds[k], k)
	}
	assert.NotEqual(t, Make(base, 1, 3).What, Make(base, 2, 3).What)
}

func TestTreeRoundTrip(t *testing.T) {
	t.Parallel()
	msg := cut(signed()).sig
	nodes, ok := tree(msg)
	assert.True(t, ok)
	assert.Equal(t, msg, nodes[0].bytes())
	for _, bad := range [][]byte{{0x30}, {0x30, 5, 1}, {0x30, 0x80, 0, 0}, {0x30, 0x85, 1, 1, 1, 1, 1}} {
		_, ok := tree(bad)
		assert.False(t, ok, "%x", bad)
	}
}
