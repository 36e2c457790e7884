package modsig

import (
	"crypto/x509"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smallstep/pkcs7"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/oracle"
)

func allIdentities(t testing.TB) map[string]*identity {
	t.Helper()
	out := rsaIdentities(t)
	out["p256"], out["p384"] = newIdentity(t, "p256"), newIdentity(t, "p384")
	return out
}

// Our signatures hold for two verifiers that nobody of this project wrote.
func TestOthersVerify(t *testing.T) {
	for name, id := range allIdentities(t) {
		for _, v := range variants() {
			if v.id == SubjectKeyID {
				continue // smallstep/pkcs7 knows issuer and serial only
			}
			t.Run(name+" "+v.String(), func(t *testing.T) {
				a, err := Split(signed(t, testModule(), id, Options{Hash: v.hash, ID: v.id}))
				require.NoError(t, err)
				p, err := pkcs7.Parse(a.PKCS7)
				require.NoError(t, err)
				p.Content, p.Certificates = a.Body, []*x509.Certificate{id.cert}
				require.NoError(t, p.Verify())
				p.Content = append([]byte{1}, a.Body...)
				assert.Error(t, p.Verify())
			})
		}
	}
}

func TestOpenSSLVerifies(t *testing.T) {
	openssl := oracle.Path(t, "openssl")
	body := moduleFile(t)
	for name, id := range allIdentities(t) {
		v := variant{hash: variants()[0].hash}
		if len(id.cert.SubjectKeyId) > 0 {
			v.id = SubjectKeyID
		}
		t.Run(name+" "+v.String(), func(t *testing.T) {
			a, err := Split(signed(t, testModule(), id, Options{Hash: v.hash, ID: v.id}))
			require.NoError(t, err)
			p7s := filepath.Join(t.TempDir(), "m.p7s")
			require.NoError(t, os.WriteFile(p7s, a.PKCS7, 0o600))
			run(t, openssl, "cms", "-verify", "-binary", "-inform", "DER", "-in", p7s, "-content", body,
				"-certfile", id.certFile, "-noverify", "-out", os.DevNull)
		})
	}
}

// modinfo decodes the same signature with kmod's code.
func TestSummaryIsModinfos(t *testing.T) {
	modinfo := oracle.Path(t, "modinfo")
	for name, id := range allIdentities(t) {
		if name == "BMP issuer" || name == "serial 0" || name == "T61 issuer" || name == "long issuer" {
			continue // modinfo prints raw bytes, or nothing
		}
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "m.ko")
			module := signed(t, testModule(), id, Options{})
			require.NoError(t, os.WriteFile(file, module, 0o600))
			a, err := Split(module)
			require.NoError(t, err)
			s, err := Parse(a.PKCS7)
			require.NoError(t, err)
			got := s.Summary()
			assert.Equal(t, field(t, modinfo, "signer", file), got.Signer)
			assert.Equal(t, field(t, modinfo, "sig_hashalgo", file), got.Hash)
			key := strings.ToLower(strings.ReplaceAll(field(t, modinfo, "sig_key", file), ":", ""))
			assert.Equal(t, key, got.Serial)
		})
	}
}

func field(t testing.TB, modinfo, name, file string) string {
	t.Helper()
	out, err := exec.Command(modinfo, "-F", name, file).Output()
	require.NoError(t, err)
	return strings.TrimSpace(string(out))
}

func TestSummaryOfOddNames(t *testing.T) {
	t.Parallel()
	ids := awkward(t)
	for name, want := range map[string]Summary{
		"BMP issuer":   {Signer: "BMPŽ", Serial: "1234", Hash: "sha256"},
		"T61 issuer":   {Signer: "T61 é", Serial: "1234", Hash: "sha256"},
		"serial 0":     {Signer: "test key rsa2048", Serial: "00", Hash: "sha256"},
		"empty issuer": {Serial: "1234", Hash: "sha256"},
		"long issuer":  {Signer: strings.Repeat("\ufffd", 300) + "x", Serial: "1234", Hash: "sha256"},
	} {
		a, err := Split(signed(t, testModule(), ids[name], Options{}))
		require.NoError(t, err)
		s, err := Parse(a.PKCS7)
		require.NoError(t, err)
		assert.Equal(t, want, s.Summary(), name)
	}
	assert.Equal(t, Summary{}, (&Signature{}).Summary())
}
