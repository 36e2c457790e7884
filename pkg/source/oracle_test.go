package source

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/oracle"
)

// skopeo runs the oracle without a signature policy of this machine.
func skopeo(t *testing.T, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(oracle.Path(t, "skopeo"), append([]string{"--insecure-policy"}, args...)...)
	cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, "skopeo %v: %s", args, stderr.String())
	return out
}

type inspected struct {
	Digest       string
	Architecture string
	Os           string
	Layers       []string
}

func inspect(t *testing.T, ref string) (got inspected) {
	t.Helper()
	require.NoError(t, json.Unmarshal(skopeo(t, "inspect", "--tls-verify=false", ref), &got))
	return got
}

func TestSkopeoReadsWhatWeWrite(t *testing.T) {
	t.Parallel()
	for _, mt := range []types.MediaType{types.OCIManifestSchema1, types.DockerManifestSchema2} {
		rec, dir := startRegistry(t), t.TempDir()
		img := testImage(t, mt, "linux", "amd64")
		for kind, ref := range places(rec, dir, "out") {
			if mt == types.DockerManifestSchema2 && (kind == OCI || kind == OCIArchive) {
				continue // skopeo 1.9 looks for OCI manifests alone in a layout
			}
			mustPut(t, ref, img, nil)
			got := inspect(t, ref)
			assert.Equal(t, "amd64", got.Architecture, ref)
			if kind != DockerArchive {
				assert.Equal(t, digestOf(t, img).String(), got.Digest, ref)
				assert.Equal(t, layersOf(t, img), got.Layers, ref)
			}
			to := "oci:" + t.TempDir() + ":1"
			skopeo(t, "copy", "--src-tls-verify=false", ref, to)
			copied := mustOpen(t, to).Images[0]
			assert.Equal(t, diffIDs(t, img), diffIDs(t, copied), ref)
			assert.NoError(t, readLayers(copied), ref)
		}
	}
}

func diffIDs(t *testing.T, img interface{ RawConfigFile() ([]byte, error) }) (ids []string) {
	t.Helper()
	var c struct {
		RootFS struct {
			DiffIDs []string `json:"diff_ids"`
		} `json:"rootfs"`
	}
	require.NoError(t, json.Unmarshal(must(img.RawConfigFile())(t), &c))
	return c.RootFS.DiffIDs
}

func TestSkopeoCopiesOurIndexes(t *testing.T) {
	t.Parallel()
	idx := testIndex(t)
	want := must(idx.IndexManifest())(t)
	rec := startRegistry(t)
	for kind, ref := range places(rec, t.TempDir(), "out") {
		if kind == DockerArchive {
			continue
		}
		mustPut(t, ref, nil, idx)
		to := "oci:" + t.TempDir() + ":1"
		skopeo(t, "copy", "--all", "--src-tls-verify=false", ref, to)
		// skopeo 1.9 writes the index anew, without artifactType; the entries stay.
		got := mustOpen(t, to)
		require.Len(t, got.Entries, len(want.Manifests), ref)
		for i, e := range got.Entries {
			assert.Equal(t, want.Manifests[i].Digest, e.Descriptor.Digest, ref)
		}
		assert.Len(t, got.Dropped, 2, ref)
	}
}

func TestWeReadWhatSkopeoWrites(t *testing.T) {
	t.Parallel()
	rec, dir := startRegistry(t), t.TempDir()
	img := testImage(t, types.DockerManifestSchema2, "linux", "amd64")
	from := "docker://" + seed(t, rec, "driver:1", img)
	for kind, ref := range places(rec, dir, "copy") {
		skopeo(t, "copy", "--src-tls-verify=false", "--dest-tls-verify=false", "--preserve-digests="+preserve(kind), from, ref)
		got := mustOpen(t, ref)
		assert.Equal(t, diffIDs(t, img), diffIDs(t, got.Images[0]), ref)
		assert.Equal(t, "linux/amd64", got.Images[0].Platform, ref)
		require.NoError(t, readLayers(got.Images[0]), ref)
		if kind == Docker {
			assert.Equal(t, digestOf(t, img), got.Digest)
			continue
		}
		if kind == DockerArchive {
			layers := layersOf(t, got.Images[0])
			assert.Equal(t, diffIDs(t, img), layers, "skopeo writes them inflated")
			continue
		}
		assert.Equal(t, inspect(t, ref).Digest, got.Digest.String(), ref)
	}
}

// preserve asks skopeo to refuse a change where it need not make one.
func preserve(k Kind) string {
	if k == Docker {
		return "true"
	}
	return "false"
}
