package imagefs_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/imagefs"
	"github.com/kmodseal/kmodseal/pkg/oracle"
)

// entry is a tar entry in short: a trailing slash makes a folder, link a hard
// link, sym a symbolic one, else it is a file.
type entry struct{ name, body, link, sym string }

func tarball(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Mode: 0o755, Typeflag: tar.TypeReg, Size: int64(len(e.body))}
		switch {
		case e.link != "":
			h.Typeflag, h.Linkname = tar.TypeLink, e.link
		case e.sym != "":
			h.Typeflag, h.Linkname = tar.TypeSymlink, e.sym
		case strings.HasSuffix(e.name, "/"):
			h.Typeflag = tar.TypeDir
		}
		require.NoError(t, w.WriteHeader(h))
		_, err := w.Write([]byte(e.body))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

func gzipped(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err := w.Write(b)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.Bytes()
}

func zstded(t testing.TB, b []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	return w.EncodeAll(b, nil)
}

func isKo(p string) bool { return strings.HasSuffix(p, ".ko") }

// fake is a layer with a reader of its own and a digest that need not fit.
type fake struct {
	v1.Layer
	digest v1.Hash
	read   func() (io.ReadCloser, error)
}

func (f fake) Digest() (v1.Hash, error)           { return f.digest, nil }
func (f fake) Compressed() (io.ReadCloser, error) { return f.read() }

func layerOf(b []byte) v1.Layer { return static.NewLayer(b, types.OCILayer) }

func scan(t testing.TB, l v1.Layer) ([]imagefs.Entry, map[string]string, error) {
	t.Helper()
	rc, err := imagefs.Blob(context.Background(), l)
	if err != nil {
		return nil, nil, err
	}
	defer rc.Close()
	got := map[string]string{}
	es, err := imagefs.Scan(context.Background(), rc, imagefs.Limits{}, isKo, func(_ *tar.Header, p string, r io.Reader) error {
		b, err := io.ReadAll(r)
		got[p] = string(b)
		return err
	})
	return es, got, err
}

func TestBlobCodecs(t *testing.T) {
	t.Parallel()
	plain := tarball(t, entry{name: "./"}, entry{name: "/opt/a.ko", body: "A"}, entry{name: "./opt/b", body: "B"},
		entry{name: "opt/c.ko", link: "./opt/a.ko"}, entry{name: "opt/d.ko", sym: "../../etc"})
	for name, b := range map[string][]byte{
		"plain": plain, "gzip": gzipped(t, plain), "zstd": zstded(t, plain),
		"two members": append(gzipped(t, plain[:700]), gzipped(t, plain[700:])...),
		"skippable":   append([]byte{0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 9}, zstded(t, plain)...),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			es, got, err := scan(t, layerOf(b))
			require.NoError(t, err)
			assert.Equal(t, map[string]string{"opt/a.ko": "A"}, got)
			require.Len(t, es, 5)
			assert.Equal(t, imagefs.Entry{Path: ".", Type: tar.TypeDir}, es[0])
			assert.NotNil(t, es[1].Header)
			assert.Equal(t, imagefs.Entry{Path: "opt/b", Type: tar.TypeReg}, es[2])
			assert.Equal(t, imagefs.Entry{Path: "opt/c.ko", Type: tar.TypeLink, Link: "opt/a.ko"}, es[3])
			assert.Equal(t, imagefs.Entry{Path: "opt/d.ko", Type: tar.TypeSymlink, Link: "../../etc"}, es[4])
		})
	}
}

func TestBlobRefuses(t *testing.T) {
	t.Parallel()
	plain := tarball(t, entry{name: "a.ko", body: strings.Repeat("x", 5000)})
	gz, zs := gzipped(t, plain), zstded(t, plain)
	broken := errors.New("connection reset")
	for name, c := range map[string]struct {
		content []byte
		like    []byte // whose digest the layer has
		broken  error
		class   fault.Class
	}{
		"plain, cut":              {content: plain[:900], like: plain[:900], class: fault.Input},
		"gzip, cut":               {content: gz[:len(gz)-9], like: gz[:len(gz)-9], class: fault.Input},
		"gzip, header cut":        {content: gz[:5], like: gz[:5], class: fault.Input},
		"zstd, cut":               {content: zs[:len(zs)-3], like: zs[:len(zs)-3], class: fault.Input},
		"gzip, cut, digest whole": {content: gz[:len(gz)-9], like: gz, class: fault.Input},
		"gzip, trailing":          {content: append(bytes.Clone(gz), "x"...), like: append(bytes.Clone(gz), "x"...), class: fault.Input},
		"gzip, trailing zeros":    {content: append(bytes.Clone(gz), make([]byte, 600)...), like: append(bytes.Clone(gz), make([]byte, 600)...), class: fault.Input},
		"zstd, trailing":          {content: append(bytes.Clone(zs), "trailing"...), like: append(bytes.Clone(zs), "trailing"...), class: fault.Input},
		"plain, other digest":     {content: plain, like: gz, class: fault.Input},
		"gzip, other digest":      {content: gz, like: plain, class: fault.Input},
		"zstd, other digest":      {content: zs, like: plain, class: fault.Input},
		"no tar":                  {content: []byte(strings.Repeat("no tar ", 100)), like: []byte(strings.Repeat("no tar ", 100)), class: fault.Input},
		"broken connection":       {content: gz[:100], like: gz, broken: broken, class: fault.Registry},
		"short body":              {content: gz[:100], like: gz, broken: io.ErrUnexpectedEOF, class: fault.Registry},
		"registry's own fault":    {content: nil, like: gz, broken: fault.New(fault.Input, "x"), class: fault.Input},
		"checksum of the client":  {content: gz[:100], like: gz, broken: errors.New("error verifying sha256 checksum"), class: fault.Input},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			digest, err := layerOf(c.like).Digest()
			require.NoError(t, err)
			_, _, err = scan(t, fake{digest: digest, read: func() (io.ReadCloser, error) {
				r := io.Reader(bytes.NewReader(c.content))
				if c.broken != nil {
					r = io.MultiReader(r, errReader{c.broken})
				}
				return io.NopCloser(r), nil
			}})
			require.Error(t, err)
			assert.Equal(t, c.class, fault.ClassOf(err), err)
			if c.class == fault.Input && name != "registry's own fault" {
				assert.NotEmpty(t, fault.HintsOf(err))
			}
			if name != "plain, cut" && name != "no tar" { // the tar's fault: Scan knows no digest
				assert.ErrorContains(t, err, digest.String())
			}
		})
	}
}

type errReader struct{ err error }

func (e errReader) Read([]byte) (int, error) { return 0, e.err }

func TestBlobCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	pr, pw := io.Pipe()
	defer func() { _ = pw.Close() }()
	digest := v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("0", 64)}
	block := tarball(t, entry{name: "a"})[:512]
	go func() {
		_, _ = pw.Write(block) // and nothing more, ever
		cancel()
	}()
	_, err := func() ([]imagefs.Entry, error) {
		rc, err := imagefs.Blob(ctx, fake{digest: digest, read: func() (io.ReadCloser, error) { return pr, nil }})
		if err != nil {
			return nil, err
		}
		defer rc.Close()
		return imagefs.Scan(ctx, rc, imagefs.Limits{}, nil, nil)
	}()
	assert.ErrorIs(t, err, context.Canceled)
}

func TestScanRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		entries []entry
		lim     imagefs.Limits
		text    string
	}{
		"climbs":                {entries: []entry{{name: "../a"}}, text: "leaves the root"},
		"climbs later":          {entries: []entry{{name: "a/b/../../../c"}}, text: "leaves the root"},
		"absolute climbs":       {entries: []entry{{name: "/../a"}}, text: "leaves the root"},
		"slashes climb":         {entries: []entry{{name: "//.//../a"}}, text: "leaves the root"},
		"hard link climbs":      {entries: []entry{{name: "a", link: "../../etc/shadow"}}, text: "leaves the root"},
		"newline in a module":   {entries: []entry{{name: "a\n::error::.ko"}}, text: `a\n::error::.ko`},
		"escape in a module":    {entries: []entry{{name: "a\x1b[2J.ko"}}, text: `a\x1b[2J.ko`},
		"Latin-1 in a module":   {entries: []entry{{name: "a\xe9.ko"}}, text: `a\xe9.ko`},
		"too long":              {entries: []entry{{name: strings.Repeat("a", 5000)}}, text: "too long"},
		"link too long":         {entries: []entry{{name: "a", sym: strings.Repeat("a", 5000)}}, text: "too long"},
		"entries":               {entries: []entry{{name: "a"}, {name: "b"}}, lim: imagefs.Limits{Entries: 1}, text: "tar entries"},
		"layer bytes":           {entries: []entry{{name: "a", body: strings.Repeat("a", 5000)}}, lim: imagefs.Limits{LayerBytes: 4000}, text: "inflates"},
		"file bytes":            {entries: []entry{{name: "a.ko", body: "12345"}}, lim: imagefs.Limits{FileBytes: 4}, text: "limit is 4"},
		"bytes behind the mark": {entries: []entry{{name: "a"}}, lim: imagefs.Limits{LayerBytes: 1024}, text: "inflates"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			visit := func(*tar.Header, string, io.Reader) error { return nil }
			_, err := imagefs.Scan(context.Background(), bytes.NewReader(tarball(t, c.entries...)), c.lim, isKo, visit)
			require.Error(t, err)
			assert.Equal(t, fault.Input, fault.ClassOf(err))
			require.ErrorContains(t, err, c.text)
			assert.NotEmpty(t, fault.HintsOf(err))
		})
	}
}

// TestScanLayerNamesTheLayer: once, whoever finds the fault.
func TestScanLayerNamesTheLayer(t *testing.T) {
	t.Parallel()
	gz := gzipped(t, tarball(t, entry{name: "a.ko", body: "x"}))
	digest, err := layerOf(gz).Digest()
	require.NoError(t, err)
	named := fault.New(fault.Registry, "read layer %s of r", digest)
	for what, l := range map[string]v1.Layer{
		"cut":    layerOf(gz[:len(gz)-9]),
		"no tar": layerOf([]byte(strings.Repeat("no tar ", 100))),
		"climbs": layerOf(tarball(t, entry{name: "../a"})),
		"source": fake{digest: digest, read: func() (io.ReadCloser, error) { return nil, named }},
		"reader": fake{digest: digest, read: func() (io.ReadCloser, error) { return io.NopCloser(errReader{named}), nil }},
	} {
		_, err := imagefs.ScanLayer(context.Background(), l, imagefs.Limits{}, nil, nil)
		digest, derr := l.Digest()
		require.NoError(t, derr)
		require.Error(t, err, what)
		assert.Equal(t, 1, strings.Count(err.Error(), digest.String()), "%s: %v", what, err)
	}
}

func TestScanTakesOddNames(t *testing.T) {
	t.Parallel()
	es, err := imagefs.Scan(context.Background(), bytes.NewReader(tarball(t, entry{name: "a\xe9\n"}, entry{name: "b/../c"}, entry{name: ".wh.x.ko"})),
		imagefs.Limits{}, isKo, nil)
	require.NoError(t, err, "names of files that nobody wants may be anything")
	assert.Equal(t, []string{"a\xe9\n", "c", ".wh.x.ko"}, []string{es[0].Path, es[1].Path, es[2].Path})
}

// TestScanTypes: contiguous and old GNU sparse files are refused as runtimes do.
func TestScanTypes(t *testing.T) {
	t.Parallel()
	for _, typ := range []byte{tar.TypeCont, tar.TypeGNUSparse} {
		b := tarball(t, entry{name: "a.ko"})
		b[156] = typ
		copy(b[257:], "ustar  \x00") // GNU magic
		copy(b[148:156], "        ")
		sum := 0
		for _, c := range b[:512] {
			sum += int(c)
		}
		copy(b[148:], fmt.Sprintf("%06o\x00 ", sum))
		_, err := imagefs.Scan(context.Background(), bytes.NewReader(b), imagefs.Limits{}, isKo, nil)
		assert.Equal(t, fault.Input, fault.ClassOf(err))
		assert.ErrorContains(t, err, "do not unpack")
	}
}

// TestScanSparse: a hole costs the layer nothing, so its bytes count on their own.
func TestScanSparse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(dir+"/a.ko", []byte("x"), 0o644))
	require.NoError(t, os.Truncate(dir+"/a.ko", 32<<20))
	b, err := exec.Command(oracle.Path(t, "tar"), "-C", dir, "--sparse", "--format=pax", "-cf", "-", "a.ko").Output()
	require.NoError(t, err)
	require.Less(t, len(b), 1<<20)
	var n int64
	visit := func(_ *tar.Header, _ string, r io.Reader) (err error) {
		n, err = io.Copy(io.Discard, r)
		return err
	}
	_, err = imagefs.Scan(context.Background(), bytes.NewReader(b), imagefs.Limits{}, isKo, visit)
	require.NoError(t, err)
	assert.EqualValues(t, 32<<20, n)
	_, err = imagefs.Scan(context.Background(), bytes.NewReader(b), imagefs.Limits{LayerBytes: 1 << 20}, isKo, visit)
	assert.Equal(t, fault.Input, fault.ClassOf(err))
	assert.ErrorContains(t, err, "exceed")
}

func TestScanVisitor(t *testing.T) {
	t.Parallel()
	boom := errors.New("disk full")
	_, err := imagefs.Scan(context.Background(), bytes.NewReader(tarball(t, entry{name: "a.ko", body: "x"})), imagefs.Limits{}, isKo,
		func(*tar.Header, string, io.Reader) error { return boom })
	assert.Equal(t, boom, err)
}

func FuzzScan(f *testing.F) {
	f.Add(tarball(f, entry{name: "a/"}, entry{name: "a/x.ko", body: "x"}, entry{name: "b.ko", link: "a/x.ko"}, entry{name: ".wh..wh..opq"}))
	f.Add(gzipped(f, tarball(f, entry{name: "l.ko", sym: "/a"})))
	f.Fuzz(func(t *testing.T, b []byte) {
		rc, err := imagefs.Blob(context.Background(), layerOf(b))
		if err != nil {
			return
		}
		defer rc.Close()
		lim := imagefs.Limits{Entries: 1000, LayerBytes: 1 << 20, FileBytes: 1 << 16}
		es, err := imagefs.Scan(context.Background(), rc, lim, isKo, func(_ *tar.Header, _ string, r io.Reader) error {
			_, err := io.Copy(io.Discard, r)
			return err
		})
		if err != nil {
			require.Equal(t, fault.Input, fault.ClassOf(err), err)
			return
		}
		for _, e := range es {
			require.False(t, strings.HasPrefix(e.Path, "/") || e.Path == ".." || strings.HasPrefix(e.Path, "../"), e.Path)
		}
	})
}

// TestScanBoundsHeaders: a thousand modules with a megabyte of extended
// attributes each are three megabytes of a compressed layer.
func TestScanBoundsHeaders(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := range 40 {
		require.NoError(t, w.WriteHeader(&tar.Header{
			Name: fmt.Sprintf("%d.ko", i), PAXRecords: map[string]string{"SCHILY.xattr.user.a": strings.Repeat("x", 1_000_000)},
		}))
	}
	require.NoError(t, w.Close())
	visit := func(*tar.Header, string, io.Reader) error { return nil }
	_, err := imagefs.Scan(t.Context(), bytes.NewReader(b.Bytes()), imagefs.Limits{}, isKo, visit)
	require.ErrorContains(t, err, `"33.ko": the extended headers`)
	assert.Equal(t, fault.Input, fault.ClassOf(err))
	_, err = imagefs.Scan(t.Context(), bytes.NewReader(b.Bytes()), imagefs.Limits{}, nil, visit)
	require.NoError(t, err, "what is not kept is not counted")
}

// The layers of an image share one room, whether they are read or known from the cache.
func TestScansShareRoom(t *testing.T) {
	t.Parallel()
	layer := tarball(t, entry{name: strings.Repeat(strings.Repeat("a", 249)+"/", 3) + "m.ko"})
	for name, c := range map[string]struct {
		want func(string) bool
		fit  int // layers
	}{
		"names":             {nil, 4},
		"names and headers": {func(string) bool { return true }, 2},
	} {
		lim := imagefs.Limits{Room: imagefs.RoomOf(3500)}
		scan := func() ([]imagefs.Entry, error) {
			return imagefs.Scan(t.Context(), bytes.NewReader(layer), lim, c.want, func(*tar.Header, string, io.Reader) error { return nil })
		}
		cache := imagefs.Cache{Dir: t.TempDir()}
		for range c.fit {
			entries, err := scan()
			require.NoError(t, err, name)
			require.NoError(t, cache.Save(hashOf("a"), entries))
		}
		_, err := scan()
		require.ErrorContains(t, err, "bytes of memory", name)
		assert.Equal(t, fault.Input, fault.ClassOf(err), name)
		_, ok := cache.Load(hashOf("a"), lim)
		assert.False(t, ok, name)
		_, ok = cache.Load(hashOf("a"), imagefs.Limits{})
		assert.True(t, ok, name)
	}
}
