package cases

import (
	"math/big"

	"github.com/kmodseal/kmodseal/e2e/secureboot/der"
	"github.com/kmodseal/kmodseal/e2e/secureboot/pki"
)

// Trust are the certificates of the test by name.
type Trust struct {
	certs map[string]*pki.Cert
	mok   []string // enrolled where a MOK list is, in order
	cas   []string // of those, the authorities
}

// Cert gives a certificate; it panics on a name that is none.
func (t *Trust) Cert(name string) *pki.Cert {
	c, ok := t.certs[name]
	if !ok {
		panic("cases: no certificate " + name)
	}
	return c
}

// MOK are the DER certificates of a machine whose owner enrolled everything.
func (t *Trust) MOK() [][]byte { return t.list(t.mok) }

// CAs are the DER certificates of a machine whose owner enrolled authorities only.
func (t *Trust) CAs() [][]byte { return t.list(t.cas) }

func (t *Trust) list(names []string) [][]byte {
	var out [][]byte
	for _, n := range names {
		out = append(out, t.certs[n].DER)
	}
	return out
}

// NewTrust makes every certificate.
func NewTrust() *Trust {
	t := &Trust{certs: map[string]*pki.Cert{}}
	t.kinds()
	t.names()
	t.shapes()
	t.authorities()
	t.strangers()
	return t
}

func (t *Trust) enrol(s pki.Spec) { t.add(s); t.mok = append(t.mok, s.Name) }

func (t *Trust) enrolCA(s pki.Spec) { t.enrol(s); t.cas = append(t.cas, s.Name) }

func (t *Trust) add(s pki.Spec) { t.certs[s.Name] = pki.Make(s) }

// kinds are self-signed signers of every kind and size of key.
func (t *Trust) kinds() {
	t.enrol(pki.Spec{Name: "good", Key: "alpha"})
	for _, k := range []string{"rsa1024", "rsa1536", "rsa2056", "rsa3072", "rsa4096", "rsa8192", "rsae3", "p256", "ed25519"} {
		t.enrol(pki.Spec{Name: k, Key: k})
	}
	t.enrol(pki.Spec{Name: "p384", Key: "p384", Hash: "sha384"})
	t.enrol(pki.Spec{Name: "p521", Key: "p521", Hash: "sha512"})
}

// names are signers whose names and serial numbers are hard to read.
func (t *Trust) names() {
	t.enrol(pki.Spec{Name: "serial0", Key: "alpha", Serial: big.NewInt(0)})
	t.enrol(pki.Spec{Name: "serialnegative", Key: "alpha", Serial: big.NewInt(-300)})
	long := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 160), big.NewInt(1))
	t.enrol(pki.Spec{Name: "seriallong", Key: "alpha", Serial: long})
	t.enrol(pki.Spec{Name: "emptyname", Key: "alpha", Subject: der.Seq()})
	t.enrol(pki.Spec{Name: "bmpname", Key: "alpha", Subject: pki.Name(der.BMP, "kmodseal bmp")})
	t.enrol(pki.Spec{Name: "t61name", Key: "alpha", Subject: pki.Name(der.T61, "kmodseal t61")})
	two := der.Seq(der.Set(
		der.Seq(der.OID("2.5.4.10"), der.TLV(der.UTF8, []byte("kmodseal test"))),
		der.Seq(der.OID("2.5.4.3"), der.TLV(der.UTF8, []byte("two in one")))))
	t.enrol(pki.Spec{Name: "multirdn", Key: "alpha", Subject: two})
}

// shapes are signers whose extensions, dates and own signatures are unusual.
func (t *Trust) shapes() {
	t.enrol(pki.Spec{Name: "bare", Key: "alpha", Bare: true})
	t.enrol(pki.Spec{Name: "v1", Key: "alpha", Version: 1})
	t.enrol(pki.Spec{Name: "nokeyids", Key: "alpha", NoKeyIDs: true})
	t.enrol(pki.Spec{Name: "shortski", Key: "alpha", SKI: []byte{0x42}})
	server := [][]byte{pki.Constraints(false), pki.Usage(pki.KeyEncipherment), pki.ExtUsage(pki.ServerAuth)}
	t.enrol(pki.Spec{Name: "serverauth", Key: "alpha", Extensions: server})
	modsign := [][]byte{pki.Constraints(false), pki.Usage(pki.DigitalSignature), pki.ExtUsage(pki.CodeSigning, pki.ModuleSigning)}
	t.enrol(pki.Spec{Name: "modsign", Key: "alpha", Extensions: modsign})
	unknown := append(pki.Leaf(), pki.Extension("1.3.6.1.4.1.99999.1", true, der.TLV(der.Null)))
	t.enrol(pki.Spec{Name: "critical", Key: "alpha", Extensions: unknown})
	broken := [][]byte{pki.Extension("2.5.29.19", true, []byte{0x30, 0x03, 0x01, 0x01, 0x00})}
	t.enrol(pki.Spec{Name: "badconstraints", Key: "alpha", Extensions: broken})
	t.enrol(pki.Spec{Name: "expired", Key: "alpha", From: "200101000000Z", To: "210101000000Z"})
	t.enrol(pki.Spec{Name: "future", Key: "alpha", From: "480101000000Z", To: "490101000000Z"})
	for _, h := range []string{"md5", "sha1", "sha512", "sha3-256"} {
		t.enrol(pki.Spec{Name: "cert" + h, Key: "alpha", Hash: h})
	}
	t.enrol(pki.Spec{Name: "badself", Key: "alpha", BadSig: true})
	t.enrol(pki.Spec{Name: "revoked", Key: "alpha"})
}

// authorities are CAs, and what they issued, which nobody enrols.
func (t *Trust) authorities() {
	t.enrolCA(pki.Spec{Name: "ca", Key: "beta", Extensions: pki.Authority()})
	t.enrolCA(pki.Spec{Name: "ecca", Key: "p256b", Extensions: pki.Authority()})
	t.enrolCA(pki.Spec{Name: "cadigsig", Key: "beta", Extensions: [][]byte{pki.Constraints(true), pki.Usage(pki.KeyCertSign | pki.DigitalSignature)}})
	t.enrolCA(pki.Spec{Name: "canosign", Key: "beta", Extensions: [][]byte{pki.Constraints(true), pki.Usage(pki.DigitalSignature)}})
	ca := t.Cert("ca")
	t.add(pki.Spec{Name: "leaf", Key: "gamma", Issuer: ca})
	t.add(pki.Spec{Name: "leafp256", Key: "p256", Issuer: ca})
	t.add(pki.Spec{Name: "leafsha1", Key: "gamma", Issuer: ca, Hash: "sha1"})
	t.add(pki.Spec{Name: "leafsha512", Key: "gamma", Issuer: ca, Hash: "sha512"})
	t.add(pki.Spec{Name: "leafmd5", Key: "gamma", Issuer: ca, Hash: "md5"})
	t.add(pki.Spec{Name: "leafexpired", Key: "gamma", Issuer: ca, From: "200101000000Z", To: "210101000000Z"})
	t.add(pki.Spec{Name: "leafnoids", Key: "gamma", Issuer: ca, NoKeyIDs: true})
	t.add(pki.Spec{Name: "leafbadsig", Key: "gamma", Issuer: ca, BadSig: true})
	t.add(pki.Spec{Name: "leafed25519", Key: "ed25519", Issuer: ca})
	t.add(pki.Spec{Name: "leafbadconstraints", Key: "gamma", Issuer: ca, Extensions: [][]byte{pki.Extension("2.5.29.19", true, []byte{0x30, 0x03, 0x01, 0x01, 0x00})}})
	t.add(pki.Spec{Name: "inter", Key: "delta", Issuer: ca, Extensions: pki.Authority()})
	t.add(pki.Spec{Name: "interleaf", Key: "gamma", Issuer: t.Cert("inter")})
	t.add(pki.Spec{Name: "internoca", Key: "delta", Issuer: ca})
	t.add(pki.Spec{Name: "internocaleaf", Key: "gamma", Issuer: t.Cert("internoca")})
	t.add(pki.Spec{Name: "ecleaf", Key: "gamma", Issuer: t.Cert("ecca")})
	t.add(pki.Spec{Name: "nosignleaf", Key: "gamma", Issuer: t.Cert("canosign")})
	t.add(pki.Spec{Name: "digsigleaf", Key: "gamma", Issuer: t.Cert("cadigsig")})
	t.add(pki.Spec{Name: "goodleaf", Key: "gamma", Issuer: t.Cert("good")})
}

// strangers are enrolled nowhere.
func (t *Trust) strangers() {
	t.add(pki.Spec{Name: "stranger", Key: "delta"})
	good := t.Cert("good")
	// The same key and key id as good, under another serial number or name.
	t.add(pki.Spec{Name: "renewed", Key: "alpha", Subject: good.Subject, SKI: good.SKI})
	t.add(pki.Spec{Name: "samename", Key: "delta", Subject: good.Subject, Serial: new(big.Int).SetBytes(good.Serial[2:]), SKI: good.SKI})
	t.add(pki.Spec{Name: "strangerca", Key: "delta", Extensions: pki.Authority()})
	t.add(pki.Spec{Name: "strangerleaf", Key: "gamma", Issuer: t.Cert("strangerca")})
}
