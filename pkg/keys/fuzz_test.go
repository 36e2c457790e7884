package keys

import (
	"crypto"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/youmark/pkcs8"
	"software.sslmate.com/src/go-pkcs12"

	"github.com/kmodseal/kmodseal/pkg/fault"
)

// FuzzLoadKey: whatever the file holds, a pair that signs or a fault of class
// Key, and no panic of the libraries.
func FuzzLoadKey(f *testing.F) {
	key, cert := testKey(f, "p256"), certFor(f, "p256")
	encrypted, err := pkcs8.MarshalPrivateKey(key, []byte("x"), &pkcs8.Opts{
		Cipher: pkcs8.AES128CBC, KDFOpts: pkcs8.ScryptOpts{SaltSize: 8, CostParameter: 4, BlockSize: 1, ParallelizationParameter: 1},
	})
	require.NoError(f, err)
	pfx, err := pkcs12.Modern.WithIterations(1).Encode(key, cert, nil, "x")
	require.NoError(f, err)
	for _, seed := range [][]byte{
		keyPEM(f, "p256"), keyDER(f, "p256"), keyDER(f, "pss"), keyDER(f, "ed25519"), encrypted, pfx,
		block("ENCRYPTED PRIVATE KEY", encrypted), join(keyPEM(f, "p256"), certPEM(cert)), cert.Raw, nil,
		[]byte("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\n\nAAAA\n-----END RSA PRIVATE KEY-----\n"),
	} {
		f.Add(seed)
	}
	dir := files(f, map[string][]byte{"c": certPEM(cert)})
	f.Fuzz(func(t *testing.T, data []byte) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "k"), data, 0o600))
		p, err := loadIn(dir, "k", "c", "x")
		if err != nil {
			assert.Equal(t, fault.Key, fault.ClassOf(err))
			return
		}
		_, err = p.Signer.Sign(nil, make([]byte, 32), crypto.SHA256)
		require.NoError(t, err)
		assert.True(t, belongs(p.Signer, p.Cert))
	})
}

func FuzzCertificates(f *testing.F) {
	a := certFor(f, "p256")
	for _, seed := range [][]byte{nil, a.Raw, certPEM(a), join(a.Raw, a.Raw), efiList(guidX509, 0, a.Raw, a.Raw), efiList(guidSHA256, 4, make([]byte, 32))} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		certs, err := certificates(material{"f", data})
		if err != nil {
			assert.Equal(t, fault.Key, fault.ClassOf(err))
			return
		}
		assert.NotEmpty(t, certs)
	})
}
