package modsig

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/kmodtest"
)

// identity is a test key with a certificate, as objects and as files for the
// oracles.
type identity struct {
	key               crypto.Signer
	cert              *x509.Certificate
	keyFile, certFile string
	issuer            *identity // nil: self-signed
}

// testKey reads testdata/keys/NAME.pem.
func testKey(t testing.TB, name string) crypto.Signer {
	t.Helper()
	data, err := os.ReadFile(keyFile(name))
	require.NoError(t, err)
	block, _ := pem.Decode(data)
	require.NotNil(t, block)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	require.NoError(t, err)
	return key.(crypto.Signer)
}

func keyFile(name string) string {
	return filepath.Join("..", "..", "testdata", "keys", name+".pem")
}

// certOption bends the certificate that newIdentity makes.
type certOption func(*x509.Certificate)

func newIdentity(t testing.TB, key string, options ...certOption) *identity {
	t.Helper()
	return issue(t, key, nil, options...)
}

// issue makes an identity under a CA; nil: self-signed.
func issue(t testing.TB, key string, ca *identity, options ...certOption) *identity {
	t.Helper()
	signer := testKey(t, key)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(0x1234),
		Subject:      pkix.Name{Organization: []string{"Example"}, CommonName: "test key " + key},
		NotBefore:    time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:     time.Date(2124, 1, 1, 0, 0, 0, 0, time.UTC),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		SubjectKeyId: []byte(key + " id 0123456789")[:20],
	}
	for _, o := range options {
		o(template)
	}
	serial := template.SerialNumber
	template.SerialNumber = big.NewInt(1)
	parent, by := template, signer
	if ca != nil {
		parent, by = ca.cert, ca.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, signer.Public(), by)
	require.NoError(t, err)
	der = reserial(t, der, serial, by)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "cert.pem")
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	return &identity{key: signer, cert: cert, keyFile: keyFile(key), certFile: file, issuer: ca}
}

// reserial puts another serial number into a certificate and signs it again:
// Go makes none of more than 20 bytes and none that is negative.
func reserial(t testing.TB, der []byte, serial *big.Int, by crypto.Signer) []byte {
	t.Helper()
	var cert, tbs []asn1.RawValue
	_, err := asn1.Unmarshal(der, &cert)
	require.NoError(t, err)
	_, err = asn1.Unmarshal(cert[0].FullBytes, &tbs)
	require.NoError(t, err)
	number, err := asn1.Marshal(serial)
	require.NoError(t, err)
	tbs[1] = asn1.RawValue{FullBytes: number}
	raw, err := asn1.Marshal(tbs)
	require.NoError(t, err)
	cert[0] = asn1.RawValue{FullBytes: raw}
	value, err := by.Sign(nil, sum(crypto.SHA256, raw), crypto.SHA256)
	require.NoError(t, err)
	bits, err := asn1.Marshal(asn1.BitString{Bytes: value, BitLength: 8 * len(value)})
	require.NoError(t, err)
	cert[2] = asn1.RawValue{FullBytes: bits}
	out, err := asn1.Marshal(cert)
	require.NoError(t, err)
	return out
}

func sum(h crypto.Hash, data []byte) []byte {
	w := h.New()
	w.Write(data)
	return w.Sum(nil)
}

func withSerial(hex string) certOption {
	return func(c *x509.Certificate) { c.SerialNumber, _ = new(big.Int).SetString(hex, 16) }
}

// withName sets the subject from RDNs of attributes, each with the tag of its
// string.
func withName(t testing.TB, rdns ...[]attribute) certOption {
	t.Helper()
	var name []asn1.RawValue
	for _, rdn := range rdns {
		var set []byte
		for _, a := range rdn {
			der, err := asn1.Marshal(struct {
				Type  asn1.ObjectIdentifier
				Value asn1.RawValue
			}{parseOID(a.oid), asn1.RawValue{Tag: a.tag, Bytes: []byte(a.value)}})
			require.NoError(t, err)
			set = append(set, der...)
		}
		name = append(name, asn1.RawValue{Tag: asn1.TagSet, IsCompound: true, Bytes: set})
	}
	raw, err := asn1.Marshal(name)
	require.NoError(t, err)
	return func(c *x509.Certificate) { c.RawSubject = raw }
}

type attribute struct {
	oid   string
	tag   int
	value string
}

func cn(tag int, value string) []attribute { return []attribute{{oidCommonName, tag, value}} }

// awkward are certificates that have broken other signers.
func awkward(t testing.TB) map[string]*identity {
	t.Helper()
	const bmp, t61, organization, unit = 30, 20, "2.5.4.10", "2.5.4.11"
	ca := newIdentity(t, "rsa2048-other", func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
		c.Subject.CommonName = "Example driver CA"
	})
	return map[string]*identity{
		"serial 0":         newIdentity(t, "rsa2048", withSerial("0")),
		"serial 1":         newIdentity(t, "rsa2048", withSerial("1")),
		"serial 0x80":      newIdentity(t, "rsa2048", withSerial("80")),
		"serial of 20 FF":  newIdentity(t, "rsa2048", withSerial("ffffffffffffffffffffffffffffffffffffffff")),
		"serial 7F":        newIdentity(t, "rsa2048", withSerial("7f")),
		"empty issuer":     newIdentity(t, "rsa2048", withName(t)),
		"UTF-8 issuer":     newIdentity(t, "rsa2048", withName(t, cn(asn1.TagUTF8String, "ключ 鍵"))),
		"BMP issuer":       newIdentity(t, "rsa2048", withName(t, cn(bmp, "\x00B\x00M\x00P\x01\x7d"))),
		"T61 issuer":       newIdentity(t, "rsa2048", withName(t, cn(t61, "T61 \xe9"))),
		"printable issuer": newIdentity(t, "rsa2048", withName(t, cn(asn1.TagPrintableString, "plain"))),
		"multi-valued RDN": newIdentity(t, "rsa2048", withName(t,
			[]attribute{{organization, 12, "Org"}, {unit, 12, "Unit"}}, append(cn(12, "multi"), attribute{unit, 19, "b"}))),
		"leaf under a CA": issue(t, "rsa2048", ca),
		"expired": newIdentity(t, "rsa2048", func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Unix(1577836800, 0), time.Unix(1609459200, 0)
		}),
		"no key id":    newIdentity(t, "rsa2048", func(c *x509.Certificate) { c.SubjectKeyId = nil }),
		"short key id": newIdentity(t, "rsa2048", func(c *x509.Certificate) { c.SubjectKeyId = []byte{0} }),
		"long issuer":  newIdentity(t, "rsa2048", withName(t, cn(12, string(make([]byte, 300))+"x"))),
	}
}

// testModule is a small module.
func testModule() []byte { return kmodtest.Build(kmodtest.Spec{Name: "flip", Machine: "amd64"}) }

// signed signs body by Sign and appends.
func signed(t testing.TB, body []byte, id *identity, o Options) []byte {
	t.Helper()
	h := o.Hash
	if h == 0 {
		h = crypto.SHA256
	}
	der, err := Sign(sum(h, body), id.key, id.cert, o)
	require.NoError(t, err)
	return Append(body, der)
}
