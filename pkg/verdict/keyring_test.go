package verdict_test

import (
	"crypto/rand"
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

// again is s's key with another certificate: renewed.
func (s signer) again(t *testing.T, serial int64, name string) signer {
	t.Helper()
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, SubjectKeyId: []byte("same key"),
		NotBefore: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, s.key.Public(), s.key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return signer{s.key, cert}
}

// TestRenewedCertificate: of two certificates with one subject and one key id
// a keyring keeps the later (security/keys/keyring.c).
func TestRenewedCertificate(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "mok")
	first, second, other := s.again(t, 1, "driver"), s.again(t, 2, "driver"), s.again(t, 3, "another")
	module := first.sign(t, kmodtest.Build(kmodtest.Spec{Name: "m", Machine: "amd64"}), modsig.Options{})
	for name, c := range map[string]struct {
		trust []*x509.Certificate
		want  verdict.State
	}{
		"alone":                {[]*x509.Certificate{first.cert}, verdict.Loads},
		"the later counts":     {[]*x509.Certificate{first.cert, second.cert}, verdict.UnavailableKey},
		"it is the later":      {[]*x509.Certificate{second.cert, first.cert}, verdict.Loads},
		"another name is kept": {[]*x509.Certificate{first.cert, other.cert}, verdict.Loads},
	} {
		j, err := verdict.New(verdict.Config{Trust: c.trust})
		require.NoError(t, err)
		assert.Equal(t, c.want, j.One(verdict.Module{Stored: module}).State, name)
	}
}
