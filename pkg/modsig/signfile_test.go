package modsig

import (
	"crypto"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/oracle"
)

// variant is one way to sign.
type variant struct {
	hash crypto.Hash
	id   SignerID
}

func (v variant) String() string {
	return HashName(v.hash) + map[SignerID]string{IssuerSerial: " issuer", SubjectKeyID: " key id"}[v.id]
}

func variants() []variant {
	var out []variant
	for _, h := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		out = append(out, variant{h, IssuerSerial}, variant{h, SubjectKeyID})
	}
	return out
}

// rsaIdentities are all key sizes, and every awkward certificate.
func rsaIdentities(t testing.TB) map[string]*identity {
	t.Helper()
	out := awkward(t)
	for _, k := range []string{"rsa2048", "rsa3072", "rsa4096"} {
		out[k] = newIdentity(t, k)
	}
	return out
}

func run(t testing.TB, program string, args ...string) {
	t.Helper()
	out, err := exec.Command(program, args...).CombinedOutput()
	require.NoError(t, err, "%s %v: %s", program, args, out)
}

func moduleFile(t testing.TB) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "m.ko")
	require.NoError(t, os.WriteFile(file, testModule(), 0o600))
	return file
}

// bySignFile is what the kernel's sign-file makes of the module in file.
func bySignFile(t testing.TB, file string, id *identity, v variant) []byte {
	t.Helper()
	args := []string{HashName(v.hash), id.keyFile, id.certFile, file, filepath.Join(t.TempDir(), "out.ko")}
	if v.id == SubjectKeyID {
		args = append([]string{"-k"}, args...)
	}
	run(t, oracle.SignFile(t), args...)
	out, err := os.ReadFile(args[len(args)-1])
	require.NoError(t, err)
	return out
}

func byOpenSSL(t testing.TB, file string, id *identity, v variant, more ...string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out.p7s")
	args := []string{
		"cms", "-sign", "-binary", "-noattr", "-outform", "DER", "-md", HashName(v.hash),
		"-in", file, "-signer", id.certFile, "-inkey", id.keyFile, "-out", out,
	}
	if v.id == SubjectKeyID {
		args = append(args, "-keyid")
	}
	run(t, oracle.Path(t, "openssl"), append(args, more...)...)
	der, err := os.ReadFile(out)
	require.NoError(t, err)
	return der
}

// eachRSA runs f for every identity and variant that can be signed.
func eachRSA(t *testing.T, f func(t *testing.T, id *identity, v variant)) {
	t.Helper()
	for name, id := range rsaIdentities(t) {
		for _, v := range variants() {
			if v.id == SubjectKeyID && len(id.cert.SubjectKeyId) == 0 {
				continue
			}
			t.Run(fmt.Sprintf("%s %v", name, v), func(t *testing.T) { f(t, id, v) })
		}
	}
}

func TestSameBytesAsSignFile(t *testing.T) {
	oracle.SignFile(t)
	file := moduleFile(t)
	eachRSA(t, func(t *testing.T, id *identity, v variant) {
		want := bySignFile(t, file, id, v)
		assert.Equal(t, want, signed(t, testModule(), id, Options{Hash: v.hash, ID: v.id}))
	})
}

func TestSameBytesAsOpenSSL(t *testing.T) {
	oracle.Path(t, "openssl")
	file := moduleFile(t)
	eachRSA(t, func(t *testing.T, id *identity, v variant) {
		want := byOpenSSL(t, file, id, v, "-nocerts")
		a, err := Split(signed(t, testModule(), id, Options{Hash: v.hash, ID: v.id}))
		require.NoError(t, err)
		assert.Equal(t, want, a.PKCS7)
	})
}

// The kernel's sign-file embeds nothing; OpenSSL does, in DER's order.
func TestEmbeddedSameBytesAsOpenSSL(t *testing.T) {
	oracle.Path(t, "openssl")
	file := moduleFile(t)
	leaf := awkward(t)["leaf under a CA"]
	for _, v := range variants() {
		t.Run(v.String(), func(t *testing.T) {
			o := Options{Hash: v.hash, ID: v.id}
			o.Embed = append(o.Embed, leaf.cert)
			assertEmbedded(t, byOpenSSL(t, file, leaf, v), leaf, o)
			o.Embed = append(o.Embed, leaf.issuer.cert, leaf.cert) // the double is dropped
			assertEmbedded(t, byOpenSSL(t, file, leaf, v, "-certfile", leaf.issuer.certFile), leaf, o)
		})
	}
}

func assertEmbedded(t *testing.T, want []byte, id *identity, o Options) {
	t.Helper()
	der, err := Sign(sum(o.Hash, testModule()), id.key, id.cert, o)
	require.NoError(t, err)
	assert.Equal(t, want, der)
}

// ECDSA signatures of OpenSSL are random: its value put into our message must
// give its message.
func TestECDSASameBytesAround(t *testing.T) {
	oracle.SignFile(t)
	file := moduleFile(t)
	for _, k := range []string{"p256", "p384"} {
		id := newIdentity(t, k)
		for _, v := range variants() {
			t.Run(fmt.Sprintf("%s %v", k, v), func(t *testing.T) {
				for range 5 { // lengths of r and s differ
					a, err := Split(bySignFile(t, file, id, v))
					require.NoError(t, err)
					s, err := Parse(a.PKCS7)
					require.NoError(t, err)
					require.NoError(t, s.Signers[0].Check(a.Body, id.cert))
					e, err := newEncoder(id.cert, Options{Hash: v.hash, ID: v.id})
					require.NoError(t, err)
					der, err := e.encode(s.Signers[0].Value)
					require.NoError(t, err)
					assert.Equal(t, a.PKCS7, der)
				}
			})
		}
	}
}
