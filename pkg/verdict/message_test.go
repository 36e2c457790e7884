package verdict_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/e2e/secureboot/der"
	"github.com/kmodseal/kmodseal/e2e/secureboot/pki"
	"github.com/kmodseal/kmodseal/pkg/kmodtest"
	"github.com/kmodseal/kmodseal/pkg/modsig"
	"github.com/kmodseal/kmodseal/pkg/verdict"
)

// answer is what a kernel says of a module.
type answer struct {
	state verdict.State
	errno string
	dmesg string
	rule  string
}

func answerOf(v verdict.Verdict) answer { return answer{v.State, v.Errno, v.Dmesg, v.Rule} }

// machine is a kernel with the certificates of good and p256 in its MOK list.
func machine(t *testing.T, change func(*verdict.Config), anchors ...*pki.Cert) *verdict.Judge {
	t.Helper()
	c := verdict.Config{Kernel: kernelWith(nil)}
	for _, a := range anchors {
		c.Anchors = append(c.Anchors, verdict.Anchor{DER: a.DER})
	}
	if change != nil {
		change(&c)
	}
	j, err := verdict.New(c)
	require.NoError(t, err)
	return j
}

// TestSignerWithoutName: a signer that is named by no byte at all makes the
// search for its key fail with EINVAL (asymmetric_key_match_preparse in
// crypto/asymmetric_keys/asymmetric_type.c), which is fatal whether or not
// signatures are enforced (module_sig_check).
func TestSignerWithoutName(t *testing.T) {
	t.Parallel()
	good, stranger := pki.Make(pki.Spec{Name: "good", Key: "alpha"}), pki.Make(pki.Spec{Name: "stranger", Key: "delta"})
	nobody := pki.Signer{Cert: good, KeyID: true, SID: der.TLV(der.CtxPrim(0))}
	byName := func(c *pki.Cert) pki.Signer { return pki.Signer{Cert: c} }
	refused := answer{verdict.Malformed, "EINVAL", "", "signer-name"}
	unknown := answer{verdict.UnavailableKey, "EKEYREJECTED", "Loading of module with unavailable key is rejected", "key-in-keyring"}
	malformed := answer{verdict.Malformed, "EBADMSG", "", "pkcs7-shape"}
	loads := answer{verdict.Loads, "", "", "key-in-keyring"}
	taints := answer{verdict.Loads, "", "m: module verification failed: signature and/or required key missing - tainting kernel", "not-enforced"}
	body := kmodtest.Build(kmodtest.Spec{Name: "m", Release: rel, Undefined: []kmodtest.Symbol{layout}})
	for name, c := range map[string]struct {
		message  pki.Message
		enforced answer
		open     answer // with Secure Boot off, where the MOK list is empty
	}{
		"empty key id":                {pki.Message{Signers: []pki.Signer{nobody}}, refused, refused},
		"versions say key id":         {pki.Message{Version: 3, Signers: []pki.Signer{{Cert: good, Version: 3}}}, refused, refused},
		"versions say issuer":         {pki.Message{Version: 1, Signers: []pki.Signer{{Cert: good, Version: 1, KeyID: true}}}, refused, refused},
		"before a good signer":        {pki.Message{Signers: []pki.Signer{nobody, {Cert: good, KeyID: true}}}, refused, refused},
		"behind a good signer":        {pki.Message{Signers: []pki.Signer{{Cert: good, KeyID: true}, nobody}}, refused, refused},
		"serial number of no byte":    {pki.Message{Signers: []pki.Signer{{Cert: good, SID: der.Seq(good.Issuer, der.TLV(der.Integer))}}}, unknown, taints},
		"neither issuer nor serial":   {pki.Message{Signers: []pki.Signer{{Cert: good, SID: der.Seq(der.Seq(), der.TLV(der.Integer))}}}, malformed, malformed},
		"one byte of a key id":        {pki.Message{Signers: []pki.Signer{{Cert: good, KeyID: true, SID: der.TLV(der.CtxPrim(0), good.SKI[:1])}}}, unknown, taints},
		"all of it":                   {pki.Message{Signers: []pki.Signer{byName(good)}}, loads, taints},
		"all of it, of a stranger":    {pki.Message{Signers: []pki.Signer{byName(stranger)}}, unknown, taints},
		"stranger before the unnamed": {pki.Message{Signers: []pki.Signer{{Cert: stranger, KeyID: true}, nobody}}, refused, refused},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := verdict.Module{Path: "m.ko", Stored: modsig.Append(body, c.message.Build(body))}
			assert.Equal(t, c.enforced, answerOf(machine(t, nil, good).One(m)))
			assert.Equal(t, c.open, answerOf(machine(t, func(c *verdict.Config) { c.SecureBoot = verdict.Off }, good).One(m)))
		})
	}
}

// TestMD5: kernels before 6.7 take MD5, with RSA, where they have it
// (pkcs7_sig_note_digest_algo); no kernel has a prefix for MD4 in RSA.
func TestMD5(t *testing.T) {
	t.Parallel()
	good := pki.Make(pki.Spec{Name: "good", Key: "alpha"})
	ec := pki.Make(pki.Spec{Name: "ec", Key: "p256"})
	unsupported := answer{verdict.UnsupportedCrypto, "EKEYREJECTED", "Loading of module with unsupported crypto is rejected", "digest-known"}
	for name, c := range map[string]struct {
		release, option string
		signer          *pki.Cert
		oid             string
		change          func([]byte) []byte
		want            answer
	}{
		"6.1":              {"6.1.0-56-amd64", "y", good, "", nil, answer{verdict.Loads, "", "", "key-in-keyring"}},
		"6.1, tampered":    {"6.1.0-56-amd64", "y", good, "", func(b []byte) []byte { b[9] ^= 1; return b }, answer{verdict.Tampered, "EKEYREJECTED", "", "signature-value"}},
		"6.1 without MD5":  {"6.1.0-56-amd64", "n", good, "", nil, unsupported},
		"6.1, not loaded":  {"6.1.0-56-amd64", "m", good, "", nil, unsupported},
		"6.1, named MD4":   {"6.1.0-56-amd64", "y", good, "1.2.840.113549.2.4", nil, unsupported},
		"6.6":              {"6.6.1-1-amd64", "y", good, "", nil, answer{verdict.Loads, "", "", "key-in-keyring"}},
		"6.12 forgot it":   {rel, "y", good, "", nil, unsupported},
		"never with ECDSA": {"6.1.0-56-amd64", "y", ec, "", nil, answer{verdict.Tampered, "EKEYREJECTED", "", "signature-value"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := machine(t, func(v *verdict.Config) {
				v.Kernel.Release, v.Kernel.Config["CRYPTO_MD5"], v.Kernel.Config["CRYPTO_ECDSA"] = c.release, c.option, "y"
			}, good, ec)
			body := kmodtest.Build(kmodtest.Spec{Name: "m", Release: c.release, Undefined: []kmodtest.Symbol{layout}})
			s := pki.Signer{Cert: c.signer, Hash: "md5"}
			if c.signer == ec {
				s.SigAlg = der.Seq(der.OID("1.2.840.10045.4.3.2"))
			}
			if c.oid != "" {
				s.DigAlg = der.Seq(der.OID(c.oid))
			}
			message := pki.Message{Signers: []pki.Signer{s}}.Build(body)
			if c.change != nil {
				body = c.change(body)
			}
			assert.Equal(t, c.want, answerOf(j.One(verdict.Module{Stored: modsig.Append(body, message)})))
		})
	}
}
