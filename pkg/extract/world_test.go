package extract_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/kmodtest"
	"github.com/kmodseal/kmodseal/pkg/source"
)

// ko is a module of its own for every name.
func ko(name string) string {
	return string(kmodtest.Build(kmodtest.Spec{Name: name, Release: "6.1.0-1-amd64", Machine: "amd64"}))
}

func gz(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, s) // a buffer takes everything
	_ = w.Close()
	return b.String()
}

// hdr is a tar entry; the type follows from the fields set.
type hdr struct {
	name, body, link, sym string
	mode                  int64
	xattr                 string
}

func tarball(t testing.TB, entries []hdr) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := &tar.Header{
			Name: e.name, Typeflag: tar.TypeReg, Size: int64(len(e.body)), Mode: 0o644, Uid: 7, Gid: 8, Uname: "u", Gname: "g",
			ModTime: time.Unix(1700000000, 0),
		}
		if e.mode != 0 {
			h.Mode = e.mode
		}
		if e.xattr != "" {
			h.PAXRecords = map[string]string{"SCHILY.xattr.user.x": e.xattr}
		}
		switch {
		case e.link != "":
			h.Typeflag, h.Linkname = tar.TypeLink, e.link
		case e.sym != "":
			h.Typeflag, h.Linkname = tar.TypeSymlink, e.sym
		case strings.HasSuffix(e.name, "/"):
			h.Typeflag = tar.TypeDir
		}
		require.NoError(t, w.WriteHeader(h))
		_, err := io.WriteString(w, e.body)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

// counted is a layer that counts how often its bytes are asked for.
type counted struct {
	v1.Layer
	plain []byte
	reads *atomic.Int32
}

func (c counted) Compressed() (io.ReadCloser, error) {
	c.reads.Add(1)
	return c.Layer.Compressed()
}

func (c counted) DiffID() (v1.Hash, error) {
	h, _, err := v1.SHA256(bytes.NewReader(c.plain))
	return h, err
}

func (c counted) Uncompressed() (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(c.plain)), nil
}

func newLayer(t testing.TB, entries ...hdr) counted {
	t.Helper()
	plain := tarball(t, entries)
	return counted{static.NewLayer([]byte(gz(string(plain))), types.OCILayer), plain, new(atomic.Int32)}
}

// raw keeps the layers as they are, where mutate would wrap them.
type raw struct {
	v1.Image
	layers []v1.Layer
}

func (r raw) Layers() ([]v1.Layer, error) { return r.layers, nil }

func newImage(t testing.TB, layers ...counted) v1.Image {
	t.Helper()
	img, err := mutate.ConfigFile(mutate.MediaType(empty.Image, types.OCIManifestSchema1), &v1.ConfigFile{OS: "linux", Architecture: "amd64"})
	require.NoError(t, err)
	r := raw{}
	for _, l := range layers {
		img, err = mutate.AppendLayers(img, l)
		require.NoError(t, err)
		r.layers = append(r.layers, l)
	}
	r.Image = img
	return r
}

// newSource has one image a platform.
func newSource(t testing.TB, images map[string]v1.Image) *source.Source {
	t.Helper()
	s := &source.Source{Ref: source.Ref{Kind: source.OCI, Name: "dir", Tag: "t"}}
	for p, img := range images {
		d, err := img.Digest()
		require.NoError(t, err)
		s.Images = append(s.Images, source.Image{Platform: p, Descriptor: v1.Descriptor{Digest: d}, Image: img})
		s.Digest = d
	}
	slices.SortFunc(s.Images, func(a, b source.Image) int { return strings.Compare(a.Platform, b.Platform) })
	return s
}

func single(t testing.TB, layers ...counted) *source.Source {
	t.Helper()
	return newSource(t, map[string]v1.Image{"linux/amd64": newImage(t, layers...)})
}

func sum(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:])
}

// listing is a folder's files with mode and content, to compare two states.
func listing(t testing.TB, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		require.NoError(t, err)
		fi, err := d.Info()
		require.NoError(t, err)
		if d.Type().IsRegular() {
			b, err := os.ReadFile(p)
			require.NoError(t, err)
			out[rel] = fmt.Sprintf("%v %s", fi.Mode(), sum(string(b)))
		} else {
			out[rel] = fi.Mode().String()
		}
		return nil
	}))
	return out
}
