package der

import (
	"encoding/asn1"
	"math/big"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAsTheStandardLibrary(t *testing.T) {
	t.Parallel()
	for _, n := range []int64{0, 1, 127, 128, 255, 256, 1 << 40, -1, -128, -129, -300} {
		want, err := asn1.Marshal(big.NewInt(n))
		require.NoError(t, err)
		assert.Equal(t, want, Int(n), n)
	}
	for _, dots := range []asn1.ObjectIdentifier{{1, 2, 840, 113549, 1, 7, 2}, {2, 16, 840, 1, 101, 3, 4, 2, 10}, {1, 3, 101, 112}, {2, 999, 1}} {
		want, err := asn1.Marshal(dots)
		require.NoError(t, err)
		assert.Equal(t, want, OID(dots.String()))
	}
	for _, n := range []int{0, 127, 128, 255, 256, 70000} {
		want, err := asn1.Marshal(make([]byte, n))
		require.NoError(t, err)
		assert.Equal(t, want, TLV(Octets, make([]byte, n)))
	}
	assert.Equal(t, []byte{0x30, 0x82, 0, 1, 5}, LongTLV(Sequence, 2, []byte{5}))
	assert.Equal(t, []byte{0x30, 0x80, 5, 0, 0, 0}, Indefinite(Sequence, TLV(Null)))
}
