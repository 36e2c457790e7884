package repack

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/keys"
	"github.com/kmodseal/kmodseal/pkg/kmod"
	"github.com/kmodseal/kmodseal/pkg/kmodtest"
	"github.com/kmodseal/kmodseal/pkg/manifest"
	"github.com/kmodseal/kmodseal/pkg/modsig"
)

// signer is a throw-away test key with its certificate.
type signer struct {
	key  crypto.Signer
	cert *x509.Certificate
}

func newSigner(t testing.TB, cn string, ca *signer) *signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(int64(len(cn)) + 77), Subject: pkix.Name{CommonName: cn},
		NotBefore: time.Unix(1_600_000_000, 0), NotAfter: time.Unix(4_000_000_000, 0),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: ca == nil,
		SubjectKeyId: []byte(cn),
	}
	parent, parentKey := tmpl, crypto.Signer(key)
	if ca != nil {
		parent, parentKey = ca.cert, ca.key
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, key.Public(), parentKey)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return &signer{key, cert}
}

// sign puts a signature behind body, as it is.
func (s *signer) sign(t testing.TB, body []byte, embed ...*x509.Certificate) []byte {
	t.Helper()
	sum := sha256.Sum256(body)
	msg, err := modsig.Sign(sum[:], s.key, s.cert, modsig.Options{Embed: embed})
	require.NoError(t, err)
	return modsig.Append(body, msg)
}

func ko(mod string) []byte { return kmodtest.Build(kmodtest.Spec{Name: mod, Pad: 3000}) }

func encoded(t testing.TB, plain []byte, c kmod.Codec) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, kmod.Encode(&b, plain, c))
	return b.Bytes()
}

// item is a tar entry of a test layer.
type item struct {
	tar.Header
	data []byte
}

func reg(p string, data []byte) item {
	return item{tar.Header{
		Typeflag: tar.TypeReg, Name: p, Mode: 0o600, Uid: 7, Gid: 8, Uname: "u", Gname: "g",
		ModTime: time.Unix(1_500_000_000, 250_000_000), Format: tar.FormatPAX,
		PAXRecords: map[string]string{"SCHILY.xattr.user.k": "v\x00"},
	}, data}
}

func hard(p, to string) item {
	return item{tar.Header{Typeflag: tar.TypeLink, Name: p, Linkname: to}, nil}
}

func sym(p, to string) item {
	return item{tar.Header{Typeflag: tar.TypeSymlink, Name: p, Linkname: to, Mode: 0o777}, nil}
}

func folder(p string) item {
	return item{tar.Header{Typeflag: tar.TypeDir, Name: p + "/", Mode: 0o750}, nil}
}

func gone1(p string) item {
	return item{tar.Header{Typeflag: tar.TypeReg, Name: filepath.Dir(p) + "/.wh." + filepath.Base(p)}, nil}
}

func tarOf(t testing.TB, items ...item) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, i := range items {
		i.Size = int64(len(i.data))
		require.NoError(t, w.WriteHeader(&i.Header))
		_, err := w.Write(i.data)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

func layerOf(t testing.TB, media types.MediaType, items ...item) v1.Layer {
	t.Helper()
	raw, codec := tarOf(t, items...), kmod.None
	switch {
	case strings.HasSuffix(string(media), "gzip"):
		codec = kmod.Gzip
	case strings.HasSuffix(string(media), "zstd"):
		codec = kmod.Zstd
	}
	l, err := newLayer(context.Background(), media, codec, dense, func(_ context.Context, w io.Writer) error {
		_, err := w.Write(raw)
		return err
	})
	require.NoError(t, err)
	return l
}

func imageOf(t testing.TB, arch string, kind types.MediaType, layers ...v1.Layer) v1.Image {
	t.Helper()
	img, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{
		OS: "linux", Architecture: arch, Created: v1.Time{Time: time.Unix(1_400_000_000, 0).UTC()}, RootFS: v1.RootFS{Type: "layers"},
		Config: v1.Config{Entrypoint: []string{"/bin/sh"}, Labels: map[string]string{"a": "b"}},
	})
	require.NoError(t, err)
	for _, l := range layers {
		mt, err := l.MediaType()
		require.NoError(t, err)
		img, err = mutate.Append(img, mutate.Addendum{Layer: l, MediaType: mt, History: v1.History{CreatedBy: "test", Created: v1.Time{Time: time.Unix(1_400_000_000, 0).UTC()}}})
		require.NoError(t, err)
	}
	if kind == types.OCIManifestSchema1 {
		img = mutate.ConfigMediaType(mutate.MediaType(img, kind), types.OCIConfigJSON)
	}
	return img
}

const (
	dir = "opt/lib/modules/6.1.0-test/"
	gz  = types.OCILayer
)

// driver has a module of each kind, a shadowed and a deleted one.
func driver(t testing.TB, arch string, kind, media types.MediaType) v1.Image {
	t.Helper()
	return imageOf(
		t, arch, kind,
		layerOf(t, media, folder("bin"), reg("bin/sh", []byte("shell "+arch)), sym("lib", "usr/lib"), reg("etc/x", bytes.Repeat([]byte("firmware"), 3000))),
		layerOf(t, media, folder("opt"), folder("opt/lib"), reg("./"+dir+"a.ko", ko("old")), hard("./"+dir+"a-link.ko", "./"+dir+"a.ko"),
			reg(dir+"b.ko.xz", encoded(t, ko("b"+arch), kmod.XZ)), reg(dir+"d.ko", ko("d")), reg("opt/fw.bin", []byte("firmware"))),
		layerOf(t, media, reg(dir+"a.ko", ko("a"+arch)), gone1(dir+"a-link.ko"), gone1(dir+"d.ko"), reg(dir+"c.ko.gz", encoded(t, ko("c"+arch), kmod.Gzip)),
			hard(dir+"c2.ko.gz", dir+"c.ko.gz"), reg(dir+"e.ko.zst", encoded(t, ko("e"+arch), kmod.Zstd)), sym(dir+"s.ko", "a.ko"), reg("opt/y", []byte("y"))),
		layerOf(t, media, folder("var"), reg("var/z", []byte("z"))),
	)
}

// mod is a module as extract-kmods finds it.
type mod struct {
	path  string
	layer int
	links []string
}

func driverMods() []mod {
	return []mod{{dir + "a.ko", 2, nil}, {dir + "b.ko.xz", 1, nil}, {dir + "c.ko.gz", 2, []string{dir + "c2.ko.gz"}}, {dir + "e.ko.zst", 2, nil}}
}

// recorder is a registry that keeps its requests.
type recorder struct {
	host string
	mu   sync.Mutex
	log  []string
	hook func(w http.ResponseWriter, r *http.Request) bool
}

func newRegistry(t testing.TB) *recorder {
	t.Helper()
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	rec := &recorder{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec.mu.Lock()
		rec.log = append(rec.log, r.Method+" "+r.URL.RequestURI())
		hook := rec.hook
		rec.mu.Unlock()
		if hook == nil || !hook(w, r) {
			inner.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(s.Close)
	rec.host = strings.TrimPrefix(s.URL, "http://")
	return rec
}

// take empties the log and gives the requests with one of the methods.
func (r *recorder) take(methods ...string) (out []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range r.log {
		for _, m := range methods {
			if strings.HasPrefix(l, m+" ") {
				out = append(out, l)
			}
		}
	}
	r.log = nil
	return out
}

// push publishes with the library alone.
func (r *recorder) push(t testing.TB, ref string, what remote.Taggable) string {
	t.Helper()
	n, err := name.ParseReference(r.host + "/" + ref)
	require.NoError(t, err)
	require.NoError(t, remote.Push(n, what))
	r.take()
	return n.String()
}

// kmods writes the kmods folder that extract-kmods and sign-kmods would leave.
func kmods(t testing.TB, src string, digest v1.Hash, images map[string]v1.Image, mods []mod, by *signer) string {
	t.Helper()
	out := t.TempDir()
	m := &manifest.Manifest{Schema: manifest.Schema, Source: manifest.Source{Name: src, Kind: "docker", Digest: digest.String(), Index: len(images) > 1}}
	if k, _, ok := strings.Cut(src, ":"); ok && (strings.HasPrefix(k, "oci") || k == "dir") {
		m.Source.Kind = k
	}
	for platform, img := range images {
		p := manifest.Platform{Platform: platform}
		h, err := img.Digest()
		require.NoError(t, err)
		p.Digest = h.String()
		layers, err := img.Layers()
		require.NoError(t, err)
		for _, l := range layers {
			h, err := l.Digest()
			require.NoError(t, err)
			p.Layers = append(p.Layers, h.String())
		}
		for _, d := range mods {
			d.write(t, out, m, platform, p.Layers[d.layer], contentOf(t, layers[d.layer], d.path), by)
		}
		m.Platforms = append(m.Platforms, p)
	}
	require.NoError(t, m.Save(out))
	return out
}

func contentOf(t testing.TB, l v1.Layer, p string) []byte {
	t.Helper()
	r, err := l.Uncompressed()
	require.NoError(t, err)
	defer r.Close()
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		require.NoError(t, err, p)
		if filepath.Clean(h.Name) == p {
			b, err := io.ReadAll(tr)
			require.NoError(t, err)
			return b
		}
	}
}

func (d mod) write(t testing.TB, out string, m *manifest.Manifest, platform, layer string, stored []byte, by *signer) {
	t.Helper()
	facts, plain, err := kmod.Facts(stored, 0)
	require.NoError(t, err)
	facts.Path, facts.Platform, facts.Layer, facts.HardLinks = d.path, platform, layer, d.links
	facts.File = manifest.File(platform, d.path)
	facts.Header.ModTime = "2017-07-14T02:40:00.25Z"
	bare, _ := modsig.Strip(plain)
	signed := by.sign(t, bare)
	after := encoded(t, signed, kmod.Codec(facts.Codec))
	facts.Signed = &manifest.Signed{
		Action: manifest.ActionSigned, Stored: kmod.Blob(after), Plain: kmod.Blob(signed),
		Signer: by.cert.Subject.CommonName, Hash: "sha256", Fingerprint: keys.Fingerprint(by.cert),
	}
	file := filepath.Join(out, filepath.FromSlash(facts.File))
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(t, os.WriteFile(file, after, 0o600))
	m.Modules = append(m.Modules, facts)
}

// change edits kmods.json by its text.
func change(t testing.TB, folder string, edit func(m *manifest.Manifest)) {
	t.Helper()
	file := filepath.Join(folder, manifest.FileName)
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	var m manifest.Manifest
	require.NoError(t, json.Unmarshal(b, &m))
	edit(&m)
	b, err = json.Marshal(&m)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, b, 0o600))
}

// put replaces the file of module i and what kmods.json says of it.
func putFile(t testing.TB, folder string, i int, stored []byte) {
	t.Helper()
	change(t, folder, func(m *manifest.Manifest) {
		d := &m.Modules[i]
		d.Signed.Stored = kmod.Blob(stored)
		if plain, _, err := kmod.Decode(stored, 0); err == nil {
			d.Signed.Plain = kmod.Blob(plain)
		}
		require.NoError(t, os.WriteFile(filepath.Join(folder, d.File), stored, 0o600))
	})
}

type warnings struct {
	mu    sync.Mutex
	lines []string
}

func (w *warnings) add(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = append(w.lines, fmt.Sprintf(format, args...))
}

// flat is the flattened view of an image with the library's own code.
func flat(t testing.TB, img v1.Image) map[string]string {
	t.Helper()
	out := map[string]string{}
	r := mutate.Extract(img)
	defer r.Close()
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		require.NoError(t, err)
		b, err := io.ReadAll(tr)
		require.NoError(t, err)
		if h.Typeflag == tar.TypeLink {
			out[h.Name] = "1 " + h.Linkname // the rest is its file's
			continue
		}
		out[h.Name] = fmt.Sprintf("%c %o %d %d %d %s %v %s", h.Typeflag, h.Mode, h.Uid, h.Gid, h.ModTime.UnixNano(), h.Linkname, h.PAXRecords["SCHILY.xattr.user.k"], b)
	}
}
