package cases

import (
	"bytes"

	"github.com/kmodseal/kmodseal/e2e/secureboot/der"
	"github.com/kmodseal/kmodseal/e2e/secureboot/pki"
)

type (
	// M is the message that a form changes.
	M = *pki.Message
	// S is its signer.
	S = *pki.Signer
)

// with is a message of the good signer with changes.
func (m *maker) with(name string, change func(*pki.Message, *pki.Signer)) {
	s := pki.Signer{Cert: m.cert("good")}
	msg := pki.Message{}
	change(&msg, &s)
	if msg.Signers == nil {
		msg.Signers = []pki.Signer{s}
	}
	m.message("form-"+name, msg)
}

// forms: what a PKCS#7 message can look like besides what sign-file writes.
func (m *maker) forms() {
	m.with("signed-attrs", func(_ M, s S) { s.Attrs = true })
	m.with("signed-attrs-cert", func(p M, s S) { s.Attrs = true; p.Certs = [][]byte{s.Cert.DER} })
	m.with("signed-attrs-stranger", func(_ M, s S) { s.Attrs = true; s.Cert = m.cert("stranger") })
	m.with("empty-attrs", func(_ M, s S) {
		s.Unsigned = der.TLV(der.Ctx(1), der.Seq(der.OID("1.2.3.4"), der.Set(der.TLV(der.Null))))
	})
	m.with("unsigned-attrs-empty", func(_ M, s S) { s.Unsigned = der.TLV(der.Ctx(1)) })
	m.with("version-0", func(p M, _ S) { p.Version = -1 })
	m.with("version-2", func(p M, _ S) { p.Version = 2 })
	m.with("version-3-by-issuer", func(p M, _ S) { p.Version = 3 })
	m.with("version-1-by-skid", func(p M, s S) { s.KeyID, p.Version = true, 1 })
	m.with("signer-version-2", func(_ M, s S) { s.Version = 2 })
	m.with("signer-version-3", func(_ M, s S) { s.Version = 3 })
	m.with("both-version-3-by-issuer", func(p M, s S) { p.Version, s.Version = 3, 3 })
	m.with("both-version-1-by-skid", func(p M, s S) { s.KeyID, p.Version, s.Version = true, 1, 1 })
	m.with("content-type-enveloped", func(p M, _ S) { p.ContentType = "1.2.840.113549.1.7.3" })
	m.with("content-type-authenticode", func(p M, _ S) { p.ContentType = "1.3.6.1.4.1.311.2.1.4" })
	m.with("content-type-unknown", func(p M, _ S) { p.ContentType = "1.2.3.4.5" })
	m.with("outer-type-data", func(p M, _ S) { p.OuterType = "1.2.840.113549.1.7.1" })
	m.with("outer-type-unknown", func(p M, _ S) { p.OuterType = "1.2.3.4.5" })
	m.with("digests-empty", func(p M, _ S) { p.DigestAlgs = der.Set() })
	m.with("digests-other", func(p M, _ S) { p.DigestAlgs = der.Set(der.Seq(der.OID("1.2.3.4"))) })
	m.with("digests-null-params", func(p M, _ S) {
		p.DigestAlgs = der.Set(der.Seq(der.OID("2.16.840.1.101.3.4.2.1"), der.TLV(der.Null)))
	})
	m.with("serial-padded", func(_ M, s S) {
		s.SID = der.Seq(s.Cert.Issuer, der.TLV(der.Integer, append([]byte{0}, s.Cert.Serial[2:]...)))
	})
	m.with("serial-off-by-one", func(_ M, s S) {
		s.SID = der.Seq(s.Cert.Issuer, changed(s.Cert.Serial, func(b []byte) { b[len(b)-1]++ }))
	})
	m.with("issuer-printable", func(_ M, s S) { s.SID = der.Seq(pki.Name(der.Printable, "good"), s.Cert.Serial) })
	m.with("issuer-empty", func(_ M, s S) { s.SID = der.Seq(der.Seq(), s.Cert.Serial) })
	m.with("issuer-other", func(_ M, s S) { s.SID = der.Seq(m.cert("stranger").Issuer, s.Cert.Serial) })
	m.with("skid-empty", func(p M, s S) { s.KeyID = true; s.SID = der.TLV(der.CtxPrim(0)) })
	m.with("skid-short", func(p M, s S) { s.KeyID = true; s.SID = der.TLV(der.CtxPrim(0), s.Cert.SKI[:19]) })
	m.with("skid-suffix", func(p M, s S) { s.KeyID = true; s.SID = der.TLV(der.CtxPrim(0), s.Cert.SKI[12:]) })
	m.with("skid-long", func(p M, s S) { s.KeyID = true; s.SID = der.TLV(der.CtxPrim(0), append([]byte{0}, s.Cert.SKI...)) })
	m.with("skid-explicit", func(p M, s S) {
		s.KeyID = true
		s.SID = der.TLV(der.Ctx(0), der.TLV(der.Octets, s.Cert.SKI))
	})
}

// algorithms: what names the digest and the signature's kind.
func (m *maker) algorithms() {
	rsa := func(oid string, params ...[]byte) []byte {
		return der.Seq(append([][]byte{der.OID(oid)}, params...)...)
	}
	m.with("sha256-with-rsa", func(_ M, s S) { s.SigAlg = rsa("1.2.840.113549.1.1.11", der.TLV(der.Null)) })
	m.with("rsa-no-params", func(_ M, s S) { s.SigAlg = rsa("1.2.840.113549.1.1.1") })
	m.with("rsa-odd-params", func(_ M, s S) { s.SigAlg = rsa("1.2.840.113549.1.1.1", der.Int(5)) })
	m.with("ecdsa-name-rsa-key", func(_ M, s S) { s.SigAlg = rsa("1.2.840.10045.4.3.2") })
	m.with("rsa-name-ec-key", func(_ M, s S) {
		s.Cert = m.cert("p256")
		s.SigAlg = rsa("1.2.840.113549.1.1.1", der.TLV(der.Null))
	})
	m.with("ecdsa-sha384-name-sha256", func(_ M, s S) { s.Cert = m.cert("p256"); s.SigAlg = rsa("1.2.840.10045.4.3.3") })
	m.with("unknown-algorithm", func(_ M, s S) { s.SigAlg = rsa("1.2.3.4.5") })
	m.with("pss", func(_ M, s S) { s.PSS = true; s.SigAlg = rsa("1.2.840.113549.1.1.10") })
	m.with("pss-named-rsa", func(_ M, s S) { s.PSS = true })
	m.with("digest-null-params", func(_ M, s S) { s.DigAlg = rsa("2.16.840.1.101.3.4.2.1", der.TLV(der.Null)) })
	m.with("digest-odd-params", func(_ M, s S) { s.DigAlg = rsa("2.16.840.1.101.3.4.2.1", der.Int(7)) })
	m.with("digest-unknown", func(_ M, s S) { s.DigAlg = rsa("1.2.3.4.5") })
	m.with("digest-sha512-256", func(_ M, s S) { s.DigAlg = rsa("2.16.840.1.101.3.4.2.6") })
	m.with("digest-sm3", func(_ M, s S) { s.DigAlg = rsa("1.2.156.10197.1.401") })
	m.with("digest-streebog", func(_ M, s S) { s.DigAlg = rsa("1.2.643.7.1.1.2.2") })
	m.with("digest-is-rsa", func(_ M, s S) { s.DigAlg = rsa("1.2.840.113549.1.1.1") })
	m.with("hash-says-sha1", func(_ M, s S) { s.Hash, s.Signed = "sha1", "sha256" })
	m.with("hash-says-sha256", func(_ M, s S) { s.Signed = "sha1" })
	m.with("value-empty", func(_ M, s S) { s.Value = func([]byte) []byte { return nil } })
	m.with("value-short", func(_ M, s S) { s.Value = func(b []byte) []byte { return b[1:] } })
	m.with("value-zero-in-front", func(_ M, s S) { s.Value = func(b []byte) []byte { return append([]byte{0}, b...) } })
	m.with("value-byte-behind", func(_ M, s S) { s.Value = func(b []byte) []byte { return append(b, 0) } })
	m.with("value-zeros", func(_ M, s S) { s.Value = func(b []byte) []byte { return make([]byte, len(b)) } })
	m.with("value-ones", func(_ M, s S) { s.Value = func(b []byte) []byte { return bytes.Repeat([]byte{0xff}, len(b)) } })
	m.with("ec-value-garbage", func(_ M, s S) {
		s.Cert = m.cert("p256")
		s.Value = func([]byte) []byte { return []byte("no signature") }
	})
	m.with("ec-value-negative", func(_ M, s S) {
		s.Cert = m.cert("p256")
		s.Value = func([]byte) []byte { return der.Seq(der.Int(-5), der.Int(-7)) }
	})
	m.with("ec-value-behind", func(_ M, s S) { s.Cert = m.cert("p256"); s.Value = func(b []byte) []byte { return append(b, 0, 0) } })
}

// encoding: the same message in bytes that DER does not allow.
func (m *maker) encoding() {
	good := pki.Sign(m.probe(), m.cert("good"), "sha256")
	inner := content(good) // OID and [0]
	add := func(name string, msg []byte) { m.add("ber-"+name, attach(m.probe(), msg)) }
	add("zero-behind", append(bytes.Clone(good), 0))
	add("zeros-behind", append(bytes.Clone(good), 0, 0))
	add("twice", append(bytes.Clone(good), good...))
	add("sequence-behind", append(bytes.Clone(good), der.Seq()...))
	add("long-length", der.LongTLV(der.Sequence, 3, inner))
	add("length-of-4", der.LongTLV(der.Sequence, 4, inner))
	add("length-of-5", der.LongTLV(der.Sequence, 5, inner))
	add("indefinite", der.Indefinite(der.Sequence, inner))
	add("set-outside", der.TLV(der.SetOf, inner))
	add("primitive-outside", der.TLV(0x10, inner))
	add("no-content-info", content(content(inner[11:])))
	add("cut", good[:len(good)-1])
	add("cut-half", good[:len(good)/2])
	add("empty-sequence", der.Seq())
	add("null", der.TLV(der.Null))
	add("zeros", make([]byte, 300))
	add("text", []byte("-----BEGIN PKCS7-----\nAAAA\n-----END PKCS7-----\n"))
	add("one-byte", []byte{0x30})
	add("long-tag", append([]byte{0x3f, 0x81, 0x01}, good[1:]...))
}

// content is the content of the first element of b.
func content(b []byte) []byte {
	n := int(b[1])
	if n < 0x80 {
		return b[2:]
	}
	return b[2+n&0x7f:]
}

// attached: messages that bring content of their own.
func (m *maker) attached() {
	octets := func(b []byte) []byte { return der.TLV(der.Octets, b) }
	m.with("attached-module", func(p M, _ S) { p.Content = octets(m.probe()) })
	m.with("attached-other", func(p M, _ S) { p.Content = octets([]byte("something else")) })
	m.with("attached-empty", func(p M, _ S) { p.Content = octets(nil) })
	m.with("attached-stranger", func(p M, s S) { p.Content = octets(m.probe()); s.Cert = m.cert("stranger") })
	m.with("attached-attrs", func(p M, s S) { p.Content = octets(m.probe()); s.Attrs = true })
	m.with("attached-large", func(p M, _ S) { p.Content = octets(make([]byte, 70000)) })
}
