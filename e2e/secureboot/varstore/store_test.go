package varstore

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// blank is an empty store of 4 KiB behind a volume header of 72 bytes.
func blank() []byte {
	b := bytes.Repeat([]byte{0xff}, 72+4096)
	copy(b[40:], "_FVH")
	binary.LittleEndian.PutUint16(b[48:], 72)
	g := guid(authStore)
	copy(b[72:], g[:])
	binary.LittleEndian.PutUint32(b[72+16:], 4096)
	b[72+20], b[72+21] = 0x5a, 0xfe
	return b
}

func TestEnrol(t *testing.T) {
	t.Parallel()
	s, err := Parse(blank())
	require.NoError(t, err)
	s.EnrolMOK([]byte("first"), []byte("second"))
	s.EnrolMOK([]byte("third"))
	s.RevokeHash([32]byte{1, 2, 3})
	s.SecureBootOff()
	b, err := s.Bytes()
	require.NoError(t, err)
	require.Len(t, b, len(blank()))

	again, err := Parse(b)
	require.NoError(t, err)
	mok := again.Get("MokList", shimVendor)
	for _, cert := range []string{"first", "second", "third"} {
		assert.Contains(t, string(mok), cert)
	}
	assert.Equal(t, 28+16+len("first"), int(binary.LittleEndian.Uint32(mok[16:])))
	assert.Equal(t, []byte{0}, again.Get("SecureBootEnable", sbEnable))
	assert.Nil(t, again.Get("MokList", securityDB), "another vendor's variable")
	same, err := again.Bytes()
	require.NoError(t, err)
	assert.Equal(t, b, same)
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func([]byte) []byte{
		"empty":           func([]byte) []byte { return nil },
		"no volume":       func(b []byte) []byte { b[40] = 'X'; return b },
		"header behind":   func(b []byte) []byte { b[49] = 0xff; return b },
		"other store":     func(b []byte) []byte { b[72] ^= 1; return b },
		"not formatted":   func(b []byte) []byte { b[72+20] = 0; return b },
		"store too large": func(b []byte) []byte { b[72+18] = 1; return b },
		"record too large": func(b []byte) []byte {
			binary.LittleEndian.PutUint16(b[72+28:], startID)
			return b
		},
	} {
		_, err := Parse(damage(blank()))
		assert.Error(t, err, name)
	}
}

func TestStoreFull(t *testing.T) {
	t.Parallel()
	s, err := Parse(blank())
	require.NoError(t, err)
	s.EnrolMOK(make([]byte, 5000))
	_, err = s.Bytes()
	assert.ErrorContains(t, err, "full at MokList")
}
