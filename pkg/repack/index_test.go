package repack

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/manifest"
)

// attestation is what BuildKit puts beside an image.
func attestation(t testing.TB, of string) mutate.IndexAddendum {
	t.Helper()
	img, err := mutate.AppendLayers(mutate.MediaType(empty.Image, types.OCIManifestSchema1),
		static.NewLayer([]byte(`{"of":"`+of+`"}`), "application/vnd.in-toto+json"))
	require.NoError(t, err)
	return mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{
		Platform:    &v1.Platform{OS: "unknown", Architecture: "unknown"},
		Annotations: map[string]string{"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": of},
	}}
}

func platformed(img v1.Image, arch string) mutate.IndexAddendum {
	return mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{
		Platform: &v1.Platform{OS: "linux", Architecture: arch}, Annotations: map[string]string{"for": arch},
	}}
}

// multi is a scene with an index: arm64, its attestation, s390x without
// modules and its attestation, amd64.
func multi(t testing.TB, kind, media, indexKind types.MediaType, with ...string) (*scene, v1.ImageIndex) {
	t.Helper()
	s := &scene{reg: newRegistry(t), key: newSigner(t, "test signer", nil)}
	arm, amd := driver(t, "arm64", kind, media), driver(t, "amd64", kind, media)
	s.img = amd
	bare := imageOf(t, "s390x", kind, layerOf(t, media, reg("x", []byte("no module"))))
	idx := mutate.AppendManifests(mutate.IndexMediaType(empty.Index, indexKind),
		platformed(arm, "arm64"), attestation(t, digestOf(t, arm).String()),
		platformed(bare, "s390x"), attestation(t, digestOf(t, bare).String()), platformed(amd, "amd64"))
	if indexKind == types.OCIImageIndex {
		idx = mutate.Annotations(idx, map[string]string{"own": "note"}).(v1.ImageIndex)
	}
	s.src = s.reg.push(t, "drv:1", idx)
	images := map[string]v1.Image{"linux/arm64": arm, "linux/amd64": amd}
	for p := range images {
		if len(with) > 0 && p != with[0] {
			delete(images, p)
		}
	}
	s.folder = kmods(t, s.src, digestOf(t, idx), images, driverMods(), s.key)
	change(t, s.folder, func(m *manifest.Manifest) {
		m.Source.Index = true
		if len(with) == 0 {
			m.Platforms = append(m.Platforms, platformOf(t, "linux/s390x", bare))
		}
	})
	return s, idx
}

func platformOf(t testing.TB, platform string, img v1.Image) manifest.Platform {
	t.Helper()
	layers, err := img.Layers()
	require.NoError(t, err)
	return manifest.Platform{Platform: platform, Digest: digestOf(t, img).String(), Layers: []string{digestOf(t, layers[0]).String()}}
}

func TestIndex(t *testing.T) {
	t.Parallel()
	for kind, indexKind := range map[types.MediaType]types.MediaType{
		types.OCIManifestSchema1: types.OCIImageIndex, types.DockerManifestSchema2: types.DockerManifestList,
	} {
		media := types.OCILayer
		if kind == types.DockerManifestSchema2 {
			media = types.DockerLayer
		}
		s, idx := multi(t, kind, media, indexKind)
		res := mustRun(t, s.options("drv:signed"))
		n, err := name.ParseReference(s.reg.host + "/drv:signed")
		require.NoError(t, err)
		now, err := remote.Index(n)
		require.NoError(t, err)
		assert.Equal(t, res.Digest, digestOf(t, now).String())
		was, err := idx.IndexManifest()
		require.NoError(t, err)
		is, err := now.IndexManifest()
		require.NoError(t, err)
		assert.Equal(t, was.MediaType, is.MediaType)
		// arm64, s390x and its attestation, amd64; that of arm64 has lost its subject
		require.Len(t, is.Manifests, 4)
		for i, of := range []int{0, 2, 3, 4} {
			assert.Equal(t, was.Manifests[of].Platform, is.Manifests[i].Platform)
			assert.Equal(t, was.Manifests[of].Annotations, is.Manifests[i].Annotations)
			same := of == 2 || of == 3
			assert.Equal(t, same, was.Manifests[of].Digest == is.Manifests[i].Digest, of)
		}
		if indexKind == types.OCIImageIndex {
			assert.Equal(t, "note", is.Annotations["own"])
			assert.Equal(t, digestOf(t, idx).String(), is.Annotations[noteSource])
		} else {
			assert.Empty(t, is.Annotations)
		}
		img, err := now.Image(is.Manifests[3].Digest)
		require.NoError(t, err)
		valid(t, img)
		onlyModulesDiffer(t, s, s.img, img)
		// Two attestations met, one left out, and the modules for amd64 below arm64.
		require.Len(t, s.warned.lines, 4)
		assert.Contains(t, s.warned.lines[2], "linux/arm64: modules for another machine")
		assert.Equal(t, 8, res.Signed)
		assert.False(t, mustRun(t, s.options("drv:signed")).Pushed)
	}
}

func TestPlatforms(t *testing.T) {
	t.Parallel()
	t.Run("one by flag", func(t *testing.T) {
		t.Parallel()
		s, _ := multi(t, types.OCIManifestSchema1, gz, types.OCIImageIndex)
		o := s.options("drv:signed")
		o.Images.Platforms = []string{"linux/amd64"}
		res := mustRun(t, o)
		onlyModulesDiffer(t, s, s.img, s.pull(t, "drv:signed"))
		for _, m := range res.Manifest.Modules {
			assert.Equal(t, "linux/amd64", m.Platform, "what is told is what is published")
		}
		assert.Len(t, res.Manifest.Modules, res.Signed)
	})
	t.Run("one extracted", func(t *testing.T) {
		t.Parallel()
		s, _ := multi(t, types.OCIManifestSchema1, gz, types.OCIImageIndex, "linux/amd64")
		mustRun(t, s.options("drv:signed"))
		onlyModulesDiffer(t, s, s.img, s.pull(t, "drv:signed"))
	})
	t.Run("some", func(t *testing.T) {
		t.Parallel()
		s, _ := multi(t, types.OCIManifestSchema1, gz, types.OCIImageIndex)
		o := s.options("drv:signed")
		o.Images.Platforms = []string{"linux/amd64", "linux/arm64"}
		mustRun(t, o)
		n, err := name.ParseReference(s.reg.host + "/drv:signed")
		require.NoError(t, err)
		idx, err := remote.Index(n)
		require.NoError(t, err)
		m, err := idx.IndexManifest()
		require.NoError(t, err)
		require.Len(t, m.Manifests, 2)
		assert.Equal(t, "arm64", m.Manifests[0].Platform.Architecture)
	})
	t.Run("one that was not extracted", func(t *testing.T) {
		t.Parallel()
		s, _ := multi(t, types.OCIManifestSchema1, gz, types.OCIImageIndex, "linux/amd64")
		o := s.options("drv:signed")
		o.Images.Platforms = []string{"linux/arm64"}
		_, err := Run(context.Background(), o)
		assert.Equal(t, fault.Input, fault.ClassOf(err))
	})
	t.Run("two into a folder", func(t *testing.T) {
		t.Parallel()
		s, _ := multi(t, types.OCIManifestSchema1, gz, types.OCIImageIndex)
		o := s.options("")
		o.Destination = "dir:" + filepath.Join(t.TempDir(), "x")
		_, err := Run(context.Background(), o)
		assert.Equal(t, fault.Usage, fault.ClassOf(err))
	})
}
