package repack

import (
	"bytes"
	"context"
	"crypto/x509"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// scene is a pushed driver image with its kmods folder.
type scene struct {
	reg    *recorder
	img    v1.Image
	src    string
	key    *signer
	folder string
	warned warnings
}

func newScene(t testing.TB, kind, media types.MediaType) *scene {
	t.Helper()
	s := &scene{reg: newRegistry(t), key: newSigner(t, "test signer", nil)}
	s.img = driver(t, "amd64", kind, media)
	s.src = s.reg.push(t, "drv:1", s.img)
	h, err := s.img.Digest()
	require.NoError(t, err)
	s.folder = kmods(t, s.src, h, map[string]v1.Image{"linux/amd64": s.img}, driverMods(), s.key)
	return s
}

func (s *scene) options(dst string) Options {
	return Options{
		Kmods: s.folder, Trust: []*x509.Certificate{s.key.cert}, Destination: s.reg.host + "/" + dst,
		CertPath: DefaultCertPath, Warn: s.warned.add,
	}
}

func (s *scene) pull(t testing.TB, ref string) v1.Image {
	t.Helper()
	n, err := name.ParseReference(s.reg.host + "/" + ref)
	require.NoError(t, err)
	img, err := remote.Image(n)
	require.NoError(t, err)
	valid(t, img)
	return img
}

// valid reads the whole image and compares all digests.
func valid(t testing.TB, img v1.Image) {
	t.Helper()
	c, err := img.ConfigFile()
	require.NoError(t, err)
	m, err := img.Manifest()
	require.NoError(t, err)
	layers, err := img.Layers()
	require.NoError(t, err)
	require.Len(t, c.RootFS.DiffIDs, len(layers))
	for i, l := range layers {
		r, err := l.Compressed()
		require.NoError(t, err)
		h, n, err := v1.SHA256(r)
		require.NoError(t, err)
		assert.Equal(t, m.Layers[i].Digest, h)
		assert.Equal(t, m.Layers[i].Size, n)
		r, err = l.Uncompressed()
		require.NoError(t, err)
		h, _, err = v1.SHA256(r)
		require.NoError(t, err)
		assert.Equal(t, c.RootFS.DiffIDs[i], h)
	}
}

func mustRun(t testing.TB, o Options) *Result {
	t.Helper()
	r, err := Run(context.Background(), o)
	require.NoError(t, err)
	return r
}

// onlyModulesDiffer compares two flattened views.
func onlyModulesDiffer(t testing.TB, s *scene, old, now v1.Image) {
	t.Helper()
	before, after := flat(t, old), flat(t, now)
	cert := DefaultCertPath[1:]
	assert.Contains(t, after[cert], string(s.key.cert.Raw))
	delete(after, cert)
	assert.ElementsMatch(t, slices.Collect(maps.Keys(before)), slices.Collect(maps.Keys(after)))
	for p, b := range before {
		if isModule(p) && b[0] == '0' {
			assert.NotEqual(t, b, after[p], p)
			head := func(s string) string {
				return string(bytes.Join(bytes.SplitN([]byte(s), []byte(" "), 8)[:7], []byte(" ")))
			}
			assert.Equal(t, head(b), head(after[p]), p)
			continue
		}
		assert.Equal(t, b, after[p], p)
	}
}

func TestAppend(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ kind, media, top types.MediaType }{
		"oci gzip":    {types.OCIManifestSchema1, types.OCILayer, types.OCILayer},
		"oci zstd":    {types.OCIManifestSchema1, types.OCILayerZStd, types.OCILayerZStd},
		"oci plain":   {types.OCIManifestSchema1, types.OCIUncompressedLayer, types.OCILayer},
		"docker gzip": {types.DockerManifestSchema2, types.DockerLayer, types.DockerLayer},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, c.kind, c.media)
			res := mustRun(t, s.options("drv:signed"))
			assert.True(t, res.Pushed)
			assert.Equal(t, 4, res.Signed)
			assert.Equal(t, "test signer", res.Signer)
			now := s.pull(t, "drv:signed")
			h, err := now.Digest()
			require.NoError(t, err)
			assert.Equal(t, h.String(), res.Digest)
			onlyModulesDiffer(t, s, s.img, now)
			top := tops(t, s.img, now)
			mt, err := top.MediaType()
			require.NoError(t, err)
			assert.Equal(t, c.top, mt)
			size, err := top.Size()
			require.NoError(t, err)
			assert.Equal(t, size, res.AddedBytes)
			assert.Empty(t, s.warned.lines)
		})
	}
}

// tops checks that now is old with one more layer, and gives it.
func tops(t testing.TB, old, now v1.Image) v1.Layer {
	t.Helper()
	before, err := old.Manifest()
	require.NoError(t, err)
	after, err := now.Manifest()
	require.NoError(t, err)
	require.Len(t, after.Layers, len(before.Layers)+1)
	assert.Equal(t, before.Layers, after.Layers[:len(before.Layers)])
	layers, err := now.Layers()
	require.NoError(t, err)
	return layers[len(layers)-1]
}
