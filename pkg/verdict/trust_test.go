package verdict

import (
	"bytes"
	"encoding/binary"
	"encoding/pem"
	"os"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/efisig"
	"github.com/kmodseal/kmodseal/pkg/fault"
)

// efiList is one EFI_SIGNATURE_LIST of entries of one size.
func efiList(kind string, entries ...[]byte) []byte {
	each := 16 + len(entries[0])
	out := []byte(kind)
	for _, n := range []int{28 + each*len(entries), 0, each} {
		out = binary.LittleEndian.AppendUint32(out, uint32(n))
	}
	for _, e := range entries {
		out = append(append(out, "the owner's guid"...), e...)
	}
	return out
}

func testCert(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("../../testdata/kernels/cert/" + name + ".der")
	require.NoError(t, err)
	return b
}

func TestParseTrust(t *testing.T) {
	t.Parallel()
	a, b := testCert(t, "good2048"), testCert(t, "ecp256")
	pemOf := func(der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}) }
	key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")})
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	lists := join(efiList(efisig.X509, a), efiList(efisig.SHA256, make([]byte, 32)), efiList(efisig.X509, b))
	for name, c := range map[string]struct {
		data []byte
		want [][]byte
	}{
		"DER":                  {a, [][]byte{a}},
		"DER in a row":         {join(a, b), [][]byte{a, b}},
		"PEM":                  {pemOf(a), [][]byte{a}},
		"PEM bundle":           {join(pemOf(a), []byte("text\n"), pemOf(b)), [][]byte{a, b}},
		"PEM with a key in it": {join(key, pemOf(a)), [][]byte{a}},
		"EFI lists":            {lists, [][]byte{a, b}},
		"efivarfs":             {join([]byte{6, 0, 0, 0}, lists), [][]byte{a, b}},
	} {
		got, err := ParseTrust(name, c.data, DB)
		require.NoError(t, err, name)
		var ders [][]byte
		for _, x := range got.Anchors {
			assert.Equal(t, DB, x.Where)
			ders = append(ders, x.DER)
		}
		assert.Equal(t, c.want, ders, name)
	}
	short := efiList(efisig.X509, a)
	for name, data := range map[string][]byte{
		"empty": nil, "text": []byte("hello"), "key only": key, "cut DER": a[:len(a)-1], "DER and junk": join(a, []byte("x")),
		"cut list": short[:len(short)-1], "list and junk": join(short, []byte("junk")),
		"PEM with junk inside": pemOf([]byte("no certificate")), "another DER structure": {0x30, 3, 2, 1, 1},
	} {
		_, err := ParseTrust(name, data, MOK)
		assert.Equal(t, fault.Key, fault.ClassOf(err), name)
	}
}

func TestParseRevoked(t *testing.T) {
	t.Parallel()
	a := testCert(t, "revoked")
	data := append(efiList(efisig.X509, a), efiList(efisig.SHA256, make([]byte, 32), bytes.Repeat([]byte{1}, 32))...)
	data = append(data, efiList(efisig.X509SHA256, make([]byte, 48))...)
	data = append(data, efiList("a guid of unknown"[:16], []byte("?"))...)
	got, err := ParseRevoked("MokListXRT", data, MOK)
	require.NoError(t, err)
	require.Len(t, got.Revoked, 4)
	assert.Equal(t, a, got.Revoked[0].DER)
	assert.Len(t, got.Revoked[2].SHA256, 32)
	assert.Len(t, got.Revoked[3].CertSHA256, 48)
	one, err := ParseRevoked("x.der", a, DB)
	require.NoError(t, err)
	assert.Equal(t, []Revocation{{DER: a, Where: DB, From: "x.der"}}, one.Revoked)
	_, err = ParseRevoked("x", []byte("hello"), DB)
	assert.Equal(t, fault.Key, fault.ClassOf(err))
}

func TestLoadSystem(t *testing.T) {
	t.Parallel()
	mok, db := testCert(t, "good2048"), testCert(t, "ca")
	attr := func(b []byte) []byte { return append([]byte{6, 0, 0, 0}, b...) }
	root := fstest.MapFS{
		mokvars + "MokListRT":                      {Data: efiList(efisig.X509, mok)},
		efivars + "MokListRT" + shimGUID:           {Data: attr(efiList(efisig.X509, db))}, // may be cut short: the table counts
		efivars + "db" + dbGUID:                    {Data: attr(efiList(efisig.X509, db))},
		efivars + "dbx" + dbGUID:                   {Data: attr(efiList(efisig.SHA256, make([]byte, 32)))},
		efivars + "SecureBoot" + efiGlobe:          {Data: attr([]byte{1})},
		efivars + "MokListTrustedRT" + shimGUID:    {Data: attr([]byte{1})},
		"sys/module/module/parameters/sig_enforce": {Data: []byte("Y\n")},
		"sys/kernel/security/lockdown":             {Data: []byte("none [integrity] confidentiality\n")},
		"proc/keys": {Data: []byte("0a1b2c3d I------     1 perm 1f030000     0     0 asymmetri Debian Secure Boot CA: 6ccece7e: X509.rsa bb419ea1 []\n" +
			"0a1b2c3e I------     1 perm 1f0f0000     0     0 keyring   .machine: 1\n")},
	}
	s, err := LoadSystem(root)
	require.NoError(t, err)
	assert.Equal(t, []Anchor{{mok, MOK, "/" + mokvars + "MokListRT"}, {db, DB, "/" + efivars + "db" + dbGUID}}, s.Anchors)
	assert.Len(t, s.Revoked, 1)
	assert.Equal(t, []Switch{On, On, On, On}, []Switch{s.SecureBoot, s.SigEnforce, s.Lockdown, s.MokListTrusted})
	assert.Equal(t, []string{"Debian Secure Boot CA: 6ccece7e"}, s.Keys)

	_, err = LoadSystem(fstest.MapFS{"proc/keys": {}})
	assert.Equal(t, fault.Input, fault.ClassOf(err))
	_, err = LoadSystem(fstest.MapFS{efivars + "db" + dbGUID: {Data: attr([]byte("junk that is no list"))}})
	assert.Equal(t, fault.Key, fault.ClassOf(err))
	bare, err := LoadSystem(fstest.MapFS{efivars + "SecureBoot" + efiGlobe: {Data: attr([]byte{0})}})
	require.NoError(t, err)
	assert.Equal(t, Off, bare.SecureBoot)
	assert.Empty(t, bare.Anchors)
}
