package modsig

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var errUnknownSigner = errors.New("unknown signer")

func TestSignRefuses(t *testing.T) {
	t.Parallel()
	id := newIdentity(t, "rsa2048")
	for name, c := range map[string]struct {
		id   *identity
		o    Options
		want string
	}{
		"sha1":                      {id, Options{Hash: crypto.SHA1}, "want sha256, sha384 or sha512"},
		"sha224":                    {id, Options{Hash: crypto.SHA224}, "want sha256, sha384 or sha512"},
		"md5":                       {id, Options{Hash: crypto.MD5}, "want sha256, sha384 or sha512"},
		"sha3-256":                  {id, Options{Hash: crypto.SHA3_256}, "want sha256, sha384 or sha512"},
		"sha512/256":                {id, Options{Hash: crypto.SHA512_256}, "want sha256, sha384 or sha512"},
		"no key id":                 {awkward(t)["no key id"], Options{ID: SubjectKeyID}, "no subject key identifier"},
		"Ed25519":                   {newIdentityNoHash(t, "ed25519"), Options{}, "want RSA or ECDSA"},
		"P-521":                     {newIdentity(t, "p521"), Options{}, "want P-256 or P-384"},
		"no key in the certificate": {&identity{key: id.key, cert: &x509.Certificate{}}, Options{}, "want RSA or ECDSA"},
	} {
		h := c.o.Hash
		if h == 0 {
			h = crypto.SHA256
		}
		_, err := Sign(make([]byte, h.Size()), c.id.key, c.id.cert, c.o)
		require.ErrorIs(t, err, ErrUnsupported, name)
		require.ErrorContains(t, err, c.want, name)
	}
	_, err := Sign(make([]byte, 20), id.key, id.cert, Options{})
	assert.ErrorContains(t, err, "digest of 20 bytes, sha256 has 32")
}

// newIdentityNoHash makes a certificate for a key that signs whole messages.
func newIdentityNoHash(t testing.TB, key string) *identity {
	t.Helper()
	ca := newIdentity(t, "rsa2048", func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true })
	return issue(t, key, ca)
}

// broken is a key service that answers with something else.
type broken struct {
	crypto.Signer
	sign func(digest []byte, o crypto.SignerOpts) ([]byte, error)
}

func (b broken) Sign(_ io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	return b.sign(digest, o)
}

func TestSignChecksTheSigner(t *testing.T) {
	t.Parallel()
	id, other := newIdentity(t, "rsa2048"), testKey(t, "rsa2048-other")
	key := id.key.(*rsa.PrivateKey)
	digest := make([]byte, 32)
	for name, sign := range map[string]func([]byte, crypto.SignerOpts) ([]byte, error){
		"another key": func(d []byte, o crypto.SignerOpts) ([]byte, error) { return other.Sign(nil, d, o) },
		"RSA-PSS": func(d []byte, o crypto.SignerOpts) ([]byte, error) {
			return rsa.SignPSS(rand.Reader, key, o.HashFunc(), d, nil)
		},
		"digest hashed again": func(d []byte, o crypto.SignerOpts) ([]byte, error) {
			return key.Sign(nil, sum(o.HashFunc(), d), o)
		},
		"another digest algorithm": func(d []byte, _ crypto.SignerOpts) ([]byte, error) {
			return key.Sign(nil, append(d, d...), crypto.SHA512)
		},
		"cut off": func(d []byte, o crypto.SignerOpts) ([]byte, error) {
			v, err := key.Sign(nil, d, o)
			return v[:len(v)-1], err
		},
		"empty":         func([]byte, crypto.SignerOpts) ([]byte, error) { return nil, nil },
		"whole message": func(d []byte, o crypto.SignerOpts) ([]byte, error) { return Sign(d, key, id.cert, Options{}) },
	} {
		out, err := Sign(digest, broken{key, sign}, id.cert, Options{})
		require.ErrorIs(t, err, ErrRejected, name)
		assert.Nil(t, out, name)
	}
	_, err := Sign(digest, broken{key, func([]byte, crypto.SignerOpts) ([]byte, error) { return nil, io.ErrUnexpectedEOF }}, id.cert, Options{})
	assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

func TestSignIsDeterministic(t *testing.T) {
	t.Parallel()
	for name, id := range allIdentities(t) {
		first := signed(t, testModule(), id, Options{})
		assert.Equal(t, first, signed(t, testModule(), id, Options{}), name)
		assert.NoError(t, verdict(first, id), name)
	}
}

func TestSigningHash(t *testing.T) {
	t.Parallel()
	h, err := SigningHash("sha384")
	require.NoError(t, err)
	assert.Equal(t, crypto.SHA384, h)
	for _, name := range []string{"", "SHA256", "sha1", "sha224", "sha3-256", "md5", "sha512-256"} {
		_, err := SigningHash(name)
		require.ErrorIs(t, err, ErrUnsupported, name)
	}
	assert.Empty(t, HashName(crypto.MD5))
}
