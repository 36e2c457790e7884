package repack

import (
	"context"
	"crypto/x509"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/extract"
	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/kmod"
	"github.com/kmodseal/kmodseal/pkg/manifest"
)

// tree writes a driver's folder and its kmods folder.
func tree(t testing.TB, key *signer) (src, kmodsDir string) {
	t.Helper()
	src, kmodsDir = t.TempDir(), t.TempDir()
	at := filepath.Join(src, "lib/modules/6.1.0-test")
	require.NoError(t, os.MkdirAll(at, 0o755))
	a, b := ko("a"), encoded(t, ko("b"), kmod.XZ)
	require.NoError(t, os.WriteFile(filepath.Join(at, "a.ko"), a, 0o600))
	require.NoError(t, os.Link(filepath.Join(at, "a.ko"), filepath.Join(at, "a2.ko")))
	require.NoError(t, os.WriteFile(filepath.Join(at, "b.ko.xz"), b, 0o644))
	require.NoError(t, os.Symlink("a.ko", filepath.Join(at, "s.ko")))
	require.NoError(t, os.WriteFile(filepath.Join(src, "fw.bin"), []byte("firmware"), 0o640))
	require.NoError(t, os.Mkdir(filepath.Join(src, "empty"), 0o700))
	require.NoError(t, os.Chtimes(filepath.Join(src, "fw.bin"), time.Unix(5, 0), time.Unix(5, 0)))
	root, err := os.OpenRoot(src)
	require.NoError(t, err)
	defer root.Close()
	digest, err := extract.FolderDigest(context.Background(), root)
	require.NoError(t, err)
	m := &manifest.Manifest{
		Schema: manifest.Schema, Source: manifest.Source{Name: "dir:" + src, Kind: "dir", Digest: digest},
		Platforms: []manifest.Platform{{Platform: "linux/amd64"}},
	}
	mod{"lib/modules/6.1.0-test/a.ko", 0, []string{"lib/modules/6.1.0-test/a2.ko"}}.write(t, kmodsDir, m, "linux/amd64", "", a, key)
	mod{"lib/modules/6.1.0-test/b.ko.xz", 0, nil}.write(t, kmodsDir, m, "linux/amd64", "", b, key)
	require.NoError(t, m.Save(kmodsDir))
	return src, kmodsDir
}

func TestFolderToScratch(t *testing.T) {
	t.Parallel()
	s := &scene{reg: newRegistry(t), key: newSigner(t, "test signer", nil)}
	src, kmodsDir := tree(t, s.key)
	s.folder = kmodsDir
	res := mustRun(t, s.options("drv:signed"))
	img := s.pull(t, "drv:signed")
	c, err := img.ConfigFile()
	require.NoError(t, err)
	assert.Equal(t, "linux/amd64", c.Platform().String())
	m, err := img.Manifest()
	require.NoError(t, err)
	assert.Equal(t, types.OCIManifestSchema1, m.MediaType)
	assert.Len(t, m.Annotations, 3)
	files := flat(t, img)
	assert.Len(t, files, 10)
	assert.Equal(t, "0 640 0 0 0   firmware", files["fw.bin"])
	assert.Equal(t, "1 lib/modules/6.1.0-test/a.ko", files["lib/modules/6.1.0-test/a2.ko"])
	assert.Contains(t, files["lib/modules/6.1.0-test/a.ko"], "~Module signature appended~")
	assert.Contains(t, files["empty"], "5 700 0 0 0")
	// Times are nothing to the digest; content is.
	require.NoError(t, os.Chtimes(filepath.Join(src, "fw.bin"), time.Unix(7, 0), time.Unix(7, 0)))
	again := mustRun(t, s.options("drv:signed"))
	assert.False(t, again.Pushed)
	assert.Equal(t, res.Digest, again.Digest)
	require.NoError(t, os.WriteFile(filepath.Join(src, "fw.bin"), []byte("changed"), 0o640))
	_, err = Run(context.Background(), s.options("drv:signed"))
	assert.Equal(t, fault.Input, fault.ClassOf(err))
}

func TestFolderToBase(t *testing.T) {
	t.Parallel()
	s := newScene(t, types.OCIManifestSchema1, gz)
	_, s.folder = tree(t, s.key)
	o := s.options("drv:signed")
	o.Base = s.src
	mustRun(t, o)
	now := s.pull(t, "drv:signed")
	tops(t, s.img, now)
	files := flat(t, now)
	assert.Contains(t, files["bin/sh"], "shell")
	assert.Contains(t, files["lib"], "2 777") // still a link
	m, err := now.Manifest()
	require.NoError(t, err)
	assert.Equal(t, digestOf(t, s.img).String(), m.Annotations[noteBaseDigest])
	assert.Equal(t, s.src, m.Annotations[noteBaseName])
	assert.NotEqual(t, m.Annotations[noteBaseDigest], m.Annotations[noteSource])
	o.Base = s.reg.push(t, "arm:1", driver(t, "arm64", types.OCIManifestSchema1, gz))
	_, err = Run(context.Background(), o)
	require.Error(t, err)
	o.Base = "dir:/"
	_, err = Run(context.Background(), o)
	assert.Equal(t, fault.Usage, fault.ClassOf(err))
}

func TestFolderRefusals(t *testing.T) {
	t.Parallel()
	key := newSigner(t, "test signer", nil)
	for name, c := range map[string]struct {
		do    func(src, kmodsDir string)
		class fault.Class
	}{
		"private key in it": {func(src, kmodsDir string) {
			require.NoError(t, os.WriteFile(filepath.Join(src, "k.pem"), []byte("-----BEGIN RSA PRIVATE KEY-----"), 0o600))
			redigest(t, src, kmodsDir)
		}, fault.Internal},
		"new file": {func(src, _ string) { require.NoError(t, os.WriteFile(filepath.Join(src, "x"), nil, 0o600)) }, fault.Input},
		"mode":     {func(src, _ string) { require.NoError(t, os.Chmod(filepath.Join(src, "fw.bin"), 0o777)) }, fault.Input},
		"module gone": {func(src, _ string) {
			require.NoError(t, os.Remove(filepath.Join(src, "lib/modules/6.1.0-test/b.ko.xz")))
		}, fault.Input},
		"module is another": {func(src, kmodsDir string) {
			require.NoError(t, os.WriteFile(filepath.Join(src, "lib/modules/6.1.0-test/a.ko"), ko("x"), 0o600))
			redigest(t, src, kmodsDir)
		}, fault.Input},
		"source gone": {func(src, _ string) { require.NoError(t, os.RemoveAll(src)) }, fault.Input},
		"two platforms": {func(_, kmodsDir string) {
			change(t, kmodsDir, func(m *manifest.Manifest) {
				m.Platforms = append(m.Platforms, manifest.Platform{Platform: "linux/arm64"})
			})
		}, fault.Input},
	} {
		src, kmodsDir := tree(t, key)
		c.do(src, kmodsDir)
		out := filepath.Join(t.TempDir(), "out")
		for _, dst := range []string{"oci:" + out, "dir:" + out} {
			_, err := Run(context.Background(), Options{Kmods: kmodsDir, Trust: trustIn(key), Destination: dst, CertPath: DefaultCertPath})
			require.Error(t, err, name)
			assert.Equal(t, c.class, fault.ClassOf(err), "%s: %v", name, err)
			left, err := os.ReadDir(filepath.Dir(out))
			require.NoError(t, err)
			assert.Empty(t, left, name)
		}
	}
}

func redigest(t testing.TB, src, kmodsDir string) {
	t.Helper()
	root, err := os.OpenRoot(src)
	require.NoError(t, err)
	defer root.Close()
	digest, err := extract.FolderDigest(context.Background(), root)
	require.NoError(t, err)
	change(t, kmodsDir, func(m *manifest.Manifest) { m.Source.Digest = digest })
}

func trustIn(s *signer) []*x509.Certificate { return []*x509.Certificate{s.cert} }

// listing is what a folder looks like from outside.
func listing(t testing.TB, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil || rel == "." {
			return err
		}
		out[rel] = info.Mode().String()
		switch {
		case info.Mode().IsRegular():
			b, err := os.ReadFile(p)
			out[rel] += " " + info.ModTime().UTC().Format(time.RFC3339Nano) + " " + string(b)
			return err
		case info.Mode()&fs.ModeSymlink != 0:
			to, err := os.Readlink(p)
			out[rel] += " " + to
			return err
		}
		return nil
	}))
	return out
}

func TestFolderToFolder(t *testing.T) {
	t.Parallel()
	key := newSigner(t, "test signer", nil)
	src, kmodsDir := tree(t, key)
	out := filepath.Join(t.TempDir(), "new", "out")
	o := Options{Kmods: kmodsDir, Trust: trustIn(key), Destination: "dir:" + out, CertPath: DefaultCertPath}
	res := mustRun(t, o)
	assert.Empty(t, res.Digest)
	assert.Equal(t, "dir:"+out, res.URL)
	was, is := listing(t, src), listing(t, out)
	cert := DefaultCertPath[1:]
	assert.Equal(t, string(key.cert.Raw), strings.SplitN(is[cert], " ", 3)[2])
	for p, b := range was {
		if strings.Contains(p, ".ko") && b[0] == '-' {
			assert.NotEqual(t, b, is[p])
			assert.Equal(t, strings.SplitN(b, " ", 3)[:2], strings.SplitN(is[p], " ", 3)[:2])
			continue
		}
		assert.Equal(t, b, is[p], p)
	}
	assert.Len(t, is, len(was)+4) // usr/share/kmodseal/signer.der
	one, err := os.Stat(filepath.Join(out, "lib/modules/6.1.0-test/a.ko"))
	require.NoError(t, err)
	two, err := os.Stat(filepath.Join(out, "lib/modules/6.1.0-test/a2.ko"))
	require.NoError(t, err)
	assert.True(t, os.SameFile(one, two))
	assert.True(t, res.Pushed)
	assert.False(t, mustRun(t, o).Pushed, "the destination holds it")
	require.NoError(t, os.WriteFile(filepath.Join(out, "more"), nil, 0o600))
	_, err = Run(context.Background(), o)
	assert.Equal(t, fault.Usage, fault.ClassOf(err), "the destination holds something else")
}

func TestImageToFolder(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{Append, Rewrite} {
		s := newScene(t, types.OCIManifestSchema1, gz)
		out := t.TempDir() // empty: fine
		o := s.options("")
		o.Destination, o.Mode = "dir:"+out, mode
		mustRun(t, o)
		mustRun(t, s.options("drv:signed"))
		want := flat(t, s.pull(t, "drv:signed"))
		is := listing(t, out)
		for p := range want {
			assert.Contains(t, is, strings.TrimSuffix(p, "/"))
		}
		assert.NotContains(t, is, dir+"d.ko")
		assert.NotContains(t, is, dir+"a-link.ko")
		assert.Contains(t, is[dir+"a.ko"], "-rw------- 2017-07-14T02:40:00.25Z \x7fELF")
		assert.Contains(t, is[dir+"a.ko"], "~Module signature appended~")
		assert.Equal(t, "drwxr-x---", is["opt"])
		assert.Equal(t, "Lrwxrwxrwx usr/lib", is["lib"])
	}
}
