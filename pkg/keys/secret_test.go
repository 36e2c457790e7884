package keys

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"math/big"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// However a pair or its signer is printed, logged or encoded, on its own or
// inside of something: no part of the key.
func TestNothingPrintsTheKey(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"rsa2048", "p256"} {
		dir := files(t, map[string][]byte{"k": join(keyPEM(t, name), certPEM(certFor(t, name)))})
		p, err := loadIn(dir, "k", "")
		require.NoError(t, err)
		for how, text := range prints(t, p) {
			assert.NotEmpty(t, text, how)
			for _, part := range secretParts(t, name) {
				assert.NotContains(t, text, part, "%s of %s", how, name)
			}
		}
		assert.Contains(t, p.String(), "redacted")
		assert.Contains(t, p.String(), Fingerprint(p.Cert))
	}
	assert.Contains(t, Pair{}.String(), "redacted")
}

func prints(t testing.TB, p *Pair) map[string]string {
	t.Helper()
	type holder struct {
		P *Pair
		V Pair
		S any
	}
	out := map[string]string{}
	for what, v := range map[string]any{
		"pair": p, "value": *p, "signer": p.Signer, "holder": holder{p, *p, p.Signer},
		"list": []any{p, p.Signer}, "map": map[string]any{"p": p, "s": p.Signer},
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T %[1]v"} {
			out[what+" "+verb] = fmt.Sprintf(verb, v)
		}
		js, err := json.Marshal(v)
		require.NoError(t, err)
		out[what+" JSON"] = string(js)
		var text, structured bytes.Buffer
		slog.New(slog.NewTextHandler(&text, nil)).Info("x", "v", v)
		slog.New(slog.NewJSONHandler(&structured, nil)).Info("x", "v", v)
		out[what+" slog text"], out[what+" slog JSON"] = text.String(), structured.String()
	}
	x, err := xml.Marshal(p)
	require.NoError(t, err)
	out["XML"], out["error"] = string(x), fmt.Errorf("load %v: %w", p, err).Error()
	return out
}

// secretParts are beginnings of the key's secret numbers in every spelling.
func secretParts(t testing.TB, name string) []string {
	t.Helper()
	var numbers []*big.Int
	switch k := testKey(t, name).(type) {
	case *rsa.PrivateKey:
		numbers = append([]*big.Int{k.D, k.Precomputed.Dp}, k.Primes...)
	case *ecdsa.PrivateKey:
		raw, err := k.Bytes()
		require.NoError(t, err)
		numbers = []*big.Int{new(big.Int).SetBytes(raw)}
	}
	var out []string
	for _, n := range numbers {
		b := n.Bytes()
		list := strings.Trim(fmt.Sprintf("%d", b[:8]), "[]")
		out = append(out, n.String()[:20], hex.EncodeToString(b[:8]), strings.ToUpper(hex.EncodeToString(b[:8])),
			base64.StdEncoding.EncodeToString(b[:12]), list, string(b[:8]))
	}
	return out
}
