package keys

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/fault"
)

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	cert := certFor(t, "rsa2048")
	key, certText := keyPEM(t, "rsa2048"), certPEM(cert)
	oneLine := func(b []byte, with string) []byte { return bytes.ReplaceAll(b, []byte("\n"), []byte(with)) }
	cut := func(b []byte, n int) []byte { return b[:len(b)-n] }
	junk := []byte("junk")
	negative := negativeSerial(t, cert)
	for name, c := range map[string]struct {
		key, cert   []byte
		cause, hint string
	}{
		"mismatch":                {key, certPEM(certFor(t, "rsa2048-other")), `does not belong to the certificate in `, "made together"},
		"mismatch of kinds":       {key, certPEM(certFor(t, "p256")), `["CN=test p256"]`, ""},
		"swapped":                 {certText, key, "key and certificate are swapped", "exchange --key and --cert"},
		"swapped in DER":          {cert.Raw, keyDER(t, "rsa2048"), "key and certificate are swapped", ""},
		"key empty":               {nil, certText, "k: is empty", ""},
		"key blank":               {[]byte(" \n\n"), certText, "k: is empty", ""},
		"certificate empty":       {key, nil, "c: is empty", ""},
		"certificates only":       {certText, certText, "holds a certificate, but no private key", ""},
		"keys only":               {key, key, "c: holds no certificate", "it holds a private key"},
		"public key":              {block("PUBLIC KEY", junk), certText, `holds no private key, but "PUBLIC KEY"`, ""},
		"request as certificate":  {key, block("CERTIFICATE REQUEST", junk), "holds no certificate", "CERTIFICATE REQUEST"},
		"OpenSSH key":             {block("OPENSSH PRIVATE KEY", junk), certText, "is an OpenSSH key", "ssh-keygen -p"},
		"two keys":                {join(key, keyPEM(t, "p256")), certText, "holds 2 private keys", "only the one"},
		"key on one line":         {oneLine(key, " "), certText, "k: PEM collapsed to one line", "base64 -w0"},
		"key, newlines spelled":   {oneLine(key, `\n`), certText, "k: PEM collapsed to one line", ""},
		"key, newlines gone":      {oneLine(key, ""), certText, "k: PEM collapsed to one line", ""},
		"certificate on one line": {key, oneLine(certText, ""), "c: PEM collapsed to one line", ""},
		"key cut off":             {cut(key, 100), certText, "k: damaged PEM", "openssl pkey"},
		"second block cut off":    {join(key, cut(certText, 5)), nil, "k: damaged PEM", ""},
		"not base64":              {bytes.Replace(key, []byte("\nMII"), []byte("\n!II"), 1), certText, "damaged PEM", ""},
		"key of nonsense":         {block("PRIVATE KEY", []byte("nonsense")), certText, "key ", "openssl pkey"},
		"text":                    {[]byte("hello"), certText, "neither PEM nor DER nor PKCS#12", "openssl req"},
		"base64 in a file":        {[]byte(base64.StdEncoding.EncodeToString(key)), certText, "neither PEM nor DER", "base64 -d"},
		"certificate of nonsense": {key, block("CERTIFICATE", []byte("nonsense")), "certificate ", "openssl x509"},
		"certificate cut off":     {key, cut(cert.Raw, 1), "certificate ", ""},
		"negative serial":         {key, certPEM0(negative), "negative serial number", "RFC 5280"},
		"negative serial in DER":  {key, negative, "negative serial number", "RFC 5280"},
		"Ed25519":                 {keyPEM(t, "ed25519"), certText, "Ed25519: no kernel checks", "genpkey -algorithm RSA"},
		"RSA-PSS":                 {keyPEM(t, "pss"), certText, "RSA-PSS: no kernel checks", "genpkey -algorithm RSA"},
		"RSA-PSS in DER":          {keyDER(t, "pss"), certText, "RSA-PSS: no kernel checks", ""},
		"RSA 1536":                {keyPEM(t, "rsa1536"), certText, "RSA with 1536 bits: want 2048 to 4096", "rsa_keygen_bits"},
		"RSA 5120":                {keyPEM(t, "rsa5120"), certText, "RSA with 5120 bits", ""},
		"P-521":                   {keyPEM(t, "p521"), certText, "ECDSA on P-521: want P-256 or P-384", ""},
		"ML-DSA":                  {block("PRIVATE KEY", unknownKey(t, "2.16.840.1.101.3.4.3.18")), certText, "ML-DSA", ""},
		"X25519":                  {block("PRIVATE KEY", unknownKey(t, "1.3.101.110")), certText, "key ", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := files(t, map[string][]byte{"k": c.key, "c": c.cert})
			certName := "c"
			if name == "second block cut off" {
				certName = ""
			}
			_, err := loadIn(dir, "k", certName)
			assertRefused(t, err, c.cause, c.hint)
			assert.Contains(t, err.Error(), dir, "the file is named")
			for line := range strings.Lines(string(key)) {
				if len(line) > 40 && !strings.HasPrefix(line, "TEST") {
					assert.NotContains(t, err.Error()+joined(fault.HintsOf(err)), line[:40], "key bytes in a message")
				}
			}
		})
	}
}

func certPEM0(der []byte) []byte { return block("CERTIFICATE", der) }

// negativeSerial is c's DER with its serial number, 77 in one byte, made -77.
func negativeSerial(t testing.TB, c *x509.Certificate) []byte {
	t.Helper()
	out := bytes.Replace(c.Raw, []byte{2, 1, 77}, []byte{2, 1, 0xb3}, 1)
	require.NotEqual(t, c.Raw, out)
	return out
}

func unknownKey(t testing.TB, oid string) []byte {
	t.Helper()
	parsed, err := x509.ParseOID(oid)
	require.NoError(t, err)
	raw, err := parsed.MarshalBinary()
	require.NoError(t, err)
	algorithm, err := asn1.Marshal([]asn1.RawValue{{Tag: asn1.TagOID, Bytes: raw}})
	require.NoError(t, err)
	out, err := asn1.Marshal(struct {
		Version   int
		Algorithm asn1.RawValue
		Key       []byte
	}{0, asn1.RawValue{FullBytes: algorithm}, []byte("some key bytes")})
	require.NoError(t, err)
	return out
}

// keyTexts are what a CI variable may hold that was meant to hold a file's name.
func keyTexts(t testing.TB) (texts []string) {
	t.Helper()
	for _, kind := range []string{"rsa2048", "p256"} {
		b64 := base64.StdEncoding.EncodeToString
		texts = append(texts, string(keyPEM(t, kind)), b64(keyPEM(t, kind)), b64(keyDER(t, kind)))
	}
	return texts
}

func TestLoadRefusesPlaces(t *testing.T) {
	t.Parallel()
	dir := files(t, map[string][]byte{"k": keyPEM(t, "rsa2048"), "big": make([]byte, maxFile+1)})
	file := filepath.Join(dir, "k")
	for key, cause := range map[string]string{
		"":                             "no file, folder or env:NAME given",
		filepath.Join(dir, "absent"):   "absent: no such file",
		filepath.Join(dir, "k", "sub"): "not a directory",
		filepath.Join(dir, "big"):      "larger than",
		"pkcs11:token=kmod;object=key": "pkcs11 keys are not built into this binary",
		"awskms:///alias/kmod":         "awskms keys are not built",
		"gcpkms://projects/x":          "gcpkms keys are not built",
		"azurekms://vault/key":         "azurekms keys are not built",
		"hashivault://key":             "hashivault keys are not built",
		"https://example.org/key":      "https keys are not built",
		"env:":                         "the variable is not set",
	} {
		_, err := Load(Request{Key: key, Cert: file})
		assertRefused(t, err, cause, "")
	}
	for _, text := range keyTexts(t) {
		for _, key := range []string{text, "env:" + text} {
			_, err := Load(Request{Key: key, Cert: file})
			assertRefused(t, err, "the key itself is given where its place is wanted", "--key env:SIGNING_KEY")
			assert.NotContains(t, err.Error()+joined(fault.HintsOf(err)), text[40:60], "key bytes in a message")
		}
	}
	for cert, cause := range map[string]string{
		filepath.Join(dir, "absent"): "certificate: ", filepath.Join(dir, "big"): "larger than", t.TempDir(): "certificate",
	} {
		_, err := Load(Request{Key: file, Cert: cert})
		assertRefused(t, err, cause, "")
	}
	_, err := Load(Request{Key: file})
	assertRefused(t, err, "no certificate with it", "--cert")
}

// What OpenSSL can write and the libraries cannot read is named, with the
// command that converts it.
func TestLoadRefusesEncryption(t *testing.T) {
	dir := files(t, map[string][]byte{"k": keyPEM(t, "rsa2048"), "c": certPEM(certFor(t, "rsa2048"))})
	for name, c := range map[string]struct {
		args  []string
		cause string
	}{
		"PBKDF2-SHA512": {[]string{"-v2prf", "hmacWithSHA512"}, "PBKDF2 with hmacWithSHA512"},
		"PBE 3DES":      {[]string{"-v1", "PBE-SHA1-3DES"}, "encrypted with PBE-SHA1-3DES"},
		"iterations":    {[]string{"-iter", "5000001"}, "PBKDF2 with 5000001 iterations"},
	} {
		t.Run(name, func(t *testing.T) {
			openssl(t, dir, append([]string{"pkcs8", "-topk8", "-in", "k", "-out", "e", "-passout", "pass:x"}, c.args...)...)
			_, err := loadIn(dir, "e", "c", "x")
			assertRefused(t, err, c.cause, "openssl pkcs8 -topk8")
		})
	}
}

func TestEncryptionLimits(t *testing.T) {
	t.Parallel()
	type scrypt struct {
		Salt    []byte
		N, R, P int
	}
	for name, c := range map[string]struct {
		params scrypt
		ok     bool
	}{
		"OpenSSL":         {scrypt{[]byte("salt"), 16384, 8, 1}, true},
		"half a gibibyte": {scrypt{[]byte("salt"), 1 << 19, 8, 1}, true},
		"more":            {scrypt{[]byte("salt"), 1 << 20, 8, 1}, false},
		"overflow":        {scrypt{[]byte("salt"), 1 << 40, 1 << 30, 1}, false},
		"parallel":        {scrypt{[]byte("salt"), 16384, 8, 65}, false},
		"zero":            {scrypt{[]byte("salt"), 0, 0, 0}, false},
		"negative":        {scrypt{[]byte("salt"), -16384, -8, 1}, false},
	} {
		der, err := asn1.Marshal(c.params)
		require.NoError(t, err)
		assert.Equal(t, c.ok, checkScrypt(der) == nil, name)
	}
	require.Error(t, checkScrypt([]byte("x")))
	assert.Error(t, checkPBKDF2([]byte("x")))
}

func TestPassphraseError(t *testing.T) {
	dir := files(t, map[string][]byte{"k": keyPEM(t, "rsa2048"), "c": certPEM(certFor(t, "rsa2048"))})
	openssl(t, dir, "pkcs8", "-topk8", "-in", "k", "-out", "e", "-passout", "pass:x")
	_, err := Load(Request{
		Key: filepath.Join(dir, "e"), Cert: filepath.Join(dir, "c"),
		Passphrase: func() ([]byte, error) { return nil, errors.New("no such file") },
	})
	assertRefused(t, err, "passphrase: no such file", "")
}

func TestRefusesPublishedKey(t *testing.T) {
	t.Parallel()
	cert := certFor(t, "rsa2048")
	require.NoError(t, refusePublished("c", []*x509.Certificate{cert}, kmmTestKey))
	err := refusePublished("c", []*x509.Certificate{certFor(t, "p256"), cert}, Fingerprint(cert))
	assertRefused(t, err, "certificate c: the published test certificate of Kernel Module Management: its private key is public", "of your own")
	asOpenSSLPrints := "E0:F5:55:41:2F:D8:94:35:AA:C7:38:57:93:DE:BA:C2:71:E3:F9:46:98:1A:B1:18:B5:E1:99:EB:AE:77:01:E2"
	assert.Equal(t, kmmTestKey, strings.ToLower(strings.ReplaceAll(asOpenSSLPrints, ":", "")))
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		bend func(*x509.Certificate)
		want string
	}{
		"none":          {func(*x509.Certificate) {}, ""},
		"expired":       {func(c *x509.Certificate) { c.NotAfter = now().AddDate(0, 0, -1) }, "expired on 2029-12-31"},
		"not yet valid": {func(c *x509.Certificate) { c.NotBefore = now().AddDate(0, 0, 1) }, "not valid before 2030-01-02"},
		"no key id":     {func(c *x509.Certificate) { c.SubjectKeyId = nil }, "no subject key identifier"},
		"code signing":  {func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning} }, "lacks module signing (1.3.6.1.4.1.2312.16.1.2)"},
		"module signing": {func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}
			c.UnknownExtKeyUsage = []asn1.ObjectIdentifier{{1, 3, 6, 1, 4, 1, 2312, 16, 1, 2}}
		}, ""},
		"CA":            {func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }, "is a CA"},
		"signed by PSS": {func(c *x509.Certificate) { c.SignatureAlgorithm = x509.SHA256WithRSAPSS }, "signed with SHA256-RSAPSS, which kernels cannot read"},
	} {
		p, err := loadIn(files(t, map[string][]byte{"k": join(keyPEM(t, "rsa2048"), certPEM(certFor(t, "rsa2048", c.bend)))}), "k", "")
		require.NoError(t, err, name)
		if c.want == "" {
			assert.Empty(t, p.Warnings, name)
			continue
		}
		require.Len(t, p.Warnings, 1, name)
		assert.Contains(t, p.Warnings[0], c.want)
	}
	short := &x509.Certificate{Raw: []byte{0x30, 0x81, 0xff}, SubjectKeyId: []byte{1}, NotAfter: now(), SignatureAlgorithm: x509.SHA256WithRSA}
	assert.Contains(t, joined(certificateWarnings("c", short, now())), "does not begin with 30 82")
}

func TestPermissionWarning(t *testing.T) {
	t.Parallel()
	dir := files(t, map[string][]byte{"k": join(keyPEM(t, "rsa2048"), certPEM(certFor(t, "rsa2048")))})
	for mode, want := range map[os.FileMode]int{0o600: 0, 0o400: 0, 0o640: 1, 0o604: 1, 0o644: 1} {
		require.NoError(t, os.Chmod(filepath.Join(dir, "k"), mode))
		p, err := loadIn(dir, "k", "")
		require.NoError(t, err)
		assert.Len(t, p.Warnings, want, "%o", mode)
	}
	require.NoError(t, os.Rename(filepath.Join(dir, "k"), filepath.Join(dir, "key")))
	require.NoError(t, os.Chmod(filepath.Join(dir, "key"), 0o644))
	p, err := loadIn(dir, "", "")
	require.NoError(t, err)
	assert.Contains(t, joined(p.Warnings), "mode 0644 lets others read it", "a folder that is no Secret mount")
}
