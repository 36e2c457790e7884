package keys

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// assertPair wants p to sign as key and to have its certificate.
func assertPair(t testing.TB, p *Pair, err error, key crypto.Signer, cert *x509.Certificate) {
	t.Helper()
	require.NoError(t, err)
	assert.Equal(t, cert.Raw, p.Cert.Raw)
	digest := make([]byte, 32)
	want, err := key.Sign(nil, digest, crypto.SHA256)
	require.NoError(t, err)
	got, err := p.Signer.Sign(nil, digest, crypto.SHA256)
	require.NoError(t, err)
	assert.Equal(t, want, got)
	assert.Equal(t, key.Public(), p.Signer.Public())
}

func TestLoadForms(t *testing.T) {
	t.Parallel()
	rsaKey, rsaCert := testKey(t, "rsa2048").(*rsa.PrivateKey), certFor(t, "rsa2048")
	other := certFor(t, "rsa2048-other")
	pkcs1 := x509.MarshalPKCS1PrivateKey(rsaKey)
	key, cert := keyPEM(t, "rsa2048"), certPEM(rsaCert)
	crlf := func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n")) }
	trusted := block("TRUSTED CERTIFICATE", append(bytes.Clone(rsaCert.Raw), 0x30, 0))
	for name, c := range map[string]struct {
		key, cert []byte
		kind      string
		chain     int
	}{
		"PKCS#8 and PEM certificate":     {key, cert, "PEM PKCS#8", 0},
		"PKCS#8 and DER certificate":     {key, rsaCert.Raw, "PEM PKCS#8", 0},
		"PKCS#1":                         {block("RSA PRIVATE KEY", pkcs1), cert, "PEM PKCS#1", 0},
		"PKCS#1 under another label":     {block("PRIVATE KEY", pkcs1), cert, "PEM PKCS#8", 0},
		"PKCS#8 in DER":                  {keyDER(t, "rsa2048"), cert, "DER", 0},
		"PKCS#1 in DER":                  {pkcs1, cert, "DER", 0},
		"one file, key first":            {join(key, cert), nil, "PEM PKCS#8", 0},
		"one file, certificate first":    {join(cert, key), nil, "PEM PKCS#8", 0},
		"one file for both":              {join(cert, key), join(cert, key), "PEM PKCS#8", 0},
		"chain, CA first":                {key, join(certPEM(other), cert), "PEM PKCS#8", 1},
		"chain in DER":                   {key, join(rsaCert.Raw, other.Raw), "PEM PKCS#8", 1},
		"trusted certificate":            {key, trusted, "PEM PKCS#8", 0},
		"Windows line ends":              {crlf(key), crlf(cert), "PEM PKCS#8", 0},
		"byte order mark":                {join([]byte("\xef\xbb\xbf"), block("PRIVATE KEY", keyDER(t, "rsa2048"))), cert, "PEM PKCS#8", 0},
		"no newline at the end":          {bytes.TrimSpace(key), bytes.TrimSpace(cert), "PEM PKCS#8", 0},
		"text before and behind":         {join([]byte("Subject: x\n"), key, []byte("\nthe end\n")), cert, "PEM PKCS#8", 0},
		"certificate of its own ignored": {join(key, certPEM(other)), cert, "PEM PKCS#8", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, certName := files(t, map[string][]byte{"k": c.key, "c": c.cert}), ""
			if c.cert != nil {
				certName = "c"
			}
			p, err := loadIn(dir, "k", certName)
			assertPair(t, p, err, rsaKey, rsaCert)
			assert.Len(t, p.Chain, c.chain)
			assert.Contains(t, p.From, "key: "+c.kind+" in "+dir)
			assert.Empty(t, p.Warnings)
		})
	}
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func TestLoadSizesAndCurves(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"rsa2048", "rsa3072", "rsa4096", "p256", "p384"} {
		cert := certFor(t, name)
		p, err := loadIn(files(t, map[string][]byte{"k": join(keyPEM(t, name), certPEM(cert))}), "k", "")
		assertPair(t, p, err, testKey(t, name), cert)
	}
	ec := testKey(t, "p256").(*ecdsa.PrivateKey)
	der, err := x509.MarshalECPrivateKey(ec)
	require.NoError(t, err)
	params := block("EC PARAMETERS", []byte{6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7})
	cert := certFor(t, "p256")
	p, err := loadIn(files(t, map[string][]byte{"k": join(params, block("EC PRIVATE KEY", der), certPEM(cert))}), "k", "")
	assertPair(t, p, err, ec, cert)
}

// Every form that OpenSSL encrypts keys in and that the libraries read.
func TestLoadEncrypted(t *testing.T) {
	key, cert := testKey(t, "rsa2048"), certFor(t, "rsa2048")
	dir := files(t, map[string][]byte{"plain": keyPEM(t, "rsa2048"), "cert": certPEM(cert), "ca": certPEM(certFor(t, "rsa2048-other"))})
	pass, p8 := "pass:"+testPassphrase, []string{"pkcs8", "-topk8", "-in", "plain"}
	p12 := []string{"pkcs12", "-export", "-inkey", "plain", "-in", "cert"}
	for name, args := range map[string][]string{
		"default":         p8,
		"DER":             append(p8, "-outform", "DER"),
		"PBKDF2-SHA1":     append(p8, "-v2prf", "hmacWithSHA1"),
		"3DES":            append(p8, "-v2", "des3"),
		"AES-128":         append(p8, "-v2", "aes-128-cbc"),
		"scrypt":          append(p8, "-scrypt"),
		"600000 rounds":   append(p8, "-iter", "600000"),
		"traditional":     {"rsa", "-traditional", "-aes256", "-in", "plain"},
		"traditional DES": {"rsa", "-traditional", "-des3", "-in", "plain"},
		"PKCS#12":         p12,
		"PKCS#12 with CA": append(p12, "-certfile", "ca"),
		"PKCS#12 SHA-512": append(p12, "-macalg", "sha512"),
	} {
		t.Run(name, func(t *testing.T) {
			openssl(t, dir, append(append([]string{}, args...), "-passout", pass, "-out", "k")...)
			asked := 0
			r := Request{Key: filepath.Join(dir, "k"), Cert: filepath.Join(dir, "cert"), Now: now()}
			r.Passphrase = func() ([]byte, error) { asked++; return []byte(testPassphrase), nil }
			p, err := Load(r)
			assertPair(t, p, err, key, cert)
			assert.Equal(t, 1, asked)

			_, err = loadIn(dir, "k", "cert", "wrong")
			assertRefused(t, err, "wrong passphrase", "--passphrase-file")
			_, err = loadIn(dir, "k", "cert")
			assertRefused(t, err, "no passphrase was given", "KBUILD_SIGN_PIN")
			_, err = loadIn(dir, "k", "cert", "")
			assertRefused(t, err, "no passphrase was given", "--passphrase-file")
		})
	}
}

func TestLoadPKCS12(t *testing.T) {
	key, cert, ca := testKey(t, "rsa2048"), certFor(t, "rsa2048"), certFor(t, "rsa2048-other")
	dir := files(t, map[string][]byte{"k": keyPEM(t, "rsa2048"), "c": certPEM(cert), "ca": certPEM(ca)})
	export := func(args ...string) {
		openssl(t, dir, append([]string{"pkcs12", "-export", "-inkey", "k", "-in", "c", "-out", "p12"}, args...)...)
	}
	export("-passout", "pass:", "-certfile", "ca")
	p, err := loadIn(dir, "p12", "") // the empty password needs no asking
	assertPair(t, p, err, key, cert)
	require.Len(t, p.Chain, 1)
	assert.Equal(t, ca.Raw, p.Chain[0].Raw)

	export("-passout", "pass:x", "-nomac")
	_, err = loadIn(dir, "p12", "", "x")
	assertRefused(t, err, "no MAC", "openssl pkcs12")

	openssl(t, dir, "pkcs12", "-export", "-nokeys", "-in", "c", "-passout", "pass:x", "-out", "p12")
	_, err = loadIn(dir, "p12", "", "x")
	assertRefused(t, err, "private key missing", "")

	export("-passout", "pass:x", "-iter", "5000001", "-nomaciter")
	_, err = loadIn(dir, "p12", "", "x")
	assertRefused(t, err, "more than 5000000 iterations", "")
}

func TestLoadVariable(t *testing.T) {
	t.Parallel()
	key, cert := testKey(t, "rsa2048"), certFor(t, "rsa2048")
	both := join(keyPEM(t, "rsa2048"), certPEM(cert))
	coded := base64.StdEncoding.EncodeToString
	wrappedLines := func(s string) string { return s[:76] + "\n" + s[76:] + "\n" }
	dir := files(t, map[string][]byte{"c": certPEM(cert)})
	load := func(value string, set bool) (*Pair, error) {
		return Load(Request{
			Key: "env:SIGNING_KEY", Cert: filepath.Join(dir, "c"), Now: now(),
			Getenv: func(name string) (string, bool) {
				require.Equal(t, "SIGNING_KEY", name)
				return value, set
			},
		})
	}
	for name, value := range map[string]string{
		"PEM":                string(both),
		"base64 of PEM":      coded(both),
		"wrapped base64":     wrappedLines(coded(both)),
		"base64, no padding": base64.RawStdEncoding.EncodeToString(both),
		"base64 of DER":      coded(keyDER(t, "rsa2048")),
	} {
		p, err := load(value, true)
		assertPair(t, p, err, key, cert)
		assert.Contains(t, p.From, "env:SIGNING_KEY", name)
	}
	_, err := load("", false)
	assertRefused(t, err, "env:SIGNING_KEY: the variable is not set", "pass the CI secret")
	_, err = load("", true)
	assertRefused(t, err, "env:SIGNING_KEY: is empty", "")
	_, err = load(string(bytes.ReplaceAll(both, []byte("\n"), []byte(" "))), true)
	assertRefused(t, err, "env:SIGNING_KEY: PEM collapsed to one line", "base64 -w0")
	_, err = load(string(bytes.ReplaceAll(both, []byte("\n"), []byte(`\n`))), true)
	assertRefused(t, err, "PEM collapsed to one line", "as a file")
	_, err = load(coded([]byte(coded(both))), true)
	assertRefused(t, err, "neither PEM nor DER", "base64")
	_, err = load("***", true)
	assertRefused(t, err, "neither PEM nor DER", "")
}

func TestLoadCertificateFromVariable(t *testing.T) {
	t.Parallel()
	cert := certFor(t, "rsa2048")
	dir := files(t, map[string][]byte{"k": keyPEM(t, "rsa2048")})
	load := func(value string, set bool) (*Pair, error) {
		return Load(Request{
			Key: filepath.Join(dir, "k"), Cert: "env:CERT", Now: now(),
			Getenv: func(string) (string, bool) { return value, set },
		})
	}
	for name, value := range map[string]string{
		"PEM": string(certPEM(cert)), "base64 of DER": base64.StdEncoding.EncodeToString(cert.Raw),
	} {
		p, err := load(value, true)
		assertPair(t, p, err, testKey(t, "rsa2048"), cert)
		assert.Contains(t, p.From, "certificate: env:CERT", name)
	}
	_, err := load("", false)
	assertRefused(t, err, "certificate env:CERT: the variable is not set", "environment variable CERT")
}

// mount makes a folder as the kubelet does: files are links through ..data.
func mount(t testing.TB, content map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	stamp := filepath.Join(dir, "..2024_01_01_00_00_00.123456789")
	require.NoError(t, os.Mkdir(stamp, 0o700))
	require.NoError(t, os.Symlink(filepath.Base(stamp), filepath.Join(dir, "..data")))
	for name, data := range content {
		require.NoError(t, os.WriteFile(filepath.Join(stamp, name), data, 0o644))
		require.NoError(t, os.Symlink(filepath.Join("..data", name), filepath.Join(dir, name)))
	}
	return dir
}

func TestLoadFolder(t *testing.T) {
	t.Parallel()
	key, cert := testKey(t, "rsa2048"), certFor(t, "rsa2048")
	keyText, certText := keyPEM(t, "rsa2048"), certPEM(cert)
	for name, content := range map[string]map[string][]byte{
		"KMM":                  {"key": keyText, "cert": cert.Raw},
		"kubernetes.io/tls":    {"tls.key": keyText, "tls.crt": certText, "ca.crt": certPEM(certFor(t, "p256"))},
		"kernel's certs":       {"signing_key.pem": join(keyText, certText), "signing_key.x509": cert.Raw},
		"no certificate apart": {"signing_key.pem": join(keyText, certText)},
	} {
		p, err := loadIn(mount(t, content), "", "")
		assertPair(t, p, err, key, cert)
		assert.Empty(t, p.Warnings, "%s: the mode is Kubernetes' own", name)
		p, err = loadIn(files(t, content), "", "")
		assertPair(t, p, err, key, cert)
	}
	both := files(t, map[string][]byte{"key": keyText, "cert": certText, "tls.key": keyText, "tls.crt": certText})
	_, err := loadIn(both, "", "")
	assertRefused(t, err, "ambiguous: it has key and tls.key", "--cert")
	_, err = loadIn(files(t, map[string][]byte{"id_rsa": keyText, "a\nb": nil}), "", "")
	assertRefused(t, err, "holds no key", `"a\nb" "id_rsa"`)
	_, err = loadIn(t.TempDir(), "", "")
	assertRefused(t, err, "holds no key", "tls.key + tls.crt")
	_, err = loadIn(mount(t, map[string][]byte{"key": keyText}), "", "")
	assertRefused(t, err, "no certificate with it", "--cert")
	_, err = loadIn(mount(t, map[string][]byte{"key": keyText, "cert": nil}), "", "")
	assertRefused(t, err, "cert: is empty", "")

	apart := files(t, map[string][]byte{"key": keyText, "cert": []byte("unused"), "c": certText})
	p, err := Load(Request{Key: apart, Cert: filepath.Join(apart, "c"), Now: now()})
	assertPair(t, p, err, key, cert)

	loop := t.TempDir()
	require.NoError(t, os.Symlink("key", filepath.Join(loop, "key")))
	_, err = loadIn(loop, "", "")
	assertRefused(t, err, "key: stat", "")
}
