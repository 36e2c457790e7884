package extract_test

import (
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/extract"
	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/source"
)

// world is a registry that can serve a blob cut or changed.
type world struct {
	host  string
	blobs atomic.Int32
	spoil atomic.Pointer[func([]byte) []byte]
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{}
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	s := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, in *http.Request) {
		spoil := w.spoil.Load()
		if in.Method != http.MethodGet || !strings.Contains(in.URL.Path, "/blobs/") {
			inner.ServeHTTP(out, in)
			return
		}
		w.blobs.Add(1)
		if spoil == nil {
			inner.ServeHTTP(out, in)
			return
		}
		r := httptest.NewRecorder()
		inner.ServeHTTP(r, in)
		b := (*spoil)(r.Body.Bytes())
		_, _ = out.Write(b) // the client may hang up
	}))
	t.Cleanup(s.Close)
	w.host = strings.TrimPrefix(s.URL, "http://")
	return w
}

func TestRegistry(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ref, err := name.ParseReference(w.host + "/driver:1")
	require.NoError(t, err)
	base, top := newLayer(t, hdr{name: "etc/x", body: strings.Repeat("x", 5000)}), newLayer(t, hdr{name: "opt/a.ko", body: ko("a")})
	require.NoError(t, remote.Write(ref, newImage(t, base, top)))
	dir := t.TempDir()
	run := func(cache string, spoil *func([]byte) []byte) error {
		r, err := source.Parse(ref.String())
		require.NoError(t, err)
		src, err := source.Open(context.Background(), r, source.Options{})
		require.NoError(t, err)
		defer func() { assert.NoError(t, src.Close()) }()
		w.blobs.Store(0)
		w.spoil.Store(spoil) // the manifest and the configuration came through
		defer w.spoil.Store(nil)
		_, err = extract.Run(context.Background(), src, extract.Options{Kmods: filepath.Join(dir, "kmods"), Cache: cache})
		return err
	}
	require.NoError(t, run(dir+"/cache", nil))
	assert.EqualValues(t, 2, w.blobs.Load())
	require.NoError(t, run(dir+"/cache", nil))
	assert.EqualValues(t, 1, w.blobs.Load(), "the base layer is not fetched")

	before := listing(t, dir)
	for what, spoil := range map[string]func([]byte) []byte{
		"cut":       func(b []byte) []byte { return b[:len(b)/2] },
		"other bit": func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"longer":    func(b []byte) []byte { return append(b, "more"...) },
	} {
		err := run("", &spoil)
		if what == "longer" && err == nil {
			continue // the client reads no more than the manifest says
		}
		require.Error(t, err, what)
		assert.Contains(t, []fault.Class{fault.Input, fault.Registry}, fault.ClassOf(err), what)
		require.ErrorContains(t, err, "sha256:", what)
		assert.Equal(t, before, listing(t, dir), what)
	}
}
