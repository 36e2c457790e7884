package source

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/kmodseal/kmodseal/pkg/fault"
)

// tree lists every file below dir with its content.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(p)
		out[strings.TrimPrefix(p, dir+"/")] = string(b)
		return err
	}))
	return out
}

func TestLayoutTags(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dir := filepath.Join(t.TempDir(), "a", "b")
	one, two := testImage(t, types.OCIManifestSchema1, "linux", "amd64"), testImage(t, types.OCIManifestSchema1, "linux", "arm64")
	mustPut(t, "oci:"+dir+":one", one, nil)
	mustPut(t, "oci:"+dir+":two", two, nil)
	mustPut(t, "oci:"+dir+":one", two, nil)
	index := readIndex(t, dir)
	require.Len(t, index.Manifests, 2, "replaced, not listed twice")
	assert.Equal(t, "one", index.Manifests[0].Annotations[refName], "in place")
	assert.Equal(t, digestOf(t, two), index.Manifests[0].Digest)

	mustPut(t, "oci:"+dir+":one", one, nil)
	_, err := openWith(t, "oci:"+dir, Options{})
	require.Error(t, err)
	assert.Equal(t, fault.Usage, fault.ClassOf(err))
	assert.Contains(t, fault.HintsOf(err)[0], "oci:"+dir+":one, oci:"+dir+":two")
	_, err = openWith(t, "oci:"+dir+":three", Options{})
	assert.Equal(t, fault.Input, fault.ClassOf(err))
	assert.Contains(t, strings.Join(fault.HintsOf(err), ""), "oci:"+dir+":one")
	src := mustOpen(t, "oci:"+dir+"@"+digestOf(t, two).String())
	assert.Equal(t, "linux/arm64", src.Images[0].Platform)
	assert.Equal(t, src.Digest, mustOpen(t, src.Pinned).Digest)

	d, err := Create(ctx, mustParse(t, "oci:"+dir+":two"), testOptions())
	require.NoError(t, err)
	require.NoError(t, d.Tag(ctx, digestOf(t, two), []string{"latest", "one"}))
	for _, tag := range []string{"one", "two", "latest"} {
		assert.Equal(t, digestOf(t, two), mustOpen(t, "oci:"+dir+":"+tag).Digest)
	}
	require.Len(t, readIndex(t, dir).Manifests, 3)
	err = d.Tag(ctx, v1.Hash{Algorithm: "sha256", Hex: testHex()}, []string{"x"})
	assert.Equal(t, fault.Input, fault.ClassOf(err))
	h, ok, err := d.Digest(ctx)
	require.NoError(t, err)
	assert.True(t, ok)
	assert.Equal(t, digestOf(t, two), h)
}

func readIndex(t *testing.T, dir string) v1.IndexManifest {
	t.Helper()
	b, err := os.ReadFile(dir + "/index.json")
	require.NoError(t, err)
	var index v1.IndexManifest
	require.NoError(t, json.Unmarshal(b, &index))
	return index
}

func TestParallelWritersKeepEveryTag(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var g errgroup.Group
	img := testImage(t, types.OCIManifestSchema1, "linux", "amd64")
	for _, tag := range []string{"a", "b", "c", "d", "e", "f"} {
		r := mustParse(t, "oci:"+dir+":"+tag)
		g.Go(func() error {
			d, err := Create(context.Background(), r, Options{})
			if err != nil {
				return err
			}
			return d.Put(context.Background(), img, nil)
		})
	}
	require.NoError(t, g.Wait())
	assert.Len(t, readIndex(t, dir).Manifests, 6)
}

func TestWrittenFilesAreDeterministic(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for _, kind := range []Kind{OCI, OCIArchive, DockerArchive} {
		var files []map[string]string
		for range 2 {
			dir := t.TempDir()
			ref := mustParse(t, places(&recorder{}, dir, "x")[kind])
			d, err := Create(ctx, ref, Options{})
			require.NoError(t, err)
			img := testImage(t, types.OCIManifestSchema1, "linux", "amd64")
			require.NoError(t, d.Put(ctx, img, nil))
			require.NoError(t, d.Tag(ctx, digestOf(t, img), []string{"z", "y"}))
			files = append(files, tree(t, dir))
		}
		assert.Equal(t, files[0], files[1], kind)
	}
}

func TestDockerArchiveTags(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	file := t.TempDir() + "/a.tar"
	img := testImage(t, types.DockerManifestSchema2, "linux", "amd64")
	d, err := Create(ctx, mustParse(t, "docker-archive:"+file+":driver"), Options{})
	require.NoError(t, err)
	require.NoError(t, d.Put(ctx, img, nil))
	require.NoError(t, d.Tag(ctx, digestOf(t, img), []string{"6.12", "6.12"}))
	for _, ref := range []string{"", ":driver", ":driver:latest", ":docker.io/library/driver:6.12"} {
		assert.Equal(t, digestOf(t, img), mustOpen(t, "docker-archive:"+file+ref).Digest, ref)
	}
	_, err = openWith(t, "docker-archive:"+file+":driver:2", Options{})
	assert.Equal(t, fault.Input, fault.ClassOf(err))
	assert.Contains(t, strings.Join(fault.HintsOf(err), ""), "docker-archive:"+file+":driver:6.12")

	plain, err := Create(ctx, mustParse(t, "docker-archive:"+file), Options{})
	require.NoError(t, err)
	assert.Equal(t, fault.Usage, fault.ClassOf(plain.CheckTags([]string{"x"})))
	err = plain.Put(ctx, nil, testIndex(t))
	assert.Equal(t, fault.Usage, fault.ClassOf(err))
	assert.Contains(t, strings.Join(fault.HintsOf(err), ""), "--platform")
	assert.Equal(t, digestOf(t, img), mustOpen(t, "docker-archive:"+file).Digest, "the old archive stays")
	amd := testImage(t, types.OCIManifestSchema1, "linux", "amd64")
	require.NoError(t, plain.Put(ctx, nil, indexOf(platformed(amd, "linux", "amd64", ""), attestation(t, amd))))
	assert.Equal(t, layersOf(t, amd), layersOf(t, mustOpen(t, "docker-archive:"+file).Images[0]))
}

// docker save before 25 wrote inflated layers in folders, and links for doubles.
func TestDockerSaveFormat(t *testing.T) {
	t.Parallel()
	a, b := tarOf(t, "a.ko", "module"), tarOf(t, "b", "other")
	sum := func(x []byte) string { h, _, _ := v1.SHA256(bytes.NewReader(x)); return h.String() }
	config := func(n ...string) string {
		return `{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":["` + strings.Join(n, `","`) + `"]}}`
	}
	whole := []tarFile{
		{name: "l1/layer.tar", body: string(a)},
		{name: "l2/layer.tar", body: string(b)},
		{name: "l3/layer.tar", link: "../l1/layer.tar"},
		{name: "c.json", body: config(sum(a), sum(b), sum(a))},
		{name: "manifest.json", body: `[{"Config":"c.json","RepoTags":["d:1"],"Layers":["l1/layer.tar","l2/layer.tar","l3/layer.tar"]}]`},
	}
	src := mustOpen(t, "docker-archive:"+writeTar(t, whole))
	assert.Equal(t, []string{sum(a), sum(b), sum(a)}, layersOf(t, src.Images[0]))
	mt, err := must(src.Images[0].Layers())(t)[0].MediaType()
	require.NoError(t, err)
	assert.Equal(t, types.DockerUncompressedLayer, mt)

	change := func(name, body string) []tarFile {
		var out []tarFile
		for _, f := range whole {
			if f.name == name {
				f.body = body
			}
			if f.body != "" || f.link != "" {
				out = append(out, f)
			}
		}
		return out
	}
	for label, c := range map[string]struct {
		files []tarFile
		text  string
	}{
		"no manifest":    {change("manifest.json", ""), "no member manifest.json"},
		"no config":      {change("c.json", ""), "no member c.json"},
		"no layer":       {change("l2/layer.tar", ""), "no member l2/layer.tar"},
		"dangling link":  {change("l1/layer.tar", ""), "no member"},
		"bad manifest":   {change("manifest.json", "{"), "manifest.json"},
		"empty manifest": {change("manifest.json", "[]"), "is empty"},
		"fewer diff ids": {change("c.json", config(sum(a))), "3 layers, but 1"},
		"bad config":     {change("c.json", "["), "c.json"},
		"link loop":      {append(change("l2/layer.tar", ""), tarFile{name: "l2/layer.tar", link: "layer.tar"}), "too many links"},
		"unnamed two":    {change("manifest.json", `[{"Config":"c.json","RepoTags":["d:1"]},{"Config":"c.json","RepoTags":["d:2"]}]`), "holds 2 images"},
	} {
		_, err := openWith(t, "docker-archive:"+writeTar(t, c.files), Options{})
		require.Error(t, err, label)
		assert.NotEqual(t, fault.Internal, fault.ClassOf(err), label)
		if label != "bad config" {
			assert.Contains(t, err.Error(), c.text, label)
		}
	}
	bad := mustOpen(t, "docker-archive:"+writeTar(t, change("l2/layer.tar", string(tarOf(t, "b", "OTHER")))))
	err = readLayers(bad.Images[0])
	assert.Equal(t, fault.Input, fault.ClassOf(err))
	assert.ErrorContains(t, err, "read layer "+sum(b))
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		require.NoError(t, err)
		return v
	}
}

type tarFile struct{ name, body, link string }

func writeTar(t *testing.T, files []tarFile) string {
	t.Helper()
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	for _, f := range files {
		h := &tar.Header{Name: f.name, Mode: 0o644, Size: int64(len(f.body))}
		if f.link != "" {
			h.Typeflag, h.Linkname = tar.TypeSymlink, f.link
		}
		require.NoError(t, tw.WriteHeader(h))
		_, err := io.WriteString(tw, f.body)
		require.NoError(t, err)
	}
	require.NoError(t, tw.Close())
	return writeBytes(t, b.Bytes())
}

func writeBytes(t *testing.T, b []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "archive.tar")
	require.NoError(t, os.WriteFile(file, b, 0o600))
	return file
}

func readLayers(img v1.Image) error {
	layers, err := img.Layers()
	if err != nil {
		return err
	}
	for _, l := range layers {
		rc, err := l.Compressed()
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, rc)
		rc.Close()
		if err != nil {
			return err
		}
	}
	return nil
}
