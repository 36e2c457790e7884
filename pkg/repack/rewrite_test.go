package repack

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/imagefs"
	"github.com/kmodseal/kmodseal/pkg/kmod"
	"github.com/kmodseal/kmodseal/pkg/manifest"
	"github.com/kmodseal/kmodseal/pkg/modsig"
)

// allModules are the contents of module-named files in all layers.
func allModules(t testing.TB, img v1.Image) map[string][][]byte {
	t.Helper()
	out := map[string][][]byte{}
	layers, err := img.Layers()
	require.NoError(t, err)
	for _, l := range layers {
		for name, b := range modulesIn(t, l) {
			out[name] = append(out[name], b)
		}
	}
	return out
}

func modulesIn(t testing.TB, l v1.Layer) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	r, err := l.Uncompressed()
	require.NoError(t, err)
	defer r.Close()
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		require.NoError(t, err)
		if isModule(h.Name) && h.Typeflag == tar.TypeReg && !strings.Contains(h.Name, ".wh.") {
			out[h.Name], err = io.ReadAll(tr)
			require.NoError(t, err)
		}
	}
}

func TestRewrite(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ kind, media types.MediaType }{
		"oci gzip":    {types.OCIManifestSchema1, types.OCILayer},
		"oci zstd":    {types.OCIManifestSchema1, types.OCILayerZStd},
		"oci plain":   {types.OCIManifestSchema1, types.OCIUncompressedLayer},
		"docker gzip": {types.DockerManifestSchema2, types.DockerLayer},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, c.kind, c.media)
			// Whoever edits the list cannot hide a copy.
			change(t, s.folder, func(m *manifest.Manifest) { m.Platforms[0].Shadowed = nil })
			o := s.options("drv:signed")
			o.Mode = Rewrite
			mustRun(t, o)
			now := s.pull(t, "drv:signed")
			onlyModulesDiffer(t, s, s.img, now)
			before, err := s.img.Manifest()
			require.NoError(t, err)
			after, err := now.Manifest()
			require.NoError(t, err)
			require.Len(t, after.Layers, 4)
			assert.Equal(t, before.Layers[0], after.Layers[0])
			assert.Equal(t, before.Layers[3], after.Layers[3])
			grown := int64(0)
			for i := range after.Layers {
				grown += after.Layers[i].Size - before.Layers[i].Size
				assert.Equal(t, before.Layers[i].MediaType, after.Layers[i].MediaType)
			}
			assert.Less(t, grown, int64(4*700+2048)) // four signatures and the certificate
			all := allModules(t, now)
			assert.Len(t, all, 4)
			for p, copies := range all {
				assert.Len(t, copies, 1, p)
				plain, _, err := kmod.Decode(copies[0], 0)
				require.NoError(t, err)
				_, err = modsig.Split(plain)
				require.NoError(t, err, p)
			}
			// Twice is the same, and the first result is found there.
			res := mustRun(t, o)
			assert.False(t, res.Pushed)
		})
	}
}

// Entries that are no modules come through as the bytes that they were.
func TestRewriteKeepsTarBytes(t *testing.T) {
	t.Parallel()
	s := newScene(t, types.OCIManifestSchema1, types.OCIUncompressedLayer)
	o := s.options("drv:signed")
	o.Mode, o.CertPath = Rewrite, ""
	mustRun(t, o)
	was, err := s.img.Layers()
	require.NoError(t, err)
	is, err := s.pull(t, "drv:signed").Layers()
	require.NoError(t, err)
	a, b := headers(t, was[2]), headers(t, is[2])
	assert.Equal(t, a, b)
}

// headers lists a layer's headers without what signing changes.
func headers(t testing.TB, l v1.Layer) (out []tar.Header) {
	t.Helper()
	r, err := l.Uncompressed()
	require.NoError(t, err)
	defer r.Close()
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		require.NoError(t, err)
		if isModule(h.Name) {
			h.Size = 0
		}
		out = append(out, *h)
	}
}

func view1(t *testing.T, layers ...v1.Layer) *view {
	t.Helper()
	v, err := newView(context.Background(), layers, 0, "", nil)
	require.NoError(t, err)
	v.tree, err = imagefs.Flatten(v.read)
	require.NoError(t, err)
	return v
}

func TestDropShadowed(t *testing.T) {
	t.Parallel()
	x := []byte("x")
	drops := func(v *view) (out []string) {
		w := &rewriting{view: v, edits: map[int]map[int]edit{}}
		require.NoError(t, w.dropShadowed())
		for l := range v.read {
			for i, e := range v.read[l].Entries {
				if w.edits[l][i].drop {
					out = append(out, string(rune('0'+l))+e.Path)
				}
			}
		}
		return out
	}
	for name, c := range map[string]struct {
		layers [][]item
		want   []string
	}{
		"replaced":                     {[][]item{{reg("a.ko", x)}, {reg("a.ko", x)}}, []string{"0a.ko"}},
		"replaced in its layer":        {[][]item{{reg("a.ko", x), reg("a.ko", x)}}, []string{"0a.ko"}},
		"deleted":                      {[][]item{{reg("d/a.ko", x)}, {gone1("d/a.ko")}}, []string{"0d/a.ko"}},
		"folder deleted":               {[][]item{{reg("d/a.ko", x), reg("d/b", x)}, {gone1("d")}}, []string{"0d/a.ko"}},
		"alive":                        {[][]item{{reg("a.ko", x)}, {reg("b", x)}}, nil},
		"alive by a link":              {[][]item{{reg("d/a.ko", x), hard("d/b.ko", "d/a.ko")}, {gone1("d/a.ko")}}, nil},
		"alive by a link of no name":   {[][]item{{reg("d/a.ko", x), hard("d/b", "d/a.ko")}, {gone1("d/a.ko")}}, nil},
		"dead with its links":          {[][]item{{reg("a.ko", x), hard("b.ko", "a.ko")}, {reg("a.ko", x), reg("b.ko", x)}}, []string{"0a.ko", "0b.ko"}},
		"dead with a link of no name":  {[][]item{{reg("a", x), hard("b.ko", "a")}, {reg("a", x), reg("b.ko", x)}}, []string{"0a", "0b.ko"}},
		"no module":                    {[][]item{{reg("a", x)}, {reg("a", x)}}, nil},
		"behind a link among folders":  {[][]item{{folder("usr/lib"), sym("lib", "usr/lib"), reg("lib/a.ko", x)}, {reg("usr/lib/a.ko", x)}}, []string{"0lib/a.ko"}},
		"links across linked folders":  {[][]item{{folder("usr/lib"), sym("lib", "usr/lib"), reg("usr/lib/a.ko", x), hard("lib/b.ko", "usr/lib/a.ko")}}, nil},
		"whiteout is no module":        {[][]item{{reg("d/a", x)}, {gone1("d/z.ko")}}, nil},
		"replaced by a symbolic link":  {[][]item{{reg("a.ko", x)}, {sym("a.ko", "b")}}, []string{"0a.ko"}},
		"replaced by a link to itself": {[][]item{{reg("a.ko", x)}, {reg("b.ko", x), hard("a.ko", "b.ko")}}, []string{"0a.ko"}},
	} {
		var layers []v1.Layer
		for _, items := range c.layers {
			layers = append(layers, layerOf(t, types.OCIUncompressedLayer, items...))
		}
		assert.Equal(t, c.want, drops(view1(t, layers...)), name)
	}
}

// A hard link that names its target by another way than the target's entry
// would dangle: better no rewriting than a broken layer.
func TestDropShadowedEntangled(t *testing.T) {
	t.Parallel()
	x := []byte("x")
	v := view1(t,
		layerOf(t, types.OCIUncompressedLayer, folder("usr/lib"), sym("lib", "usr/lib"), reg("lib/a.ko", x), hard("b", "usr/lib/a.ko")),
		layerOf(t, types.OCIUncompressedLayer, reg("usr/lib/a.ko", x), reg("b", x)))
	w := &rewriting{view: v, edits: map[int]map[int]edit{}}
	err := w.dropShadowed()
	require.Error(t, err)
	assert.Equal(t, fault.Input, fault.ClassOf(err))
}
