package modsig

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func FuzzSplit(f *testing.F) {
	once := Append(testModule(), []byte("message"))
	for _, seed := range [][]byte{nil, once, Append(once, nil), once[:len(once)-1], []byte(Marker), sigLen(once, 1<<31)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, module []byte) {
		a, err := Split(module)
		body, n := Strip(module)
		if err != nil {
			require.Zero(t, n)
			return
		}
		require.LessOrEqual(t, len(body), len(a.Body))
		if a.Trailer.Check() == nil {
			assert.Equal(t, module, Append(a.Body, a.PKCS7))
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, k := range []string{"rsa2048", "p256"} {
		id := newIdentity(f, k)
		for _, o := range []Options{{}, {ID: SubjectKeyID}, {Embed: append(Options{}.Embed, id.cert)}} {
			der, err := Sign(make([]byte, 32), id.key, id.cert, o)
			require.NoError(f, err)
			f.Add(der)
		}
	}
	id := newIdentity(f, "rsa2048")
	f.Fuzz(func(t *testing.T, der []byte) {
		s, err := Parse(der)
		if err != nil {
			require.ErrorIs(t, err, ErrMalformed)
			return
		}
		require.NotEmpty(t, s.Signers)
		for i := range s.Signers {
			_ = s.Signers[i].Summary()
			_ = s.Signers[i].Names(id.cert)
			require.Error(t, s.Signers[i].Check([]byte("a module"), id.cert))
		}
	})
}
