package cases

import (
	"strings"

	"github.com/kmodseal/kmodseal/e2e/secureboot/der"
	"github.com/kmodseal/kmodseal/e2e/secureboot/pki"
	"github.com/kmodseal/kmodseal/e2e/secureboot/wire"
)

// keys: every kind and size of key.
func (m *maker) keys() {
	for _, k := range []string{"good", "rsa1024", "rsa1536", "rsa2056", "rsa3072", "rsa4096", "rsa8192", "rsae3", "p256", "p384", "p521", "ed25519"} {
		m.signed("key-"+k, k, "sha256")
	}
	m.put(Case{Name: "init-module", Method: wire.Init, Module: "sbprobe", Ext: ".ko", Bytes: sign(m.probe(), m.cert("good"), "sha256")})
	m.signed("key-stranger", "stranger", "sha256")
	m.add("unsigned", m.probe())
}

// hashes: every digest under RSA and the curves.
func (m *maker) hashes() {
	for _, h := range []string{"md5", "sha1", "sha224", "sha384", "sha512", "sha3-256", "sha3-384", "sha3-512"} {
		m.signed("rsa2048-"+h, "good", h)
		if h == "md5" {
			continue
		}
		m.signed("p256-"+h, "p256", h)
		m.signed("p384-"+h, "p384", h)
	}
	m.signed("rsa4096-sha512", "rsa4096", "sha512")
	m.signed("p521-sha512", "p521", "sha512")
	m.signed("stranger-sha512", "stranger", "sha512")
	m.signed("stranger-md5", "stranger", "md5")
}

// certificates: every shape of the signer's certificate.
func (m *maker) certificates() {
	for _, c := range []string{
		"serial0", "serialnegative", "seriallong", "emptyname", "bmpname", "t61name", "multirdn", "bare", "v1", "nokeyids", "shortski",
		"serverauth", "modsign", "critical", "badconstraints", "expired", "future", "certmd5", "certsha1", "certsha512", "certsha3-256",
		"badself", "revoked", "ca", "ecca", "cadigsig", "canosign", "renewed", "samename",
	} {
		m.signed("cert-"+c, c, "sha256")
		if m.cert(c).SKI != nil && strings.Contains("serial0 seriallong emptyname shortski badself renewed samename ca", c) {
			m.message("skid-"+c, pki.Message{Signers: []pki.Signer{{Cert: m.cert(c), KeyID: true}}})
		}
	}
	m.message("skid-good", pki.Message{Signers: []pki.Signer{{Cert: m.cert("good"), KeyID: true}}})
	m.message("skid-stranger", pki.Message{Signers: []pki.Signer{{Cert: m.cert("stranger"), KeyID: true}}})
	m.message("skid-p256", pki.Message{Signers: []pki.Signer{{Cert: m.cert("p256"), KeyID: true}}})
}

// chains: certificates carried in the message.
func (m *maker) chains() {
	for _, leaf := range []string{
		"leaf", "leafp256", "leafsha1", "leafsha512", "leafmd5", "leafexpired", "leafnoids", "leafbadsig", "leafed25519",
		"leafbadconstraints", "ecleaf", "nosignleaf", "digsigleaf", "goodleaf", "good", "stranger",
	} {
		m.chain("chain-"+leaf, leaf, false, leaf)
	}
	m.chain("chain-interleaf", "interleaf", false, "interleaf", "inter")
	m.chain("chain-internocaleaf", "internocaleaf", false, "internocaleaf", "internoca")
	m.chain("chain-strangerleaf", "strangerleaf", false, "strangerleaf", "strangerca")
	m.signed("leaf-not-embedded", "leaf", "sha256")
	m.chain("chain-inter-missing", "interleaf", false, "interleaf")
	m.chain("chain-inter-first", "interleaf", false, "inter", "interleaf")
	m.chain("chain-with-root", "leaf", false, "leaf", "ca")
	m.chain("chain-root-only", "leaf", false, "ca")
	m.chain("chain-twice", "leaf", false, "leaf", "leaf")
	m.chain("chain-unrelated", "good", false, "strangerleaf")
	m.chain("chain-unrelated-first", "leaf", false, "stranger", "leaf")
	m.chain("chain-leaf-skid", "leaf", true, "leaf")
	m.chain("chain-interleaf-skid", "interleaf", true, "interleaf", "inter")
	m.chain("chain-samename", "good", false, "samename")
	m.chain("chain-renewed", "renewed", false, "renewed")
	m.chain("chain-good-bad-leaf-behind", "good", false, "leafbadconstraints")
	m.chain("chain-ed25519-behind", "good", false, "ed25519")
	m.message("chain-garbage", pki.Message{Signers: []pki.Signer{{Cert: m.cert("good")}}, Certs: [][]byte{der.Seq(der.Int(1))}})
	m.message("chain-empty", pki.Message{Signers: []pki.Signer{{Cert: m.cert("good")}}, EmptyCerts: true})
	m.message("crls-empty-seq", pki.Message{Signers: []pki.Signer{{Cert: m.cert("good")}}, CRLs: [][]byte{der.Seq()}})
	m.message("crls-list", pki.Message{Signers: []pki.Signer{{Cert: m.cert("good")}}, CRLs: [][]byte{der.Seq(der.Seq(der.Int(1)), der.Seq(), der.Bits(nil))}})
}

func (m *maker) chain(name, signer string, keyID bool, embedded ...string) {
	var certs [][]byte
	for _, e := range embedded {
		certs = append(certs, m.cert(e).DER)
	}
	m.message(name, pki.Message{Signers: []pki.Signer{{Cert: m.cert(signer), KeyID: keyID}}, Certs: certs})
}

// signers: several of them in one message, and none.
func (m *maker) signers() {
	one := func(c string) pki.Signer { return pki.Signer{Cert: m.cert(c)} }
	bad := one("good")
	bad.Value = func(b []byte) []byte { b[len(b)/2] ^= 1; return b }
	weak := one("good")
	weak.Hash = "md5"
	attrs := one("good")
	attrs.Attrs = true
	byKeyID := pki.Signer{Cert: m.cert("good"), KeyID: true}
	for _, c := range []struct {
		name    string
		signers []pki.Signer
	}{
		{"stranger-good", []pki.Signer{one("stranger"), one("good")}},
		{"good-stranger", []pki.Signer{one("good"), one("stranger")}},
		{"good-twice", []pki.Signer{one("good"), one("good")}},
		{"bad-good", []pki.Signer{bad, one("good")}},
		{"good-bad", []pki.Signer{one("good"), bad}},
		{"stranger-stranger", []pki.Signer{one("stranger"), one("stranger")}},
		{"md5-good", []pki.Signer{weak, one("good")}},
		{"good-md5", []pki.Signer{one("good"), weak}},
		{"good-attrs", []pki.Signer{one("good"), attrs}},
		{"attrs-good", []pki.Signer{attrs, one("good")}},
		{"issuer-skid", []pki.Signer{one("good"), byKeyID}},
		{"skid-issuer", []pki.Signer{byKeyID, one("good")}},
		{"two-hashes", []pki.Signer{one("good"), {Cert: m.cert("good"), Hash: "sha1"}}},
		{"p256-good", []pki.Signer{one("p256"), one("good")}},
		{"leaf-good", []pki.Signer{one("leaf"), one("good")}},
	} {
		m.message("signers-"+c.name, pki.Message{Signers: c.signers})
	}
	m.message("signers-none", pki.Message{Signers: nil, DigestAlgs: der.Set(der.Seq(der.OID("2.16.840.1.101.3.4.2.1")))})
	m.message("signers-no-set", pki.Message{NoSigners: true, DigestAlgs: der.Set()})
	m.message("signers-leaf-good-embedded", pki.Message{Signers: []pki.Signer{one("strangerleaf"), one("leaf")}, Certs: [][]byte{m.cert("leaf").DER, m.cert("strangerleaf").DER}})
}
