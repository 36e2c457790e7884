package cli_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/kmodseal/kmodseal/pkg/kmod"
)

// needles are pieces of the private key, and the passphrase, in every form that a log could show.
func needles() map[string][]byte {
	k := keysOnce()
	n := map[string][]byte{"the passphrase": []byte(passphrase)}
	secret := map[string][]byte{"D": k.key.D.Bytes(), "P": k.key.Primes[0].Bytes(), "Q": k.key.Primes[1].Bytes(), "EC D": k.ec.D.Bytes()}
	for what, b := range secret {
		n[what+" raw"] = b
		n[what+" hex"] = []byte(hex.EncodeToString(b)[8:40])
		n[what+" HEX"] = []byte(strings.ToUpper(hex.EncodeToString(b)[8:40]))
		n[what+" decimal"] = []byte(k.key.D.String()[:40])
	}
	der := pkcs8Of(k.key)
	n["base64 of the PEM"] = []byte(base64.StdEncoding.EncodeToString(pemOf("PRIVATE KEY", der))[40:120])
	n["PEM header"] = []byte("PRIVATE KEY-----")
	block := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	public := base64.StdEncoding.EncodeToString(k.cert["cert"].RawSubjectPublicKeyInfo)
	for i, line := range strings.Split(block, "\n") {
		if len(line) == 64 && i > 1 && !strings.Contains(public, line) {
			n["a PEM line"+string(rune('A'+i))] = []byte(line)
		}
	}
	return n
}

// findKey names what of the key is in data, looking into gzip and module codecs; "" if nothing.
func findKey(data []byte) string {
	for what, n := range needles() {
		if bytes.Contains(data, n) {
			return what
		}
	}
	if z, err := gzip.NewReader(bytes.NewReader(data)); err == nil {
		if inner, _ := io.ReadAll(io.LimitReader(z, 64<<20)); len(inner) > 0 {
			return findKey(inner)
		}
	}
	if plain, codec, err := kmod.Decode(data, 0); err == nil && codec != kmod.None {
		return findKey(plain)
	}
	return ""
}

func TestFindKeyFinds(t *testing.T) {
	t.Parallel()
	k := keysOnce()
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, err := w.Write(append([]byte("tar"), k.key.D.Bytes()...))
	assert.NoError(t, err)
	assert.NoError(t, w.Close())
	for name, data := range map[string][]byte{
		"PEM": pemOf("X", pkcs8Of(k.key)), "DER": pkcs8Of(k.key), "hex": []byte(hex.EncodeToString(pkcs8Of(k.key))),
		"base64 PEM": []byte(base64.StdEncoding.EncodeToString(pemOf("PRIVATE KEY", pkcs8Of(k.key)))), "gzip": z.Bytes(),
		"passphrase": []byte("x" + passphrase),
	} {
		assert.NotEmpty(t, findKey(data), name)
	}
	assert.Empty(t, findKey(k.cert["cert"].Raw))
	assert.Empty(t, findKey(pemOf("CERTIFICATE", k.cert["cert"].Raw)))
}
