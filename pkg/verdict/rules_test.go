package verdict_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/kmodseal/kmodseal/e2e/secureboot/der"
	"github.com/kmodseal/kmodseal/e2e/secureboot/pki"
	"github.com/kmodseal/kmodseal/pkg/kmodtest"
	"github.com/kmodseal/kmodseal/pkg/modsig"
	"github.com/kmodseal/kmodseal/pkg/verdict"
)

// TestTwoFaults: which of two things that are wrong the kernel comes to first.
// Named after kernel/module_signature.c (trailer), crypto/asymmetric_keys/
// pkcs7_parser.c (message), pkcs7_verify.c (verify) and pkcs7_trust.c (trust).
func TestTwoFaults(t *testing.T) {
	t.Parallel()
	good, stranger := pki.Make(pki.Spec{Name: "good", Key: "alpha"}), pki.Make(pki.Spec{Name: "stranger", Key: "delta"})
	body := kmodtest.Build(kmodtest.Spec{Name: "m", Release: rel, Undefined: []kmodtest.Symbol{layout}})
	by := func(c *pki.Cert) pki.Signer { return pki.Signer{Cert: c} }
	bad := pki.Signer{Cert: good, Value: func(b []byte) []byte { b[len(b)/2] ^= 1; return b }}
	attrs := pki.Signer{Cert: stranger, Attrs: true}
	none := by(good)
	none.DigAlg = der.Seq(der.OID("1.2.3.4.5"))
	tail := func(at int, v byte) func([]byte) {
		return func(b []byte) { b[len(b)-len(modsig.Marker)-12+at] = v }
	}
	both := func(changes ...func([]byte)) func([]byte) {
		return func(b []byte) {
			for _, c := range changes {
				c(b)
			}
		}
	}
	rejected := func(s verdict.State, what, rule string) answer {
		return answer{s, "EKEYREJECTED", "Loading of " + what + " is rejected", rule}
	}
	loads := answer{verdict.Loads, "", "", "key-in-keyring"}
	unknown := rejected(verdict.UnavailableKey, "module with unavailable key", "key-in-keyring")
	tampered := answer{verdict.Tampered, "EKEYREJECTED", "", "signature-value"}
	for name, c := range map[string]struct {
		message pki.Message
		change  func([]byte)
		want    answer
	}{
		"trailer: length before type":          {pki.Message{Signers: []pki.Signer{by(good)}}, both(tail(8, 0x7f), tail(2, 1)), answer{verdict.Malformed, "EBADMSG", "", "trailer"}},
		"trailer: type before other fields":    {pki.Message{Signers: []pki.Signer{by(good)}}, both(tail(0, 1), tail(2, 1)), rejected(verdict.UnsupportedCrypto, "module with unsupported crypto", "trailer")},
		"trailer: fields before the message":   {pki.Message{Signers: []pki.Signer{attrs}}, tail(7, 1), answer{verdict.Malformed, "EBADMSG", "module: PKCS#7 signature info has unexpected non-zero params", "trailer"}},
		"message: one with attributes":         {pki.Message{Signers: []pki.Signer{by(good), attrs}}, nil, answer{verdict.Malformed, "EINVAL", "PKCS7: Inconsistently supplied authAttrs", "pkcs7-shape"}},
		"message: unknown digest of any":       {pki.Message{Signers: []pki.Signer{by(good), none}}, nil, rejected(verdict.UnsupportedCrypto, "module with unsupported crypto", "digest-known")},
		"message: content before the signer":   {pki.Message{Signers: []pki.Signer{by(stranger)}, Content: der.TLV(der.Octets, body)}, nil, answer{verdict.Malformed, "EBADMSG", "PKCS7: Data already supplied", "detached"}},
		"verify: attributes before the key":    {pki.Message{Signers: []pki.Signer{attrs}}, nil, answer{verdict.Malformed, "EKEYREJECTED", "PKCS7: Invalid module sig (has authattrs)", "no-signed-attributes"}},
		"verify: bad value, certificate there": {pki.Message{Signers: []pki.Signer{bad}, Certs: [][]byte{good.DER}}, nil, answer{verdict.Tampered, "EINVAL", "", "pkcs7-verify"}},
		"trust: a bad value behind a good":     {pki.Message{Signers: []pki.Signer{by(good), bad}}, nil, tampered},
		"trust: a bad value before a good":     {pki.Message{Signers: []pki.Signer{bad, by(good)}}, nil, tampered},
		"trust: a stranger before a good":      {pki.Message{Signers: []pki.Signer{by(stranger), by(good)}}, nil, loads},
		"trust: strangers only":                {pki.Message{Signers: []pki.Signer{by(stranger), by(stranger)}}, nil, unknown},
		"trust: a certificate of no use":       {pki.Message{Signers: []pki.Signer{by(good)}, Certs: [][]byte{stranger.DER}}, nil, loads},
		"trust: junk for a certificate":        {pki.Message{Signers: []pki.Signer{by(good)}, Certs: [][]byte{der.Seq(der.Int(1))}}, nil, answer{verdict.Malformed, "EBADMSG", "", "pkcs7-shape"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			module := modsig.Append(bytes.Clone(body), c.message.Build(body))
			if c.change != nil {
				c.change(module)
			}
			assert.Equal(t, c.want, answerOf(machine(t, nil, good).One(verdict.Module{Path: "m.ko", Stored: module})))
		})
	}
}
