package keys

import (
	"bytes"
	"crypto/x509"
	"encoding/binary"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// efiList makes an EFI_SIGNATURE_LIST of one type with entries of one size.
func efiList(guid string, header int, entries ...[]byte) []byte {
	size := 16 + len(entries[0])
	out := []byte(guid)
	for _, n := range []int{28 + header + size*len(entries), header, size} {
		out = binary.LittleEndian.AppendUint32(out, uint32(n))
	}
	out = append(out, make([]byte, header)...)
	for _, e := range entries {
		out = append(append(out, "owner of 16 bytes"[:16]...), e...)
	}
	return out
}

const (
	guidX509   = "\xa1\x59\xc0\xa5\xe4\x94\xa7\x4a\x87\xb5\xab\x15\x5c\x2b\xf0\x72"
	guidSHA256 = "\x26\x16\xc4\xc1\x4c\x50\x92\x40\xac\xa9\x41\xf9\x36\x93\x43\x28"
)

func TestCertificates(t *testing.T) {
	t.Parallel()
	a, b := certFor(t, "rsa2048"), certFor(t, "p256")
	hash := efiList(guidSHA256, 0, make([]byte, 32), make([]byte, 32))
	for name, c := range map[string]struct {
		data []byte
		want []*x509.Certificate
	}{
		"PEM":                   {certPEM(a), []*x509.Certificate{a}},
		"PEM, two":              {join(certPEM(a), []byte("text\n"), certPEM(b)), []*x509.Certificate{a, b}},
		"PEM with a key":        {join(keyPEM(t, "rsa2048"), certPEM(a)), []*x509.Certificate{a}},
		"DER":                   {a.Raw, []*x509.Certificate{a}},
		"DER, two":              {join(a.Raw, b.Raw), []*x509.Certificate{a, b}},
		"signature list":        {efiList(guidX509, 0, a.Raw), []*x509.Certificate{a}},
		"signature list, three": {efiList(guidX509, 4, a.Raw, a.Raw, a.Raw), []*x509.Certificate{a, a, a}},
		"signature lists":       {join(efiList(guidX509, 0, a.Raw), hash, efiList(guidX509, 0, b.Raw)), []*x509.Certificate{a, b}},
		"efivars file":          {join([]byte{6, 0, 0, 0}, efiList(guidX509, 0, b.Raw)), []*x509.Certificate{b}},
	} {
		got, err := Certificates(filepath.Join(files(t, map[string][]byte{"f": c.data}), "f"))
		require.NoError(t, err, name)
		require.Len(t, got, len(c.want), name)
		for i := range got {
			assert.Equal(t, c.want[i].Raw, got[i].Raw, name)
		}
	}
}

func TestCertificatesRefuses(t *testing.T) {
	t.Parallel()
	a := certFor(t, "rsa2048")
	for name, c := range map[string]struct {
		data  []byte
		cause string
	}{
		"empty":                 {nil, "is empty"},
		"key only":              {keyPEM(t, "rsa2048"), "holds no certificate"},
		"text":                  {[]byte("hello"), "neither PEM nor DER"},
		"one line":              {bytes.ReplaceAll(certPEM(a), []byte("\n"), nil), "collapsed to one line"},
		"second damaged":        {join(certPEM(a), certPEM(a)[:200]), "damaged PEM"},
		"DER with more behind":  {append(bytes.Clone(a.Raw), 0), "certificate "},
		"hashes only":           {efiList(guidSHA256, 0, make([]byte, 32)), "without certificates"},
		"no certificate inside": {efiList(guidX509, 0, make([]byte, 40)), "EFI signature list"},
	} {
		_, err := Certificates(filepath.Join(files(t, map[string][]byte{"f": c.data}), "f"))
		assertRefused(t, err, c.cause, "")
		assert.Contains(t, err.Error(), "/f: ", name)
	}
	_, err := Certificates(filepath.Join(t.TempDir(), "absent"))
	assertRefused(t, err, "no such file", "")
}

func TestFingerprint(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", Fingerprint(&x509.Certificate{Raw: []byte("abc")}))
}
