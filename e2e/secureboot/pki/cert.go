package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha1"
	"crypto/x509"
	"math/big"

	"github.com/kmodseal/kmodseal/e2e/secureboot/der"
)

// Spec says what certificate to make; the zero value of a field is what a
// code-signing certificate usually has.
type Spec struct {
	Name       string   // CN; also decides subject key id and serial
	Key        string   // of the subject, see Key
	Issuer     *Cert    // nil: self-signed
	Hash       string   // of the certificate's own signature; default sha256
	Serial     *big.Int // default: from Name
	Subject    []byte   // DER Name; default O=kmodseal test, CN=Name
	From, To   string   // UTCTime; default 2024 to 2049
	Version    int      // default 3
	Extensions [][]byte // default Leaf()
	Bare       bool     // no extensions at all
	NoKeyIDs   bool     // neither subject nor authority key id
	SKI        []byte   // default: SHA-1 of Name
	BadSig     bool     // one bit of the certificate's signature flipped
	SigAlg     []byte   // DER AlgorithmIdentifier instead of the right one
}

// Cert is a certificate with its key.
type Cert struct {
	Name    string
	DER     []byte
	Subject []byte // DER Name
	Issuer  []byte // DER Name
	Serial  []byte // DER INTEGER
	SKI     []byte // nil: none
	Key     crypto.Signer
}

// Make builds the certificate (RFC 5280 section 4.1).
func Make(s Spec) *Cert {
	c := &Cert{Name: s.Name, Key: Key(s.Key), Subject: s.Subject, SKI: s.SKI}
	id := sha1.Sum([]byte(s.Name))
	if c.Subject == nil {
		c.Subject = Name(der.UTF8, s.Name)
	}
	if c.SKI == nil {
		c.SKI = id[:]
	}
	if s.NoKeyIDs || s.Bare || s.Version == 1 {
		c.SKI = nil
	}
	if s.Serial == nil {
		s.Serial = new(big.Int).SetBytes(append([]byte{0x11}, id[:7]...))
	}
	c.Serial = der.BigInt(s.Serial)
	issuer := s.Issuer
	if issuer == nil {
		issuer = c
	}
	c.Issuer = issuer.Subject
	c.DER = s.assemble(c, issuer)
	return c
}

func (s Spec) assemble(c, issuer *Cert) []byte {
	hash := or(s.Hash, "sha256")
	alg := s.SigAlg
	if alg == nil {
		alg = certAlg(issuer.Key, hash)
	}
	spki, err := x509.MarshalPKIXPublicKey(c.Key.Public())
	if err != nil {
		panic(err)
	}
	parts := [][]byte{}
	if s.Version != 1 {
		parts = append(parts, der.TLV(der.Ctx(0), der.Int(2)))
	}
	validity := der.Seq(der.TLV(der.UTCTime, []byte(or(s.From, "240101000000Z"))), der.TLV(der.UTCTime, []byte(or(s.To, "490101000000Z"))))
	parts = append(parts, c.Serial, alg, c.Issuer, validity, c.Subject, spki)
	if !s.Bare && s.Version != 1 {
		parts = append(parts, der.TLV(der.Ctx(3), der.Seq(s.extensions(c, issuer)...)))
	}
	tbs := der.Seq(parts...)
	sig := sign(issuer.Key, hash, tbs)
	if s.BadSig {
		sig[len(sig)/2] ^= 1
	}
	return der.Seq(tbs, alg, der.Bits(sig))
}

func (s Spec) extensions(c, issuer *Cert) [][]byte {
	ext := s.Extensions
	if ext == nil {
		ext = Leaf()
	}
	ext = append([][]byte{}, ext...)
	if s.NoKeyIDs {
		return ext
	}
	ext = append(ext, Extension("2.5.29.14", false, der.TLV(der.Octets, c.SKI)))
	if issuer.SKI != nil {
		ext = append(ext, Extension("2.5.29.35", false, der.Seq(der.TLV(der.CtxPrim(0), issuer.SKI))))
	}
	return ext
}

func certAlg(key crypto.Signer, hash string) []byte {
	switch key.(type) {
	case *ecdsa.PrivateKey:
		return der.Seq(der.OID(ecdsaOID(hash)))
	case ed25519.PrivateKey:
		return der.Seq(der.OID("1.3.101.112"))
	}
	return der.Seq(der.OID(rsaOID(hash)), der.TLV(der.Null))
}

// Name is O=kmodseal test, CN=cn with the string type given.
func Name(stringType byte, cn string) []byte {
	text := []byte(cn)
	if stringType == der.BMP {
		text = nil
		for _, r := range cn {
			text = append(text, byte(r>>8), byte(r))
		}
	}
	return der.Seq(
		der.Set(der.Seq(der.OID("2.5.4.10"), der.TLV(der.UTF8, []byte("kmodseal test")))),
		der.Set(der.Seq(der.OID("2.5.4.3"), der.TLV(stringType, text))),
	)
}

// Extension is one X.509 extension around a DER value.
func Extension(oid string, critical bool, value []byte) []byte {
	parts := [][]byte{der.OID(oid)}
	if critical {
		parts = append(parts, der.TLV(der.Bool, []byte{0xff}))
	}
	return der.Seq(append(parts, der.TLV(der.Octets, value))...)
}

// KeyUsage bits (RFC 5280 section 4.2.1.3) in the first octet of the string.
const (
	DigitalSignature = 0x80
	KeyEncipherment  = 0x20
	KeyCertSign      = 0x04
	CRLSign          = 0x02
)

// Usage is a keyUsage extension.
func Usage(bits byte) []byte {
	return Extension("2.5.29.15", false, der.TLV(der.BitString, []byte{1, bits}))
}

// Constraints is a critical basicConstraints extension.
func Constraints(ca bool) []byte {
	if ca {
		return Extension("2.5.29.19", true, der.Seq(der.TLV(der.Bool, []byte{0xff})))
	}
	return Extension("2.5.29.19", true, der.Seq())
}

// ExtUsage is an extendedKeyUsage extension.
func ExtUsage(oids ...string) []byte {
	var parts [][]byte
	for _, o := range oids {
		parts = append(parts, der.OID(o))
	}
	return Extension("2.5.29.37", false, der.Seq(parts...))
}

// Extended key usages.
const (
	CodeSigning   = "1.3.6.1.5.5.7.3.3"
	ServerAuth    = "1.3.6.1.5.5.7.3.1"
	ModuleSigning = "1.3.6.1.4.1.2312.16.1.2"
)

// Leaf are the extensions of a code-signing certificate.
func Leaf() [][]byte {
	return [][]byte{Constraints(false), Usage(DigitalSignature), ExtUsage(CodeSigning)}
}

// Authority are the extensions of a CA.
func Authority() [][]byte { return [][]byte{Constraints(true), Usage(KeyCertSign | CRLSign)} }

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
