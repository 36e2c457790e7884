package verdict_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/kmodtest"
	"github.com/kmodseal/kmodseal/pkg/modsig"
	"github.com/kmodseal/kmodseal/pkg/verdict"
)

// signer is a throw-away key with its certificate.
type signer struct {
	key  crypto.Signer
	cert *x509.Certificate
}

func newSigner(t *testing.T, name string) signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return signer{key, cert}
}

func (s signer) sign(t *testing.T, body []byte, o modsig.Options) []byte {
	t.Helper()
	if o.Hash == 0 {
		o.Hash = crypto.SHA256
	}
	h := o.Hash.New()
	h.Write(body)
	der, err := modsig.Sign(h.Sum(nil), s.key, s.cert, o)
	require.NoError(t, err)
	return modsig.Append(body, der)
}

func TestOne(t *testing.T) {
	t.Parallel()
	mok, stranger := newSigner(t, "mok"), newSigner(t, "stranger")
	body := kmodtest.Build(kmodtest.Spec{Name: "probe", Machine: "amd64", Release: "6.1.0-56-amd64"})
	good := mok.sign(t, body, modsig.Options{})
	flip := func(b []byte, at int) []byte {
		out := append([]byte(nil), b...)
		out[at] ^= 1
		return out
	}
	for name, c := range map[string]struct {
		module []byte
		state  verdict.State
		errno  string
		dmesg  string
	}{
		"good":      {good, verdict.Loads, "", ""},
		"unsigned":  {body, verdict.Unsigned, "EKEYREJECTED", "Loading of unsigned module is rejected"},
		"stranger":  {stranger.sign(t, body, modsig.Options{}), verdict.UnavailableKey, "EKEYREJECTED", "Loading of module with unavailable key is rejected"},
		"body":      {flip(good, 100), verdict.Tampered, "EKEYREJECTED", ""},
		"signature": {flip(good, len(good)-60), verdict.Tampered, "EKEYREJECTED", ""},
		"newline":   {append(append([]byte(nil), good...), '\n'), verdict.Unsigned, "EKEYREJECTED", "Loading of unsigned module is rejected"},
		"length":    {flip(good, len(good)-31), verdict.Malformed, "EBADMSG", ""},
		"text":      {[]byte("hello"), verdict.NotModule, "EKEYREJECTED", "Loading of unsigned module is rejected"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j, err := verdict.New(verdict.Config{Trust: []*x509.Certificate{mok.cert}, Release: "6.1.0-56-amd64", Machine: "amd64"})
			require.NoError(t, err)
			v := j.One(verdict.Module{Path: "probe.ko", Stored: c.module})
			assert.Equal(t, c.state, v.State, v.Reason)
			assert.Equal(t, c.errno, v.Errno)
			assert.Equal(t, c.dmesg, v.Dmesg)
			assert.NotEmpty(t, v.Rule)
		})
	}
}
