package repack

import (
	"context"
	"crypto/x509"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/manifest"
	"github.com/kmodseal/kmodseal/pkg/source"
)

func digestOf(t testing.TB, d interface{ Digest() (v1.Hash, error) }) v1.Hash {
	t.Helper()
	h, err := d.Digest()
	require.NoError(t, err)
	return h
}

func TestSecondRunUploadsNothing(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{Append, Rewrite} {
		s := newScene(t, types.OCIManifestSchema1, gz)
		o := s.options("drv:signed")
		o.Mode = mode
		first := mustRun(t, o)
		s.reg.take()
		second := mustRun(t, o)
		assert.False(t, second.Pushed)
		assert.Empty(t, s.reg.take("PUT", "POST", "PATCH"))
		assert.Equal(t, first.Digest, second.Digest)
		// Another place gets the same bytes.
		o.Destination = "oci:" + filepath.Join(t.TempDir(), "out") + ":x"
		assert.Equal(t, first.Digest, mustRun(t, o).Digest, mode)
	}
}

// Blobs that the registry has are mounted from the source's repository.
func TestBlobsAreMounted(t *testing.T) {
	t.Parallel()
	s := newScene(t, types.OCIManifestSchema1, gz)
	// The library's registry shares blobs among repositories; a real one does not.
	s.reg.hook = func(w http.ResponseWriter, r *http.Request) bool {
		switch {
		case r.Method == http.MethodHead && strings.Contains(r.URL.Path, "/other/repo/blobs/"):
			w.WriteHeader(http.StatusNotFound)
		case r.URL.Query().Get("mount") != "" && r.URL.Query().Get("from") == "drv":
			w.WriteHeader(http.StatusCreated)
		default:
			return false
		}
		return true
	}
	mustRun(t, s.options("other/repo:signed"))
	mounts, uploads := 0, 0
	for _, l := range s.reg.take("POST", "PUT", "PATCH") {
		switch {
		case strings.Contains(l, "mount="):
			assert.Contains(t, l, "from=drv")
			mounts++
		case strings.HasPrefix(l, "PUT") && strings.Contains(l, "/blobs/"):
			uploads++
		}
	}
	assert.Equal(t, 4, mounts)
	assert.Equal(t, 2, uploads, "the new layer and the new configuration")
}

func TestTagsMoveLast(t *testing.T) {
	t.Parallel()
	s := newScene(t, types.OCIManifestSchema1, gz)
	o := s.options("drv:signed")
	o.AlsoTags = []string{"also", "latest"}
	res := mustRun(t, o)
	var puts []string
	for _, l := range s.reg.take("PUT") {
		if strings.Contains(l, "/manifests/") {
			puts = append(puts, l[strings.LastIndex(l, "/")+1:])
		}
	}
	assert.Equal(t, []string{res.Digest, "signed", "also", "latest"}, puts)
	assert.Equal(t, res.Digest, digestOf(t, s.pull(t, "drv:latest")).String())
}

func TestFailedUploadLeavesNoTag(t *testing.T) {
	t.Parallel()
	for _, part := range []string{"/blobs/uploads/", "/manifests/sha256"} {
		s := newScene(t, types.OCIManifestSchema1, gz)
		s.reg.hook = func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodGet || r.Method == http.MethodHead || !strings.Contains(r.URL.Path, part) {
				return false
			}
			w.WriteHeader(http.StatusForbidden)
			return true
		}
		_, err := Run(context.Background(), s.options("drv:signed"))
		require.Error(t, err)
		assert.Equal(t, fault.Registry, fault.ClassOf(err))
		n, err := name.ParseReference(s.reg.host + "/drv:signed")
		require.NoError(t, err)
		_, err = remote.Head(n)
		assert.Error(t, err)
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	s := newScene(t, types.OCIManifestSchema1, gz)
	ctx, cancel := context.WithCancel(context.Background())
	s.reg.hook = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost {
			cancel()
		}
		return false
	}
	_, err := Run(ctx, s.options("drv:signed"))
	require.ErrorIs(t, err, context.Canceled)
	cancel()
	s = newScene(t, types.OCIManifestSchema1, gz)
	_, err = Run(ctx, s.options("drv:signed"))
	assert.ErrorIs(t, err, context.Canceled)
}

func TestSourceHasMoved(t *testing.T) {
	t.Parallel()
	s := newScene(t, types.OCIManifestSchema1, gz)
	want := mustRun(t, s.options("drv:signed")).Digest
	s.reg.push(t, "drv:1", driver(t, "arm64", types.OCIManifestSchema1, gz))
	assert.Equal(t, want, mustRun(t, s.options("drv:again")).Digest)
	require.Len(t, s.warned.lines, 1)
	assert.Contains(t, s.warned.lines[0], "by now")
}

func TestInPlace(t *testing.T) {
	t.Parallel()
	s := newScene(t, types.OCIManifestSchema1, gz)
	o := s.options("drv:1")
	o.InPlace = true
	res := mustRun(t, o)
	assert.Equal(t, res.Digest, digestOf(t, s.pull(t, "drv:1")).String())
}

// An image that is signed already, certificate and all, is copied as it is.
func TestNothingToDo(t *testing.T) {
	t.Parallel()
	s := newScene(t, types.OCIManifestSchema1, gz)
	mustRun(t, s.options("drv:signed"))
	signed := s.pull(t, "drv:signed")
	mods := driverMods()
	for i := range mods {
		mods[i].layer = 4
	}
	s.folder = kmods(t, s.reg.host+"/drv:signed", digestOf(t, signed), map[string]v1.Image{"linux/amd64": signed}, mods, s.key)
	keep(t, s.folder, signed)
	o := s.options("copy:append")
	res := mustRun(t, o)
	assert.Equal(t, digestOf(t, signed).String(), res.Digest)
	assert.Equal(t, "test signer", res.Signer)
	assert.Zero(t, res.AddedBytes)
	// Rewriting still takes out the unsigned copies below.
	o = s.options("copy:rewrite")
	o.Mode = Rewrite
	res = mustRun(t, o)
	assert.NotEqual(t, digestOf(t, signed).String(), res.Digest)
	for p, copies := range allModules(t, s.pull(t, "copy:rewrite")) {
		assert.Len(t, copies, 1, p)
	}
	// Nobody's signature but a trusted one is kept.
	o = s.options("copy:x")
	o.Trust = []*x509.Certificate{newSigner(t, "stranger", nil).cert}
	_, err := Run(context.Background(), o)
	assert.Equal(t, fault.Untrusted, fault.ClassOf(err))
	// A certificate at a new path is all that changes.
	o = s.options("copy:cert")
	o.CertPath = "/etc/new.der"
	now := flat(t, s.pullAfter(t, o, "copy:cert"))
	assert.Contains(t, now["etc/new.der"], string(s.key.cert.Raw))
}

func (s *scene) pullAfter(t testing.TB, o Options, ref string) v1.Image {
	t.Helper()
	mustRun(t, o)
	return s.pull(t, ref)
}

// keep makes the kmods folder one of modules that were left as they are.
func keep(t testing.TB, folder string, img v1.Image) {
	t.Helper()
	layers, err := img.Layers()
	require.NoError(t, err)
	for i, m := range driverMods() {
		putFile(t, folder, i, contentOf(t, layers[4], m.path))
	}
	change(t, folder, func(m *manifest.Manifest) {
		for i := range m.Modules {
			m.Modules[i].Signed.Action = manifest.ActionKept
		}
	})
}

func TestLeftoversAreTold(t *testing.T) {
	t.Parallel()
	s := newScene(t, types.OCIManifestSchema1, gz)
	change(t, s.folder, func(m *manifest.Manifest) { m.Modules = m.Modules[:1:1] })
	mustRun(t, s.options("drv:signed"))
	require.Len(t, s.warned.lines, 1)
	assert.Contains(t, s.warned.lines[0], "c.ko.gz")
	assert.NotContains(t, s.warned.lines[0], "a.ko")
}

// Every kind of place gives and takes an image.
func TestTransports(t *testing.T) {
	t.Parallel()
	s := newScene(t, types.OCIManifestSchema1, gz)
	place := t.TempDir()
	for _, from := range []string{"oci:" + place + "/layout:in", "oci-archive:" + place + "/in.tar"} {
		r, err := source.Parse(from)
		require.NoError(t, err)
		d, err := source.Create(context.Background(), r, source.Options{})
		require.NoError(t, err)
		require.NoError(t, d.Put(context.Background(), s.img, nil))
		folder := kmods(t, from, digestOf(t, s.img), map[string]v1.Image{"linux/amd64": s.img}, driverMods(), s.key)
		digest := ""
		for _, to := range []string{"oci:" + place + "/layout:" + string(r.Kind), "oci-archive:" + place + "/" + string(r.Kind) + ".tar", s.reg.host + "/new:" + string(r.Kind)} {
			o := s.options("")
			o.Kmods, o.Destination = folder, to
			res := mustRun(t, o)
			assert.True(t, res.Pushed, to)
			assert.Equal(t, to, res.URL)
			if digest != "" {
				assert.Equal(t, digest, res.Digest)
			}
			digest = res.Digest
			assert.False(t, mustRun(t, o).Pushed, to)
		}
		onlyModulesDiffer(t, s, s.img, s.pull(t, "new:"+string(r.Kind)))
	}
}
