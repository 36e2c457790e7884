package source

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	greg "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/require"
)

// recorder is a registry that keeps its requests and can be told to misbehave.
type recorder struct {
	inner http.Handler
	host  string

	mu   sync.Mutex
	log  []string // "METHOD path?query"
	hook func(w http.ResponseWriter, r *http.Request) bool
}

func (rec *recorder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rec.mu.Lock()
	rec.log = append(rec.log, r.Method+" "+r.URL.RequestURI())
	hook := rec.hook
	rec.mu.Unlock()
	if hook != nil && hook(w, r) {
		return
	}
	rec.inner.ServeHTTP(w, r)
}

// take gives the requests since the last call whose text holds all words.
func (rec *recorder) take(words ...string) []string {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	var out []string
	for _, l := range rec.log {
		ok := true
		for _, w := range words {
			ok = ok && strings.Contains(l, w)
		}
		if ok {
			out = append(out, l)
		}
	}
	return out
}

func (rec *recorder) reset() { rec.mu.Lock(); rec.log = nil; rec.mu.Unlock() }

func (rec *recorder) onRequest(f func(w http.ResponseWriter, r *http.Request) bool) {
	rec.mu.Lock()
	rec.hook = f
	rec.mu.Unlock()
}

func newRecorder() *recorder {
	return &recorder{inner: greg.New(greg.Logger(log.New(io.Discard, "", 0)))}
}

func startRegistry(t testing.TB) *recorder {
	t.Helper()
	rec := newRecorder()
	s := httptest.NewServer(rec)
	t.Cleanup(s.Close)
	rec.host = strings.TrimPrefix(s.URL, "http://")
	return rec
}

func testOptions() Options { return Options{fastRetry: true} }

func tarOf(t testing.TB, file, content string) []byte {
	t.Helper()
	var b bytes.Buffer
	tw := tar.NewWriter(&b)
	require.NoError(t, tw.WriteHeader(&tar.Header{Name: file, Mode: 0o644, Size: int64(len(content))}))
	_, err := io.WriteString(tw, content)
	require.NoError(t, err)
	require.NoError(t, tw.Close())
	return b.Bytes()
}

func gzipLayer(t testing.TB, file, content string) v1.Layer {
	t.Helper()
	b := tarOf(t, file, content)
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil })
	require.NoError(t, err)
	return l
}

func testImage(t testing.TB, mt types.MediaType, os, arch string, layers ...v1.Layer) v1.Image {
	t.Helper()
	if len(layers) == 0 {
		layers = []v1.Layer{gzipLayer(t, "base", "base "+arch), gzipLayer(t, "lib/modules/a.ko", strings.Repeat("module "+arch, 5000))}
	}
	img, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{OS: os, Architecture: arch, RootFS: v1.RootFS{Type: "layers"}})
	require.NoError(t, err)
	img, err = mutate.AppendLayers(img, layers...)
	require.NoError(t, err)
	if mt == types.OCIManifestSchema1 {
		img = mutate.ConfigMediaType(mutate.MediaType(img, mt), types.OCIConfigJSON)
	}
	return img
}

// attestation is what BuildKit puts beside an image.
func attestation(t testing.TB, of v1.Image) mutate.IndexAddendum {
	t.Helper()
	h, err := of.Digest()
	require.NoError(t, err)
	img, err := mutate.AppendLayers(mutate.MediaType(empty.Image, types.OCIManifestSchema1),
		static.NewLayer([]byte(`{"_type":"https://in-toto.io/Statement/v0.1"}`), "application/vnd.in-toto+json"))
	require.NoError(t, err)
	return mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{
		Platform:    &v1.Platform{OS: "unknown", Architecture: "unknown"},
		Annotations: map[string]string{"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": h.String()},
	}}
}

func platformed(img v1.Image, os, arch, variant string) mutate.IndexAddendum {
	return mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: os, Architecture: arch, Variant: variant}}}
}

// testIndex lists arm64 before amd64, with attestations between.
func testIndex(t testing.TB) v1.ImageIndex {
	t.Helper()
	arm := testImage(t, types.OCIManifestSchema1, "linux", "arm64")
	amd := testImage(t, types.OCIManifestSchema1, "linux", "amd64")
	return mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex),
		platformed(arm, "linux", "arm64", ""), attestation(t, arm), platformed(amd, "linux", "amd64", ""), attestation(t, amd))
}

// seed pushes with the library alone, so that the code under test only reads.
func seed(t testing.TB, rec *recorder, repo string, m remote.Taggable) string {
	t.Helper()
	ref, err := name.ParseReference(rec.host + "/" + repo)
	require.NoError(t, err)
	require.NoError(t, remote.Push(ref, m))
	rec.reset()
	return ref.String()
}

func mustParse(t testing.TB, s string) Ref {
	t.Helper()
	r, err := Parse(s)
	require.NoError(t, err)
	return r
}

func mustOpen(t testing.TB, s string) *Source {
	t.Helper()
	src, err := Open(context.Background(), mustParse(t, s), testOptions())
	require.NoError(t, err)
	t.Cleanup(func() { _ = src.Close() })
	return src
}

func mustPut(t testing.TB, s string, img v1.Image, idx v1.ImageIndex) {
	t.Helper()
	d, err := Create(context.Background(), mustParse(t, s), testOptions())
	require.NoError(t, err)
	require.NoError(t, d.Put(context.Background(), img, idx))
}

// content is the source as Put wants it.
func (s *Source) content() (v1.Image, v1.ImageIndex) {
	if s.Index != nil {
		return nil, s.Index
	}
	return s.Images[0], nil
}

func digestOf(t testing.TB, d interface{ Digest() (v1.Hash, error) }) v1.Hash {
	t.Helper()
	h, err := d.Digest()
	require.NoError(t, err)
	return h
}
