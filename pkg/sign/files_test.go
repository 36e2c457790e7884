package sign_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/keys"
	"github.com/kmodseal/kmodseal/pkg/kmod"
	"github.com/kmodseal/kmodseal/pkg/kmodtest"
	"github.com/kmodseal/kmodseal/pkg/manifest"
	"github.com/kmodseal/kmodseal/pkg/modsig"
	"github.com/kmodseal/kmodseal/pkg/oracle"
	"github.com/kmodseal/kmodseal/pkg/sign"
)

func files(paths ...string) error {
	_, err := sign.Files(context.Background(), paths, options(rsa2048()))
	return err
}

// assertSigned checks that file is module(name), signed once.
func assertSigned(t testing.TB, file, name string) {
	t.Helper()
	assert.True(t, bytes.Equal(signedBy(t, rsa2048(), module(name)), content(t, file)), file)
}

// pemFiles writes a pair as sign-file reads it.
func pemFiles(t testing.TB, p *keys.Pair) (key, cert string) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(p.Signer)
	require.NoError(t, err)
	dir := t.TempDir()
	key = write(t, filepath.Join(dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	return key, write(t, filepath.Join(dir, "cert.der"), p.Cert.Raw)
}

func TestFilesIsASignFileLoop(t *testing.T) {
	t.Parallel()
	tool := oracle.SignFile(t)
	for _, pair := range []*keys.Pair{rsa2048(), rsa4096()} {
		key, cert := pemFiles(t, pair)
		ours, theirs := t.TempDir(), t.TempDir()
		for _, machine := range kmodtest.Machines() {
			for _, name := range []string{"a", "with space", "newline\nin name", "ünïcode", "-dash"} {
				plain := kmodtest.Build(kmodtest.Spec{Name: "m", Machine: machine, Pad: len(name) * 999})
				rel := filepath.Join(machine, "deep", "er", name+".ko")
				write(t, filepath.Join(ours, rel), plain)
				theirs := write(t, filepath.Join(theirs, rel), plain)
				out, err := exec.Command(tool, "sha256", key, cert, theirs).CombinedOutput()
				require.NoError(t, err, "%s", out)
			}
		}
		done, err := sign.Files(context.Background(), []string{ours}, options(pair))
		require.NoError(t, err)
		require.Len(t, done, 5*len(kmodtest.Machines()))
		for _, r := range done {
			rel, err := filepath.Rel(ours, r.Path)
			require.NoError(t, err)
			assert.True(t, bytes.Equal(content(t, filepath.Join(theirs, rel)), content(t, r.Path)), "%q", rel)
		}
	}
}

func TestFilesReports(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	signed := signedBy(t, other(), module("b"))
	write(t, filepath.Join(dir, "b.ko.xz"), store(t, signed, kmod.XZ))
	write(t, filepath.Join(dir, "a.ko"), module("a"))
	require.NoError(t, os.Link(filepath.Join(dir, "a.ko"), filepath.Join(dir, "z.ko")))
	require.NoError(t, os.Symlink("a.ko", filepath.Join(dir, "l.ko")))
	done, err := sign.Files(context.Background(), []string{dir}, options(rsa2048()))
	require.NoError(t, err)
	require.Len(t, done, 2)
	a, b := done[0], done[1]
	assert.Equal(t, filepath.Join(dir, "a.ko"), a.Path)
	assert.Equal(t, []string{filepath.Join(dir, "z.ko")}, a.Module.HardLinks)
	assert.Equal(t, []string{filepath.Join(dir, "l.ko")}, a.Module.Symlinks)
	assert.Equal(t, manifest.ActionSigned, a.Module.Signed.Action)
	assert.Equal(t, "6.1.0-1-test", a.Module.Release())
	assert.Empty(t, a.Module.Signatures)

	assert.Equal(t, "xz", b.Module.Codec)
	assert.Equal(t, "b", b.Module.Name)
	assert.Equal(t, manifest.ActionReplaced, b.Module.Signed.Action)
	require.Len(t, b.Module.Signatures, 1)
	assert.Equal(t, "another test key", b.Module.Signatures[0].Signer)
	assert.Equal(t, kmod.Blob(signed), b.Module.Plain)
	assert.Equal(t, kmod.Blob(content(t, b.Path)), b.Module.Signed.Stored)
}

func TestFilesSignsInsideCompression(t *testing.T) {
	t.Parallel()
	for _, c := range []kmod.Codec{kmod.Gzip, kmod.XZ, kmod.Zstd} {
		file := write(t, filepath.Join(t.TempDir(), "a.ko.xz"), store(t, module("a"), c)) // content decides
		require.NoError(t, files(file))
		plain, got, err := kmod.Decode(content(t, file), 0)
		require.NoError(t, err)
		assert.Equal(t, c, got)
		assert.True(t, bytes.Equal(signedBy(t, rsa2048(), module("a")), plain))
	}
}

func TestFilesKeepsModeAndTimes(t *testing.T) {
	t.Parallel()
	for _, mode := range []os.FileMode{0o444, 0o600, 0o755, 0o644 | os.ModeSetgid} {
		dir := t.TempDir()
		file := write(t, filepath.Join(dir, "a.ko"), module("a"))
		require.NoError(t, os.Chmod(file, mode))
		old := time.Date(2020, 2, 3, 4, 5, 6, 789, time.UTC)
		require.NoError(t, os.Chtimes(file, old, old))
		require.NoError(t, files(dir))
		fi, err := os.Stat(file)
		require.NoError(t, err)
		assert.Equal(t, mode, fi.Mode())
		assert.True(t, old.Equal(fi.ModTime()), fi.ModTime())
		assertSigned(t, file, "a")
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		assert.Len(t, entries, 1, "no temporary file is left")
	}
}

func TestFilesTwiceChangesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for path, b := range mixed(t) {
		write(t, filepath.Join(dir, path), b)
	}
	require.NoError(t, files(dir))
	before := tree(t, dir)
	require.NoError(t, files(dir))
	assert.Equal(t, before, tree(t, dir))
}

func TestFilesGivenTwice(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := write(t, filepath.Join(dir, "a.ko"), module("a"))
	require.NoError(t, os.Symlink(file, filepath.Join(dir, "link.ko")))
	o := options(rsa2048())
	o.OnSigned = sign.AppendTo // would show a second signature
	done, err := sign.Files(context.Background(), []string{file, dir, file, dir + "/./a.ko", filepath.Join(dir, "link.ko")}, o)
	require.NoError(t, err)
	assert.Len(t, done, 1)
	assertSigned(t, file, "a")
}

func TestFilesPolicies(t *testing.T) {
	t.Parallel()
	foreign := signedBy(t, other(), module("a"))
	for policy, want := range map[string][]byte{
		sign.Replace: signedBy(t, rsa2048(), module("a")), sign.Keep: foreign, sign.AppendTo: signedBy(t, rsa2048(), foreign),
	} {
		file := write(t, filepath.Join(t.TempDir(), "a.ko"), foreign)
		o := options(rsa2048())
		o.OnSigned = policy
		_, err := sign.Files(context.Background(), []string{file}, o)
		require.NoError(t, err)
		assert.True(t, bytes.Equal(want, content(t, file)), policy)
	}
	twice := write(t, filepath.Join(t.TempDir(), "a.ko"), signedBy(t, rsa2048(), signedBy(t, other(), foreign)))
	require.NoError(t, files(twice))
	assertSigned(t, twice, "a")
}

func TestFilesRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		file  string // below the folder that is given
		bad   []byte
		class fault.Class
		text  string
	}{
		"text":                     {"m.ko", []byte("hello"), fault.Input, "no ELF file"},
		"empty file":               {"m.ko", nil, fault.Input, "empty file"},
		"executable":               {"m.ko", append([]byte("\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00"), make([]byte, 90)...), fault.Input, "not relocatable"},
		"signed after compression": {"m.ko.xz", signedBy(t, other(), store(t, module("a"), kmod.XZ)), fault.Damaged, "behind the compressed data"},
		"cut off xz":               {"m.ko.xz", store(t, module("a"), kmod.XZ)[:100], fault.Input, "damaged xz"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, filepath.Join(dir, "a.ko"), module("a"))
			write(t, filepath.Join(dir, "z.ko"), module("z"))
			bad := write(t, filepath.Join(dir, c.file), c.bad)
			for _, given := range [][]string{{dir}, {filepath.Join(dir, "a.ko"), bad}} {
				err := unchanged(t, dir, func() error { return files(given...) })
				assert.Equal(t, c.class, fault.ClassOf(err), err)
				require.ErrorContains(t, err, c.text)
				assert.ErrorContains(t, err, bad)
			}
		})
	}
}

func TestFilesRefusesArguments(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.ko"), module("a"))
	write(t, filepath.Join(dir, "a.ko.debug"), module("a"))
	write(t, filepath.Join(dir, "a.o"), module("a"))
	empty := filepath.Join(dir, "empty")
	write(t, filepath.Join(empty, "x.ko.debug"), module("a"))
	require.NoError(t, os.Symlink("nowhere", filepath.Join(dir, "dangling.ko")))
	for name, c := range map[string]struct {
		paths []string
		class fault.Class
		text  string
	}{
		"nothing":        {nil, fault.Usage, "no file or folder given"},
		"absent":         {[]string{dir, dir + "/b.ko"}, fault.Input, "b.ko: no such file"},
		"dangling":       {[]string{dir, dir + "/dangling.ko"}, fault.Input, "dangling.ko: no such file"},
		"debug file":     {[]string{dir, dir + "/a.ko.debug"}, fault.Input, "not a module by its name"},
		"object file":    {[]string{dir, dir + "/a.o"}, fault.Input, "not a module by its name"},
		"no modules":     {[]string{empty}, fault.Input, "no modules in"},
		"glob unmatched": {[]string{dir + "/*.none"}, fault.Input, "no such file"},
	} {
		err := unchanged(t, dir, func() error { return files(c.paths...) })
		assert.Equal(t, c.class, fault.ClassOf(err), name)
		assert.ErrorContains(t, err, c.text, name)
	}
}

func TestFilesFailsWhole(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, n := range []string{"a", "b", "c", "d"} {
		write(t, filepath.Join(dir, n, n+".ko"), module(n))
	}
	sign.BlockTemporary(t, filepath.Join(dir, "c", "c.ko"))
	err := unchanged(t, dir, func() error { return files(dir) })
	require.ErrorContains(t, err, "c.ko")

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	err = unchanged(t, dir, func() error {
		_, err := sign.Files(ctx, []string{dir}, options(rsa2048()))
		return err
	})
	assert.ErrorIs(t, err, context.Canceled)
}

func TestFilesECDSARepeats(t *testing.T) {
	t.Parallel()
	pair := ecPair("ecdsa test key", nil)
	dir := t.TempDir()
	a := write(t, filepath.Join(dir, "a", "m.ko"), module("m"))
	b := write(t, filepath.Join(dir, "b", "m.ko"), module("m"))
	_, err := sign.Files(context.Background(), []string{dir}, options(pair))
	require.NoError(t, err)
	assert.Equal(t, content(t, a), content(t, b))
	s, err := modsig.Split(content(t, a))
	require.NoError(t, err)
	assert.Equal(t, module("m"), s.Body)
}
