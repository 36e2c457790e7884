package sign_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/keys"
	"github.com/kmodseal/kmodseal/pkg/kmod"
	"github.com/kmodseal/kmodseal/pkg/kmodtest"
	"github.com/kmodseal/kmodseal/pkg/manifest"
	"github.com/kmodseal/kmodseal/pkg/modsig"
	"github.com/kmodseal/kmodseal/pkg/sign"
)

// issue makes a test certificate for key, signed by parent, or by itself where
// that is nil.
func issue(name string, key crypto.Signer, parent *keys.Pair) *keys.Pair {
	t := &x509.Certificate{
		SerialNumber: big.NewInt(int64(len(name)) + 1000), Subject: pkix.Name{CommonName: name}, SubjectKeyId: []byte(name),
		NotBefore: time.Unix(1, 0), NotAfter: time.Unix(1<<32, 0), IsCA: true, BasicConstraintsValid: true,
	}
	by, signer := t, key
	if parent != nil {
		by, signer = parent.Cert, parent.Signer
	}
	der, err := x509.CreateCertificate(rand.Reader, t, by, key.Public(), signer)
	if err != nil {
		panic(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return &keys.Pair{Signer: key, Cert: c}
}

func rsaPair(bits int) func() *keys.Pair {
	return sync.OnceValue(func() *keys.Pair {
		k, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			panic(err)
		}
		return issue(fmt.Sprintf("kmodseal test key %d", bits), k, nil)
	})
}

func ecPair(name string, parent *keys.Pair) *keys.Pair {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return issue(name, k, parent)
}

var (
	rsa2048 = rsaPair(2048)
	rsa4096 = rsaPair(4096)
	other   = sync.OnceValue(func() *keys.Pair { return ecPair("another test key", nil) })
)

func module(name string) []byte {
	return kmodtest.Build(kmodtest.Spec{Name: name, Release: "6.1.0-1-test", Pad: 5000})
}

func store(t testing.TB, plain []byte, c kmod.Codec) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, kmod.Encode(&b, plain, c))
	return b.Bytes()
}

// signedBy is what a module must be after p signed it.
func signedBy(t testing.TB, p *keys.Pair, body []byte) []byte {
	t.Helper()
	h := crypto.SHA256.New()
	h.Write(body)
	der, err := modsig.Sign(h.Sum(nil), p.Signer, p.Cert, modsig.Options{})
	require.NoError(t, err)
	return modsig.Append(body, der)
}

func write(t testing.TB, file string, content []byte) string {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(t, os.WriteFile(file, content, 0o644))
	return file
}

// tree is every file below dir with its content, mode and time; a symbolic
// link with its target.
func tree(t testing.TB, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		if fi.Mode()&fs.ModeSymlink != 0 {
			all[p], err = os.Readlink(p)
			return err
		}
		b := []byte{}
		if fi.Mode().IsRegular() {
			b, err = os.ReadFile(p)
		}
		all[p] = fmt.Sprintf("%v %v %x", fi.Mode(), fi.ModTime(), b)
		return err
	}))
	return all
}

func content(t testing.TB, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	return b
}

// kmods makes a kmods folder of these modules, as stored, with the facts that
// extract-kmods would find.
func kmods(t testing.TB, modules map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	hex := "sha256:" + fmt.Sprintf("%064d", 1)
	m := &manifest.Manifest{
		Schema: manifest.Schema, Source: manifest.Source{Name: "test", Kind: "oci", Digest: hex},
		Platforms: []manifest.Platform{{Platform: "linux/amd64", Digest: hex, Layers: []string{hex}}},
	}
	for path, stored := range modules {
		d, plain, err := kmod.Facts(stored, 0)
		if err != nil { // what extract-kmods would refuse, signing must refuse too
			d = manifest.Module{Codec: string(kmod.Sniff(stored)), Stored: kmod.Blob(stored), Plain: kmod.Blob(plain)}
		}
		d.Path, d.Platform, d.Layer, d.File = path, "linux/amd64", hex, manifest.File("linux/amd64", path)
		d.Header.ModTime = "2020-01-01T00:00:00Z"
		m.Modules = append(m.Modules, d)
		write(t, filepath.Join(dir, filepath.FromSlash(d.File)), stored)
	}
	require.NoError(t, m.Save(dir))
	return dir
}

// stored is the file of a module in a kmods folder.
func stored(dir, path string) string {
	return filepath.Join(dir, filepath.FromSlash(manifest.File("linux/amd64", path)))
}

func options(p *keys.Pair) sign.Options { return sign.Options{Pair: p, Jobs: 2} }

// unchanged runs do, which must fail, and checks that dir is as it was.
func unchanged(t testing.TB, dir string, do func() error) error {
	t.Helper()
	before := tree(t, dir)
	err := do()
	require.Error(t, err)
	assert.Equal(t, before, tree(t, dir), "a failing run changes nothing and leaves nothing")
	return err
}
