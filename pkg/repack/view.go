package repack

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"path"
	"runtime"
	"strings"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/kmodseal/kmodseal/pkg/imagefs"
	"github.com/kmodseal/kmodseal/pkg/kmod"
	"github.com/kmodseal/kmodseal/pkg/modsig"
	"github.com/kmodseal/kmodseal/pkg/progress"
)

// original is what the source's own bytes say of a file: nothing in it comes
// from the kmods folder.
type original struct {
	header *tar.Header
	stored string // sha256 of the file, hex
	plain  string // of the same decompressed
	bare   string // of that without any signature
	sigs   int
	codec  kmod.Codec
	err    error // why it cannot be decompressed; nil: it can
}

func newOriginal(h *tar.Header, stored []byte) *original {
	o := &original{header: h, stored: sum(stored)}
	plain, codec, err := kmod.Decode(stored, 0)
	if err != nil && !errors.Is(err, kmod.ErrTrailing) { // signed after compression: signing repairs it
		o.err = err
		return o
	}
	o.codec, o.plain = codec, sum(plain)
	var bare []byte
	bare, o.sigs = modsig.Strip(plain)
	o.bare = sum(bare)
	return o
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// view is what the layers of an image from lowest on add up to. Layers below
// hold no copy of a module that wins.
type view struct {
	layers []v1.Layer // all of the image's
	lowest int        // the first that was read
	codecs []kmod.Codec
	read   []imagefs.Layer             // layers[lowest:]
	facts  []map[*tar.Header]*original // by layer of the image and Entry.Header
	tree   *imagefs.Tree
	meter  *progress.Meter
}

// newView reads layers[lowest:] once each, in parallel; the tree comes later.
func newView(ctx context.Context, layers []v1.Layer, lowest int, extra string, m *progress.Meter) (*view, error) {
	v := &view{
		layers: layers, lowest: lowest, meter: m,
		codecs: make([]kmod.Codec, len(layers)),
		read:   make([]imagefs.Layer, len(layers)-lowest),
		facts:  make([]map[*tar.Header]*original, len(layers)),
	}
	want := func(p string) bool { return isModule(p) || p == extra }
	lim := imagefs.Limits{Room: imagefs.NewRoom()}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for n := lowest; n < len(layers); n++ {
		g.Go(func() error {
			entries, err := v.scan(gctx, n, lim, want)
			if err != nil {
				return err
			}
			digest, err := layers[n].Digest()
			v.read[n-lowest] = imagefs.Layer{Digest: digest, Entries: entries}
			return err
		})
	}
	return v, g.Wait()
}

func isModule(p string) bool { return kmod.IsName(path.Base(p)) }

// scan reads layer n and adds the facts on the files that want says yes to.
func (v *view) scan(ctx context.Context, n int, lim imagefs.Limits, want func(string) bool) ([]imagefs.Entry, error) {
	l := &sniffed{Layer: v.layers[n], meter: v.meter}
	if size, err := l.Size(); err == nil {
		v.meter.Add(0, size)
	}
	if v.facts[n] == nil {
		v.facts[n] = map[*tar.Header]*original{}
	}
	entries, err := imagefs.ScanLayer(ctx, l, lim, want, func(h *tar.Header, _ string, r io.Reader) error {
		data, err := io.ReadAll(r)
		if err == nil {
			v.facts[n][h] = newOriginal(h, data)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	v.codecs[n] = l.codec()
	return entries, nil
}

// modules are the live files with the name of a module, with their facts.
func (v *view) modules(ctx context.Context) ([]module, error) {
	files, err := v.tree.Files(isModule)
	if err != nil {
		return nil, err
	}
	out := make([]module, 0, len(files))
	for _, f := range files {
		n := f.Layer + v.lowest
		h := f.Entry.Header
		if h == nil {
			// Only a link to it has the name of a module.
			entries, err := v.scan(ctx, n, imagefs.Limits{}, func(p string) bool { return p == f.Entry.Path })
			if err != nil {
				return nil, err
			}
			h = entries[f.Index].Header
		}
		out = append(out, module{File: f, layer: n, digest: v.read[f.Layer].Digest.String(), original: v.facts[n][h]})
	}
	return out, nil
}

// module is a live module of the source.
type module struct {
	imagefs.File
	layer  int // index into the image's layers
	digest string
	*original
}

// sniffed remembers how a layer is stored, which its media type may get wrong.
type sniffed struct {
	v1.Layer
	meter *progress.Meter
	mu    sync.Mutex
	head  []byte
}

// Compressed is the layer's, with the first bytes noted.
func (s *sniffed) Compressed() (io.ReadCloser, error) {
	rc, err := s.Layer.Compressed()
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.TeeReader(rc, io.MultiWriter(s.meter, (*head)(s))), rc}, nil
}

func (s *sniffed) codec() kmod.Codec {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := kmod.Sniff(s.head); c != kmod.None {
		return c
	}
	// A frame to be skipped may come first (RFC 8878 section 3.1.2).
	if mt, err := s.MediaType(); err == nil && strings.HasSuffix(string(mt), "zstd") {
		return kmod.Zstd
	}
	return kmod.None
}

type head sniffed

func (h *head) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if room := 8 - len(h.head); room > 0 {
		h.head = append(h.head, bytes.Clone(p[:min(room, len(p))])...)
	}
	return len(p), nil
}
