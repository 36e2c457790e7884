package modsig

import (
	"crypto/x509"
	"encoding/pem"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "make testdata/modsig anew with sign-file")

func golden(name string) string { return filepath.Join("..", "..", "testdata", "modsig", name) }

// TestGolden compares with sign-file where there is no sign-file.
func TestGolden(t *testing.T) {
	if *update {
		require.NoError(t, os.WriteFile(golden("module.ko"), testModule(), 0o600))
	}
	body, err := os.ReadFile(golden("module.ko"))
	require.NoError(t, err)
	for _, k := range []string{"rsa2048", "rsa4096"} {
		if *update {
			require.NoError(t, os.WriteFile(golden(k+".der"), newIdentity(t, k).cert.Raw, 0o600))
		}
		id := storedIdentity(t, k)
		for _, v := range variants() {
			file := k + "-" + HashName(v.hash) + map[SignerID]string{SubjectKeyID: "-skid"}[v.id] + ".p7s"
			if *update {
				a, err := Split(bySignFile(t, golden("module.ko"), id, v))
				require.NoError(t, err)
				require.NoError(t, os.WriteFile(golden(file), a.PKCS7, 0o600))
			}
			want, err := os.ReadFile(golden(file))
			require.NoError(t, err)
			der, err := Sign(sum(v.hash, body), id.key, id.cert, Options{Hash: v.hash, ID: v.id})
			require.NoError(t, err)
			assert.Equal(t, want, der, file)
		}
	}
}

func storedIdentity(t testing.TB, key string) *identity {
	t.Helper()
	der, err := os.ReadFile(golden(key + ".der"))
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "cert.pem")
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	return &identity{key: testKey(t, key), cert: cert, keyFile: keyFile(key), certFile: file}
}
