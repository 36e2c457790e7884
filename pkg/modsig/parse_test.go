package modsig

import (
	"bytes"
	"crypto"
	"encoding/asn1"
	"math/big"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/oracle"
)

// Messages of OpenSSL that the kernel refuses are told apart, not crashed on.
func TestParseForeign(t *testing.T) {
	oracle.Path(t, "openssl")
	id, second, file := newIdentity(t, "rsa2048"), newIdentity(t, "p256"), moduleFile(t)
	v := variants()[0]
	check := func(name string, want func(*testing.T, *Signature, error), args ...string) {
		t.Run(name, func(t *testing.T) {
			s, err := Parse(byOpenSSL(t, file, id, v, args...))
			require.NoError(t, err)
			want(t, s, s.Signers[0].Check(testModule(), id.cert))
		})
	}
	check("certificate embedded", func(t *testing.T, s *Signature, err error) {
		require.NoError(t, err)
		require.Len(t, s.Certificates, 1)
		assert.True(t, s.Signers[0].Names(s.Certificates[0]))
	})
	check("content attached", func(t *testing.T, s *Signature, err error) {
		require.NoError(t, err)
		assert.True(t, s.Attached)
	}, "-nodetach")
	check("RSA-PSS", func(t *testing.T, s *Signature, err error) {
		require.ErrorIs(t, err, ErrUnsupported)
		assert.Equal(t, "1.2.840.113549.1.1.10", s.Signers[0].SignatureOID)
	}, "-keyopt", "rsa_padding_mode:pss")
	check("two signers", func(t *testing.T, s *Signature, _ error) {
		require.Len(t, s.Signers, 2)
		for i := range s.Signers {
			by := id
			if s.Signers[i].Names(second.cert) {
				by = second
			}
			assert.NoError(t, s.Signers[i].Check(testModule(), by.cert))
		}
	}, "-signer", second.certFile, "-inkey", second.keyFile, "-nocerts")
}

func TestParseSignedAttributes(t *testing.T) {
	openssl := oracle.Path(t, "openssl")
	id, file := newIdentity(t, "rsa2048"), moduleFile(t)
	out := filepath.Join(t.TempDir(), "out")
	run(t, openssl, "cms", "-sign", "-binary", "-outform", "DER", "-in", file, "-signer", id.certFile, "-inkey", id.keyFile, "-out", out)
	der, err := os.ReadFile(out)
	require.NoError(t, err)
	s, err := Parse(der)
	require.NoError(t, err)
	assert.True(t, s.Signers[0].SignedAttrs)
	require.NoError(t, s.Signers[0].Supported())
	err = s.Signers[0].Check(testModule(), id.cert)
	require.ErrorIs(t, err, ErrRejected)
	assert.ErrorContains(t, err, "signed attributes")
}

// Every digest that a kernel checks is read and verified, also those that Sign
// does not make.
func TestReadsEveryDigest(t *testing.T) {
	oracle.SignFile(t)
	file := moduleFile(t)
	for _, d := range digests() {
		id := newIdentity(t, "rsa2048")
		assert.NoError(t, verdict(bySignFile(t, file, id, variant{hash: d.hash}), id), d.name)
	}
}

func TestUnknownDigest(t *testing.T) {
	oracle.SignFile(t)
	file, id := moduleFile(t), newIdentity(t, "rsa2048")
	for _, h := range []string{"md5", "rmd160", "sha512-256", "sha3-224"} {
		out := filepath.Join(t.TempDir(), "out.ko")
		run(t, oracle.SignFile(t), h, id.keyFile, id.certFile, file, out)
		module, err := os.ReadFile(out)
		require.NoError(t, err)
		assert.ErrorIs(t, verdict(module, id), ErrUnsupported, h)
	}
}

// message builds a PKCS#7 message from parts that a test may bend.
type message struct {
	contentType, dataType string
	version               any
	digests               any
	content, certs, crls  []byte
	signers               [][]byte
	tail                  []byte
}

type anyElement = asn1.RawValue

func enc(t testing.TB, tag int, parts ...[]byte) []byte {
	t.Helper()
	out, err := asn1.Marshal(anyElement{Class: tag >> 6, Tag: tag & 0x1f, IsCompound: tag&0x20 != 0, Bytes: bytes.Join(parts, nil)})
	require.NoError(t, err)
	return out
}

func val(t testing.TB, v any) []byte {
	t.Helper()
	out, err := asn1.Marshal(v)
	require.NoError(t, err)
	return out
}

func (m message) der(t testing.TB) []byte {
	t.Helper()
	oid := func(s string) []byte { return val(t, parseOID(s)) }
	data := enc(t, tagSequence, val(t, m.version), m.digests.([]byte),
		enc(t, tagSequence, oid(m.dataType), m.content), m.certs, m.crls,
		enc(t, tagSet, m.signers...), m.tail)
	return enc(t, tagSequence, oid(m.contentType), enc(t, 0xa0, data))
}

// signerParts is a SignerInfo's elements in order.
type signerParts struct{ version, id, digest, attrs, algorithm, value, unsigned []byte }

func (p signerParts) der(t testing.TB) []byte {
	t.Helper()
	return enc(t, tagSequence, p.version, p.id, p.digest, p.attrs, p.algorithm, p.value, p.unsigned)
}

func plainSigner(t testing.TB, id *identity, body []byte) signerParts {
	t.Helper()
	value, err := id.key.Sign(nil, sum(crypto.SHA256, body), crypto.SHA256)
	require.NoError(t, err)
	return signerParts{
		version: val(t, 1), id: enc(t, tagSequence, id.cert.RawIssuer, val(t, id.cert.SerialNumber)),
		digest:    enc(t, tagSequence, val(t, parseOID("2.16.840.1.101.3.4.2.1"))),
		algorithm: enc(t, tagSequence, val(t, parseOID(oidRSAEncryption)), []byte{5, 0}),
		value:     val(t, value),
	}
}

func plainMessage(signers ...[]byte) message {
	return message{
		contentType: oidSignedData, dataType: oidData, version: 1, digests: []byte{tagSet, 0}, signers: signers,
	}
}

// What the kernel's parser lets pass, and what not.
func TestParseLikeTheKernel(t *testing.T) {
	t.Parallel()
	id, body := newIdentity(t, "rsa2048"), testModule()
	attrs := []byte{0xa0, 0}
	for name, c := range map[string]struct {
		bend func(*message, *signerParts)
		want error
	}{
		"as it should be":        {func(*message, *signerParts) {}, nil},
		"digest list a sequence": {func(m *message, _ *signerParts) { m.digests = []byte{tagSequence, 0} }, nil},
		"digest list of nonsense": {func(m *message, _ *signerParts) {
			m.digests = enc(t, tagSet, enc(t, tagSequence, val(t, parseOID("1.2.3"))))
		}, nil},
		"digest list of integers": {func(m *message, _ *signerParts) { m.digests = enc(t, tagSet, val(t, 1)) }, ErrMalformed},
		"certificates a sequence": {func(m *message, _ *signerParts) { m.certs = enc(t, 0xa2, id.cert.Raw) }, nil},
		"certificate is a number": {func(m *message, _ *signerParts) { m.certs = enc(t, 0xa0, val(t, 1)) }, ErrMalformed},
		"crls":                    {func(m *message, _ *signerParts) { m.crls = []byte{0xa1, 0} }, nil},
		"unsigned attributes":     {func(_ *message, p *signerParts) { p.unsigned = []byte{0xa1, 0} }, nil},
		"algorithm without NULL": {func(_ *message, p *signerParts) {
			p.algorithm = enc(t, tagSequence, val(t, parseOID(oidRSAEncryption)))
		}, nil},
		"algorithm with two params": {func(_ *message, p *signerParts) {
			p.algorithm = enc(t, tagSequence, val(t, parseOID(oidRSAEncryption)), []byte{5, 0, 5, 0})
		}, ErrMalformed},
		"sha256WithRSAEncryption": {func(_ *message, p *signerParts) {
			p.algorithm = enc(t, tagSequence, val(t, parseOID("1.2.840.113549.1.1.11")))
		}, ErrUnsupported},
		"ECDSA with an RSA key": {func(_ *message, p *signerParts) {
			p.algorithm = enc(t, tagSequence, val(t, parseOID("1.2.840.10045.4.3.2")))
		}, ErrRejected},
		"digest SM3": {func(_ *message, p *signerParts) {
			p.digest = enc(t, tagSequence, val(t, parseOID("1.2.156.10197.1.401")))
		}, ErrUnsupported},
		"digest not an identifier": {func(_ *message, p *signerParts) { p.digest = enc(t, tagSequence, enc(t, tagOID, []byte{0x80})) }, ErrUnsupported},
		"digest of another length": {func(_ *message, p *signerParts) {
			p.digest = enc(t, tagSequence, val(t, parseOID("2.16.840.1.101.3.4.2.3")))
		}, ErrRejected},
		"signed attributes":         {func(_ *message, p *signerParts) { p.attrs = attrs }, ErrRejected},
		"no signer":                 {func(m *message, _ *signerParts) { m.signers = [][]byte{} }, ErrMalformed},
		"second signer has attrs":   {func(m *message, p *signerParts) { q := *p; q.attrs = attrs; m.signers = append(m.signers, q.der(t)) }, ErrMalformed},
		"signer is a number":        {func(m *message, _ *signerParts) { m.signers = [][]byte{val(t, 1)} }, ErrMalformed},
		"version 3, signer 1":       {func(m *message, _ *signerParts) { m.version = 3 }, ErrMalformed},
		"version 2":                 {func(m *message, p *signerParts) { m.version, p.version = 2, val(t, 2) }, ErrMalformed},
		"version of two bytes":      {func(m *message, _ *signerParts) { m.version = 256 }, ErrMalformed},
		"both versions 3 by serial": {func(m *message, p *signerParts) { m.version, p.version = 3, val(t, 3) }, errUnknownSigner},
		"version 1 by key id":       {func(_ *message, p *signerParts) { p.id = enc(t, contextTag, id.cert.SubjectKeyId) }, errUnknownSigner},
		"version 3 by key id": {func(m *message, p *signerParts) {
			m.version, p.version, p.id = 3, val(t, 3), enc(t, contextTag, id.cert.SubjectKeyId)
		}, nil},
		"other serial": {func(_ *message, p *signerParts) { p.id = enc(t, tagSequence, id.cert.RawIssuer, val(t, 7)) }, errUnknownSigner},
		"serial with leading zero": {func(_ *message, p *signerParts) {
			p.id = enc(t, tagSequence, id.cert.RawIssuer, []byte{2, 3, 0, 0x12, 0x34})
		}, errUnknownSigner},
		"serial negative":           {func(_ *message, p *signerParts) { p.id = enc(t, tagSequence, id.cert.RawIssuer, val(t, -5)) }, errUnknownSigner},
		"serial missing":            {func(_ *message, p *signerParts) { p.id = enc(t, tagSequence, id.cert.RawIssuer) }, ErrMalformed},
		"more in the identifier":    {func(_ *message, p *signerParts) { p.id = enc(t, tagSequence, id.cert.RawIssuer, val(t, 1), val(t, 1)) }, ErrMalformed},
		"signature a bit string":    {func(_ *message, p *signerParts) { p.value[0] = 3 }, ErrMalformed},
		"more in the signer":        {func(_ *message, p *signerParts) { p.unsigned = val(t, 1) }, ErrMalformed},
		"more in SignedData":        {func(m *message, _ *signerParts) { m.tail = val(t, 1) }, ErrMalformed},
		"enveloped data":            {func(m *message, _ *signerParts) { m.contentType = "1.2.840.113549.1.7.3" }, ErrMalformed},
		"content of another type":   {func(m *message, _ *signerParts) { m.dataType = "1.2.3" }, ErrMalformed},
		"Authenticode":              {func(m *message, _ *signerParts) { m.dataType = oidIndirectData }, ErrMalformed},
		"Authenticode with attrs":   {func(m *message, p *signerParts) { m.dataType, p.attrs = oidIndirectData, attrs }, ErrRejected},
		"content is not an element": {func(m *message, _ *signerParts) { m.content = []byte{1} }, ErrMalformed},
		"a tag of two bytes":        {func(m *message, _ *signerParts) { m.crls = []byte{0xbf, 0x81, 0} }, ErrMalformed},
		"a length of three bytes":   {func(_ *message, p *signerParts) { p.unsigned = []byte{0xa1, 0x83, 0, 0, 0} }, ErrMalformed},
		"a long length of nothing":  {func(_ *message, p *signerParts) { p.unsigned = []byte{0xa1, 0x82, 0, 0} }, nil},
		"an indefinite length":      {func(_ *message, p *signerParts) { p.unsigned = []byte{0xa1, 0x80, 0xa2, 0x80, 0, 0, 0, 0} }, nil},
		"an indefinite primitive":   {func(_ *message, p *signerParts) { p.unsigned = []byte{0x81, 0x80, 0, 0} }, ErrMalformed},
		"an indefinite without end": {func(_ *message, p *signerParts) { p.unsigned = []byte{0xa1, 0x80, 2, 1, 1} }, ErrMalformed},
		"nested without end":        {func(_ *message, p *signerParts) { p.unsigned = bytes.Repeat([]byte{0xa1, 0x80}, 5000) }, ErrMalformed},
		"empty signature":           {func(_ *message, p *signerParts) { p.value = []byte{4, 0} }, ErrRejected},
	} {
		p := plainSigner(t, id, body)
		m := plainMessage(nil)
		c.bend(&m, &p)
		if len(m.signers) > 0 && m.signers[0] == nil {
			m.signers[0] = p.der(t)
		}
		err := verdict(Append(body, m.der(t)), id)
		if c.want == nil {
			require.NoError(t, err, name)
			continue
		}
		assert.ErrorIs(t, err, c.want, name)
	}
}

func TestParseIgnoresWhatFollows(t *testing.T) {
	t.Parallel()
	id, body := newIdentity(t, "rsa2048"), testModule()
	der := plainMessage(plainSigner(t, id, body).der(t)).der(t)
	assert.NoError(t, verdict(Append(body, append(der, "rest"...)), id))
}

func TestUnparsedCertificate(t *testing.T) {
	t.Parallel()
	id, body := newIdentity(t, "rsa2048"), testModule()
	m := plainMessage(plainSigner(t, id, body).der(t))
	m.certs = enc(t, 0xa0, reserial(t, id.cert.Raw, big.NewInt(-5), id.key), id.cert.Raw)
	s, err := Parse(m.der(t))
	require.NoError(t, err)
	assert.Equal(t, 1, s.Unparsed)
	assert.Len(t, s.Certificates, 1)
}

func TestNegativeSerial(t *testing.T) {
	t.Parallel()
	for der, want := range map[string]string{"\xfb": "-05", "\xff\x00": "-0100", "": "00", "\x00\x80": "80"} {
		s := Signer{Serial: twosComplement([]byte(der))}
		assert.Equal(t, want, s.Summary().Serial, "%x", der)
	}
}
