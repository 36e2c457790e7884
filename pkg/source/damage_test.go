package source

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/fault"
)

func TestDamagedLayoutsAndArchives(t *testing.T) {
	t.Parallel()
	img := testImage(t, types.OCIManifestSchema1, "linux", "amd64")
	layer := digestOf(t, must(img.Layers())(t)[1])
	path := "blobs/sha256/" + layer.Hex
	manifest := "blobs/sha256/" + digestOf(t, img).Hex
	for label, c := range map[string]struct {
		damage func(dir string) error
		text   string
		opens  bool
	}{
		"layer cut":       {func(d string) error { return os.Truncate(d+"/"+path, 20) }, "read layer " + layer.String(), true},
		"layer changed":   {func(d string) error { return flip(d + "/" + path) }, "digest mismatch", true},
		"layer longer":    {func(d string) error { return addByte(d + "/" + path) }, "longer than", true},
		"layer gone":      {func(d string) error { return os.Remove(d + "/" + path) }, "read layer " + layer.String(), true},
		"manifest cut":    {func(d string) error { return os.Truncate(d+"/"+manifest, 20) }, "truncated", false},
		"manifest flip":   {func(d string) error { return flip(d + "/" + manifest) }, "read manifest", false},
		"index.json gone": {func(d string) error { return os.Remove(d + "/index.json") }, "index.json", false},
		"index.json bad":  {func(d string) error { return os.WriteFile(d+"/index.json", []byte("{"), 0o600) }, "index.json", false},
		"no image":        {func(d string) error { return os.WriteFile(d+"/index.json", []byte("{}"), 0o600) }, "is empty", false},
		"bad digest": {func(d string) error {
			return os.WriteFile(d+"/index.json", []byte(`{"manifests":[{"digest":"sha256:../../x","size":1}]}`), 0o600)
		}, "index.json", false},
	} {
		dir := t.TempDir() + "/layout"
		mustPut(t, "oci:"+dir, img, nil)
		require.NoError(t, c.damage(dir), label)
		for _, ref := range []string{"oci:" + dir, "oci-archive:" + tarDir(t, dir)} {
			src, err := openWith(t, ref, Options{})
			if c.opens {
				require.NoError(t, err, label)
				err = readLayers(src.Images[0])
			}
			require.Error(t, err, label)
			assert.Equal(t, fault.Input, fault.ClassOf(err), "%s: %v", label, err)
			assert.Contains(t, err.Error(), c.text, label)
			assert.NotEmpty(t, fault.HintsOf(err), "%s: %v", label, err)
		}
	}
}

func flip(file string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	b[len(b)/2] ^= 1
	return os.WriteFile(file, b, 0o600)
}

func addByte(file string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(b, 0), 0o600)
}

func tarDir(t *testing.T, dir string) string {
	t.Helper()
	var files []tarFile
	for name, body := range tree(t, dir) {
		files = append(files, tarFile{name: "./" + name, body: body})
	}
	return writeTar(t, files)
}

func TestLayoutLinksStayInside(t *testing.T) {
	t.Parallel()
	img := testImage(t, types.OCIManifestSchema1, "linux", "amd64")
	dir := t.TempDir() + "/layout"
	mustPut(t, "oci:"+dir, img, nil)
	layer := dir + "/blobs/sha256/" + digestOf(t, must(img.Layers())(t)[0]).Hex
	outside := t.TempDir() + "/outside"
	require.NoError(t, os.Rename(layer, outside))
	require.NoError(t, os.Symlink(outside, layer))
	err := readLayers(mustOpen(t, "oci:"+dir).Images[0])
	assert.Equal(t, fault.Input, fault.ClassOf(err))
	assert.ErrorContains(t, err, "escapes")
}

func TestOpenRefusesFiles(t *testing.T) {
	t.Parallel()
	dir, emptyDir := t.TempDir(), t.TempDir()
	file := filepath.Join(dir, "f")
	require.NoError(t, os.WriteFile(file, []byte("hello"), 0o600))
	ociTar, dockerTar := dir+"/oci.tar", dir+"/docker.tar"
	img := testImage(t, types.OCIManifestSchema1, "linux", "amd64")
	mustPut(t, "oci-archive:"+ociTar, img, nil)
	mustPut(t, "docker-archive:"+dockerTar, img, nil)
	whole, err := os.ReadFile(ociTar)
	require.NoError(t, err)
	var packed bytes.Buffer
	zw := gzip.NewWriter(&packed)
	_, _ = zw.Write(whole)
	require.NoError(t, zw.Close())
	for ref, c := range map[string]struct {
		class      fault.Class
		text, hint string
	}{
		"dir:" + dir + "/none":                         {fault.Input, "no such file", "that the build wrote"},
		"dir:" + file:                                  {fault.Usage, "is no folder", "docker-archive:"},
		"dir:" + emptyDir:                              {fault.Input, "is empty", ""},
		"oci:" + dir + "/none":                         {fault.Input, "no such file", "oci-layout"},
		"oci:" + file:                                  {fault.Usage, "not a directory", "oci-layout"},
		"oci:" + emptyDir:                              {fault.Input, "index.json", "is " + emptyDir + " an OCI layout?"},
		"oci-archive:" + dir + "/none":                 {fault.Input, "no such file", "oci-archive:FILE"},
		"oci-archive:" + dir:                           {fault.Usage, "is a folder", "oci:" + dir},
		"oci-archive:" + file:                          {fault.Input, "unexpected EOF", "whole tar file"},
		"oci-archive:" + dockerTar:                     {fault.Input, "no member index.json", "docker-archive:" + dockerTar},
		"docker-archive:" + ociTar:                     {fault.Input, "no member manifest.json", "oci-archive:" + ociTar},
		"oci-archive:" + writeBytes(t, nil):            {fault.Input, "unexpected EOF", "whole tar file"},
		"oci-archive:" + writeBytes(t, packed.Bytes()): {fault.Input, "is compressed", "gzip -d"},
		"docker-archive:" + writeBytes(t, []byte("\xfd7zXZ\x00")): {fault.Input, "is compressed", "xz -d"},
		"oci-archive:" + writeBytes(t, whole[:len(whole)/2]):      {fault.Input, "unexpected EOF", ""},
		"oci-archive:/dev/null":                                   {fault.Usage, "no regular file", ""},
	} {
		_, err := openWith(t, ref, Options{})
		require.Error(t, err, ref)
		assert.Equal(t, c.class, fault.ClassOf(err), "%s: %v", ref, err)
		assert.Contains(t, err.Error(), c.text, ref)
		require.NotEmpty(t, fault.HintsOf(err), "%s: %v", ref, err)
		assert.Contains(t, strings.Join(fault.HintsOf(err), "\n"), c.hint, ref)
	}
	src := mustOpen(t, "dir:"+dir)
	assert.Empty(t, src.Images)
	assert.Equal(t, "dir:"+dir, src.Pinned)
	assert.Zero(t, src.Digest)
}

func TestCreateRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "f")
	require.NoError(t, os.WriteFile(file, []byte("hello"), 0o600))
	for ref, text := range map[string]string{
		"dir:" + dir:                                 "cannot hold an image",
		"a/b@sha256:" + testHex():                    "is a digest",
		"oci:" + dir + "/x@sha256:" + testHex():      "is a digest",
		"oci:" + file:                                "is a file",
		"oci:" + dir:                                 "other content",
		"oci-archive:" + dir:                         "no regular file",
		"docker-archive:/dev/null":                   "no regular file",
		"oci-archive:" + dir + "/no/such/folder.tar": "is no folder",
	} {
		_, err := Create(context.Background(), mustParse(t, ref), Options{})
		require.Error(t, err, ref)
		assert.Equal(t, fault.Usage, fault.ClassOf(err), ref)
		assert.Contains(t, err.Error(), text, ref)
	}
	if os.Geteuid() != 0 { // root may write anywhere
		locked := filepath.Join(t.TempDir(), "locked")
		require.NoError(t, os.Mkdir(locked, 0o555))
		for _, ref := range []string{"oci:" + locked, "oci:" + locked + "/a/b", "oci-archive:" + locked + "/a.tar"} {
			_, err := Create(context.Background(), mustParse(t, ref), Options{})
			require.ErrorContains(t, err, "is not writable", ref)
		}
	}
	d, err := Create(context.Background(), mustParse(t, "oci:"+dir+"/new"), Options{})
	require.NoError(t, err)
	assert.NoDirExists(t, dir+"/new", "Create writes nothing")
	_, ok, err := d.Digest(context.Background())
	require.NoError(t, err)
	assert.False(t, ok)
	for _, tag := range []string{"", "a b", "a/b", "-x", ".x", "a:b", strings.Repeat("x", 129), "a\n"} {
		assert.Equal(t, fault.Usage, fault.ClassOf(d.CheckTags([]string{tag})), "%q", tag)
	}
	require.NoError(t, d.CheckTags([]string{"6.12.27_deb12-amd64"}))
	require.Error(t, d.Put(context.Background(), nil, nil))
}

// endless is a layer whose bytes stop with an error, or call stop half way.
type broken struct {
	v1.Layer
	stop func() error
}

func (b broken) Compressed() (io.ReadCloser, error) {
	return io.NopCloser(io.MultiReader(strings.NewReader("half"), failing(b.stop))), nil
}

type failing func() error

func (f failing) Read([]byte) (int, error) { return 0, f() }

func TestFailedPutLeavesNothing(t *testing.T) {
	t.Parallel()
	for label, make := range map[string]func(cancel func()) error{
		"read error": func(func()) error { return io.ErrUnexpectedEOF },
		"cancelled":  func(cancel func()) error { cancel(); return nil },
		"short":      func(func()) error { return io.EOF },
	} {
		for _, kind := range []Kind{OCI, OCIArchive, DockerArchive} {
			for _, existing := range []bool{false, true} {
				dir := t.TempDir()
				ref := places(&recorder{}, dir, "x")[kind]
				if existing {
					mustPut(t, ref, testImage(t, types.OCIManifestSchema1, "linux", "s390x"), nil)
				}
				before := tree(t, dir)
				ctx, cancel := context.WithCancel(context.Background())
				l := broken{Layer: static.NewLayer(bytes.Repeat([]byte("x"), 100), types.OCIUncompressedLayer), stop: func() error { return make(cancel) }}
				img, err := mutate.AppendLayers(testImage(t, types.OCIManifestSchema1, "linux", "amd64"), l)
				require.NoError(t, err)
				d, err := Create(ctx, mustParse(t, ref), testOptions())
				require.NoError(t, err)
				err = d.Put(ctx, img, nil)
				require.Error(t, err)
				assert.Contains(t, err.Error(), "layer sha256:", "%s %s", label, kind)
				assert.Equal(t, before, tree(t, dir), "%s %s", label, kind)
				if !existing {
					left, err := os.ReadDir(dir)
					require.NoError(t, err)
					assert.Empty(t, left, "%s %s", label, kind)
				}
				cancel()
			}
		}
	}
}

func TestZstdAndPlainLayersKeepTheirTypes(t *testing.T) {
	t.Parallel()
	plain := static.NewLayer(tarOf(t, "a", "b"), types.OCIUncompressedLayer)
	img := testImage(t, types.OCIManifestSchema1, "linux", "amd64", plain)
	dst := "oci-archive:" + t.TempDir() + "/a.tar"
	mustPut(t, dst, img, nil)
	got := mustOpen(t, dst)
	assert.Equal(t, digestOf(t, img), got.Digest)
	l := must(got.Images[0].LayerByDigest(digestOf(t, plain)))(t)
	d, err := partial.Descriptor(l)
	require.NoError(t, err)
	assert.Equal(t, types.OCIUncompressedLayer, d.MediaType)
	diff, err := l.DiffID()
	require.NoError(t, err)
	assert.Equal(t, digestOf(t, plain), diff)
	byDiff := must(got.Images[0].LayerByDiffID(diff))(t)
	assert.Equal(t, digestOf(t, plain), digestOf(t, byDiff))
}
