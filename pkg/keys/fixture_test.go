package keys

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/oracle"
)

const testPassphrase = "test passphrase é"

// now lies within the validity of the test certificates.
func now() time.Time { return time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC) }

// keyPEM is testdata/keys/NAME.pem, whose first line says that it is a test key.
func keyPEM(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "testdata", "keys", name+".pem"))
	require.NoError(t, err)
	return data
}

func keyDER(t testing.TB, name string) []byte {
	t.Helper()
	block, _ := pem.Decode(keyPEM(t, name))
	require.NotNil(t, block)
	return block.Bytes
}

func testKey(t testing.TB, name string) crypto.Signer {
	t.Helper()
	key, err := x509.ParsePKCS8PrivateKey(keyDER(t, name))
	require.NoError(t, err)
	return key.(crypto.Signer)
}

// certFor makes a self-signed certificate that gives no reason for a warning.
func certFor(t testing.TB, name string, options ...func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(77),
		Subject:      pkix.Name{CommonName: "test " + name},
		NotBefore:    now().AddDate(-1, 0, 0),
		NotAfter:     now().AddDate(1, 0, 0),
		SubjectKeyId: []byte("0123456789abcdefghij"),
	}
	for _, o := range options {
		o(template)
	}
	key := testKey(t, name)
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return cert
}

func certPEM(c *x509.Certificate) []byte { return block("CERTIFICATE", c.Raw) }

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// files writes files into a new folder, mode 0600, and gives its path.
func files(t testing.TB, content map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range content {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
	}
	return dir
}

// loadIn loads key and cert, names in dir; cert may be empty.
func loadIn(dir, key, cert string, pass ...string) (*Pair, error) {
	r := Request{Key: filepath.Join(dir, key), Now: now()}
	if cert != "" {
		r.Cert = filepath.Join(dir, cert)
	}
	if len(pass) > 0 {
		r.Passphrase = func() ([]byte, error) { return []byte(pass[0]), nil }
	}
	return Load(r)
}

// assertRefused wants a fault of class Key with the cause, and with a hint: any, or this one.
func assertRefused(t testing.TB, err error, cause, hint string) {
	t.Helper()
	require.Error(t, err)
	assert.Equal(t, fault.Key, fault.ClassOf(err))
	require.ErrorContains(t, err, cause)
	assert.NotEmpty(t, fault.HintsOf(err), "%v: no hint", err)
	if hint != "" {
		assert.Contains(t, joined(fault.HintsOf(err)), hint)
	}
}

func joined(list []string) string {
	var out string
	for _, s := range list {
		out += s + "\n"
	}
	return out
}

// openssl runs the oracle in dir.
func openssl(t testing.TB, dir string, args ...string) {
	t.Helper()
	c := exec.Command(oracle.Path(t, "openssl"), args...)
	c.Dir = dir
	out, err := c.CombinedOutput()
	require.NoError(t, err, "openssl %v: %s", args, out)
}
