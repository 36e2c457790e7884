package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"

	"github.com/kmodseal/kmodseal/e2e/secureboot/der"
)

// Message is a PKCS#7 SignedData (RFC 2315 section 9, RFC 5652 section 5);
// the zero value of an optional field is what sign-file writes.
type Message struct {
	Signers     []Signer
	Certs       [][]byte // embedded
	CRLs        [][]byte
	Version     int    // default 1, 3 if the first signer is named by key id
	DigestAlgs  []byte // DER SET
	ContentType string // default pkcs7-data
	Content     []byte // DER OCTET STRING of attached content; nil: detached
	EmptyCerts  bool   // an empty set of certificates
	OuterType   string // default pkcs7-signedData
	NoSigners   bool
}

// Signer is one SignerInfo over the body.
type Signer struct {
	Cert     *Cert
	Hash     string // default sha256
	Signed   string // digest really signed, where it is not Hash
	KeyID    bool
	Version  int    // default by KeyID
	SID      []byte // DER instead of issuer and serial
	DigAlg   []byte // DER AlgorithmIdentifier
	SigAlg   []byte // DER AlgorithmIdentifier
	Attrs    bool   // with signed attributes, as plain `openssl cms` makes them
	Unsigned []byte // DER of unsigned attributes
	PSS      bool
	Value    func(sig []byte) []byte // changes the signature value
}

const (
	oidData       = "1.2.840.113549.1.7.1"
	oidSignedData = "1.2.840.113549.1.7.2"
	oidRSA        = "1.2.840.113549.1.1.1"
)

// Sign is what sign-file does with the certificate's key.
func Sign(body []byte, c *Cert, hash string) []byte {
	return Message{Signers: []Signer{{Cert: c, Hash: hash}}}.Build(body)
}

// Build signs body and assembles the message.
func (m Message) Build(body []byte) []byte {
	version, algs := m.Version, m.DigestAlgs
	if version == 0 {
		version = 1
		if len(m.Signers) > 0 && m.Signers[0].KeyID {
			version = 3
		}
	}
	var infos, digests [][]byte
	for _, s := range m.Signers {
		infos = append(infos, s.build(body))
		digests = append(digests, s.digestAlg())
	}
	if algs == nil {
		algs = der.Set(digests...)
	}
	content := [][]byte{der.OID(or(m.ContentType, oidData))}
	if m.Content != nil {
		content = append(content, der.TLV(der.Ctx(0), m.Content))
	}
	parts := [][]byte{der.Int(int64(version)), algs, der.Seq(content...)}
	if len(m.Certs) > 0 || m.EmptyCerts {
		parts = append(parts, der.TLV(der.Ctx(0), m.Certs...))
	}
	if len(m.CRLs) > 0 {
		parts = append(parts, der.TLV(der.Ctx(1), m.CRLs...))
	}
	if !m.NoSigners {
		parts = append(parts, der.Set(infos...))
	}
	return der.Seq(der.OID(or(m.OuterType, oidSignedData)), der.TLV(der.Ctx(0), der.Seq(parts...)))
}

func (s Signer) digestAlg() []byte {
	if s.DigAlg != nil {
		return s.DigAlg
	}
	return der.Seq(der.OID(hashOID(or(s.Hash, "sha256"))))
}

func (s Signer) build(body []byte) []byte {
	hash := or(s.Hash, "sha256")
	version, sid := 1, der.Seq(s.Cert.Issuer, s.Cert.Serial)
	if s.KeyID {
		version, sid = 3, der.TLV(der.CtxPrim(0), s.Cert.SKI)
	}
	if s.Version != 0 {
		version = s.Version
	}
	if s.SID != nil {
		sid = s.SID
	}
	alg := s.SigAlg
	if alg == nil {
		alg = signerAlg(s.Cert.Key, hash)
	}
	parts := [][]byte{der.Int(int64(version)), sid, s.digestAlg()}
	if s.Attrs {
		var attrs []byte
		attrs, body = attributes(hash, body)
		parts = append(parts, attrs)
	}
	parts = append(parts, alg, der.TLV(der.Octets, s.value(or(s.Signed, hash), body)))
	if s.Unsigned != nil {
		parts = append(parts, s.Unsigned)
	}
	return der.Seq(parts...)
}

func (s Signer) value(hash string, body []byte) []byte {
	sig := []byte(nil)
	if s.PSS {
		var err error
		// Random salt: the one value here that is not the same twice; no kernel takes it anyway.
		sig, err = rsa.SignPSS(rand.Reader, s.Cert.Key.(*rsa.PrivateKey), Hash(hash), digest(hash, body), nil)
		if err != nil {
			panic(err)
		}
	} else {
		sig = sign(s.Cert.Key, hash, body)
	}
	if s.Value != nil {
		sig = s.Value(sig)
	}
	return sig
}

func signerAlg(key crypto.Signer, hash string) []byte {
	switch key.(type) {
	case *ecdsa.PrivateKey:
		return der.Seq(der.OID(ecdsaOID(hash)))
	case ed25519.PrivateKey:
		return der.Seq(der.OID("1.3.101.112"))
	}
	return der.Seq(der.OID(oidRSA), der.TLV(der.Null))
}

// attributes are contentType and messageDigest; signed is what the signature then covers (RFC 5652 section 5.4).
func attributes(hash string, body []byte) (field, signed []byte) {
	one := func(oid string, value []byte) []byte { return der.Seq(der.OID(oid), der.Set(value)) }
	list := der.Join(
		one("1.2.840.113549.1.9.3", der.OID(oidData)),
		one("1.2.840.113549.1.9.4", der.TLV(der.Octets, digest(hash, body))),
	)
	return der.TLV(der.Ctx(0), list), der.Set(list)
}
