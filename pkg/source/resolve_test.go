package source

import (
	"context"
	"fmt"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/fault"
)

func openWith(t *testing.T, ref string, o Options) (*Source, error) {
	t.Helper()
	o.fastRetry = true
	s, err := Open(context.Background(), mustParse(t, ref), o)
	if err == nil {
		t.Cleanup(func() { _ = s.Close() })
	}
	return s, err
}

func indexOf(adds ...mutate.IndexAddendum) v1.ImageIndex {
	return mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex), adds...)
}

func TestOpenIndex(t *testing.T) {
	t.Parallel()
	rec := startRegistry(t)
	idx := testIndex(t)
	ref := seed(t, rec, "driver:1", idx)
	var warned []string
	src, err := openWith(t, ref, Options{Warn: func(f string, a ...any) { warned = append(warned, fmt.Sprintf(f, a...)) }})
	require.NoError(t, err)

	assert.Equal(t, digestOf(t, idx), src.Digest)
	assert.Equal(t, "docker://"+strings.TrimSuffix(ref, ":1")+"@"+src.Digest.String(), src.Pinned)
	require.Len(t, src.Images, 2)
	assert.Equal(t, "linux/amd64", src.Images[0].Platform, "sorted")
	assert.Equal(t, "linux/arm64", src.Images[1].Platform)
	require.Len(t, src.Entries, 4)
	assert.Equal(t, []int{1, -1, 0, -1}, []int{src.Entries[0].Image, src.Entries[1].Image, src.Entries[2].Image, src.Entries[3].Image})
	assert.True(t, src.Entries[1].Artifact)
	assert.Equal(t, []v1.Descriptor{src.Entries[1].Descriptor, src.Entries[3].Descriptor}, src.Dropped)
	require.Len(t, warned, 2)
	assert.Contains(t, warned[0], "attestation-manifest")
	for _, l := range rec.take("/manifests/")[1:] {
		assert.Contains(t, l, "sha256:", "everything after the first look is by digest")
	}
	again := mustOpen(t, src.Pinned)
	assert.Equal(t, src.Digest, again.Digest)
}

func TestOpenPlatform(t *testing.T) {
	t.Parallel()
	rec := startRegistry(t)
	arm := func(v string) mutate.IndexAddendum {
		return platformed(testImage(t, types.OCIManifestSchema1, "linux", "arm", gzipLayer(t, "v", v)), "linux", "arm", v)
	}
	ref := seed(t, rec, "driver:1", indexOf(arm("v7"), arm("v6"),
		platformed(testImage(t, types.OCIManifestSchema1, "linux", "arm64"), "linux", "arm64", "v8")))
	single := seed(t, rec, "single:1", testImage(t, types.OCIManifestSchema1, "linux", "amd64"))
	for label, c := range map[string]struct {
		ref    string
		filter []string
		want   []string
		class  fault.Class
		hint   string
	}{
		"all":             {ref, nil, []string{"linux/arm/v6", "linux/arm/v7", "linux/arm64/v8"}, 0, ""},
		"one variant":     {ref, []string{"linux/arm/v7"}, []string{"linux/arm/v7"}, 0, ""},
		"every variant":   {ref, []string{"linux/arm"}, []string{"linux/arm/v6", "linux/arm/v7"}, 0, ""},
		"arm64 is v8":     {ref, []string{"linux/arm64"}, []string{"linux/arm64/v8"}, 0, ""},
		"two":             {ref, []string{"linux/arm64", "linux/arm/v6"}, []string{"linux/arm/v6", "linux/arm64/v8"}, 0, ""},
		"single":          {single, []string{"linux/amd64"}, []string{"linux/amd64"}, 0, ""},
		"single, other":   {single, []string{"linux/arm64"}, nil, fault.Input, "it has: linux/amd64"},
		"one of two":      {ref, []string{"linux/arm64", "linux/s390x"}, nil, fault.Input, "it has: linux/arm/v6, linux/arm/v7, linux/arm64/v8"},
		"absent variant":  {ref, []string{"linux/arm/v5"}, nil, fault.Input, "linux/arm/v6"},
		"not a platform":  {ref, []string{"amd64"}, nil, fault.Usage, "linux/arm64"},
		"too many parts":  {ref, []string{"a/b/c/d"}, nil, fault.Usage, "linux/arm64"},
		"path as element": {ref, []string{"../x"}, nil, fault.Usage, "linux/arm64"},
		"empty element":   {ref, []string{"linux/"}, nil, fault.Usage, "linux/arm64"},
	} {
		src, err := openWith(t, c.ref, Options{Platforms: c.filter})
		if c.class != 0 {
			require.Error(t, err, label)
			assert.Equal(t, c.class, fault.ClassOf(err), label)
			assert.Contains(t, strings.Join(fault.HintsOf(err), "\n"), c.hint, label)
			continue
		}
		require.NoError(t, err, label)
		var got []string
		for _, i := range src.Images {
			got = append(got, i.Platform)
		}
		assert.Equal(t, c.want, got, label)
	}
}

func TestOpenNestedIndex(t *testing.T) {
	t.Parallel()
	rec := startRegistry(t)
	amd := testImage(t, types.OCIManifestSchema1, "linux", "amd64")
	inner := indexOf(platformed(amd, "linux", "amd64", ""), attestation(t, amd))
	outer := indexOf(mutate.IndexAddendum{Add: inner}, platformed(testImage(t, types.OCIManifestSchema1, "linux", "arm64"), "linux", "arm64", ""),
		platformed(amd, "linux", "amd64", ""))
	src := mustOpen(t, seed(t, rec, "nested:1", outer))
	require.Len(t, src.Images, 2, "the image listed twice counts once")
	require.Len(t, src.Entries, 3)
	require.Len(t, src.Entries[0].Entries, 2)
	assert.Equal(t, 0, src.Entries[0].Entries[0].Image)
	assert.Equal(t, 0, src.Entries[2].Image)
	assert.Len(t, src.Dropped, 1)

	dst := "oci:" + t.TempDir() + "/out"
	img, idx := src.content()
	mustPut(t, dst, img, idx)
	assert.Equal(t, src.Entries, mustOpen(t, dst).Entries)
}

func TestOpenRefusesContent(t *testing.T) {
	t.Parallel()
	rec := startRegistry(t)
	amd := testImage(t, types.OCIManifestSchema1, "linux", "amd64")
	artifactImg, err := mutate.AppendLayers(mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), "application/vnd.acme+json"),
		static.NewLayer([]byte("x"), "application/x"))
	require.NoError(t, err)
	deep := indexOf(platformed(amd, "linux", "amd64", ""))
	for range maxDepth {
		deep = indexOf(mutate.IndexAddendum{Add: deep})
	}
	for label, c := range map[string]struct {
		thing interface{ RawManifest() ([]byte, error) }
		text  string
	}{
		"artifact":       {artifactImg, "is an artifact"},
		"no platform":    {testImage(t, types.OCIManifestSchema1, "", ""), "does not say its platform"},
		"upper case":     {testImage(t, types.OCIManifestSchema1, "linux", "AMD64"), "bad platform"},
		"evil platform":  {testImage(t, types.OCIManifestSchema1, "../..", "amd64"), "bad platform"},
		"evil variant":   {indexOf(platformed(amd, "linux", "amd64", "a/../b")), "bad platform"},
		"dash":           {testImage(t, types.OCIManifestSchema1, "linux-amd64", "x"), "bad platform"},
		"empty index":    {indexOf(), "index without images"},
		"only artifacts": {indexOf(attestation(t, amd)), "index without images"},
		"too deep":       {deep, "nested deeper"},
		"platform twice": {indexOf(platformed(amd, "linux", "amd64", ""), platformed(testImage(t, types.OCIManifestSchema1, "linux", "amd64", gzipLayer(t, "x", "y")), "linux", "amd64", "")), "two images for linux/amd64"},
	} {
		_, err := openWith(t, seed(t, rec, "bad:"+strings.ReplaceAll(label, " ", "-"), c.thing), Options{})
		require.Error(t, err, label)
		assert.Contains(t, err.Error(), c.text, label)
		assert.Equal(t, fault.Input, fault.ClassOf(err), label)
	}
	_, err = openWith(t, rec.host+"/bad:no-platform", Options{Platforms: []string{"linux/riscv64"}})
	assert.NoError(t, err, "the only platform asked for fills the gap")
}

func TestOpenRefusesManifests(t *testing.T) {
	t.Parallel()
	config := `{"mediaType":"application/vnd.oci.image.config.v1+json","size":2,"digest":"sha256:` + testHex() + `"}`
	for label, c := range map[string]struct {
		mt, body, text string
		class          fault.Class
	}{
		"schema 1":         {string(types.DockerManifestSchema1Signed), `{"schemaVersion":1,"name":"x"}`, "schema 1", fault.Input},
		"schema 1 as json": {"application/json", `{"schemaVersion":1,"name":"x"}`, "schema 1", fault.Input},
		"unknown type":     {"text/html", `<html>`, "media type", fault.Input},
		"no json":          {string(types.OCIManifestSchema1), `{`, "read manifest", fault.Registry},
		"two faces":        {string(types.OCIManifestSchema1), `{"schemaVersion":2,"config":` + config + `,"layers":[],"manifests":[]}`, "both an image and an index", fault.Registry},
		"other type":       {string(types.OCIManifestSchema1), `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`, "was announced", fault.Registry},
		"negative size":    {string(types.OCIManifestSchema1), strings.Replace(`{"schemaVersion":2,"config":`+config+`,"layers":[]}`, `"size":2`, `"size":-2`, 1), "negative size", fault.Registry},
		"huge config":      {string(types.OCIManifestSchema1), strings.Replace(`{"schemaVersion":2,"config":`+config+`,"layers":[]}`, `"size":2`, `"size":20000000`, 1), "are more than", fault.Registry},
		"sha512":           {string(types.OCIManifestSchema1), strings.Replace(`{"schemaVersion":2,"config":`+config+`,"layers":[]}`, "sha256:", "sha512:"+testHex(), 1), "only sha256", fault.Input},
	} {
		rec := startRegistry(t)
		rec.onRequest(serveManifest(c.mt, c.body))
		_, err := openWith(t, rec.host+"/x:1", Options{})
		require.Error(t, err, label)
		assert.Contains(t, err.Error(), c.text, label)
		assert.Equal(t, c.class, fault.ClassOf(err), "%s: %v", label, err)
	}
}
