package source

import (
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// names of one destination of every kind below dir.
func places(rec *recorder, dir, label string) map[Kind]string {
	return map[Kind]string{
		Docker:        "docker://" + rec.host + "/" + label + ":1",
		OCI:           "oci:" + filepath.Join(dir, label) + ":1",
		OCIArchive:    "oci-archive:" + filepath.Join(dir, label+".oci.tar") + ":1",
		DockerArchive: "docker-archive:" + filepath.Join(dir, label+".docker.tar") + ":example.com/" + label + ":1",
	}
}

// layersOf reads every layer whole and gives the digests of the bytes.
func layersOf(t *testing.T, img v1.Image) (digests []string) {
	t.Helper()
	layers, err := img.Layers()
	require.NoError(t, err)
	for _, l := range layers {
		rc, err := l.Compressed()
		require.NoError(t, err)
		sum, n, err := v1.SHA256(rc)
		require.NoError(t, err)
		size, err := l.Size()
		require.NoError(t, err)
		require.Equal(t, size, n)
		require.Equal(t, digestOf(t, l), sum)
		require.NoError(t, rc.Close())
		digests = append(digests, sum.String())
	}
	return digests
}

func TestEveryKindToEveryKindKeepsDigests(t *testing.T) {
	t.Parallel()
	objects := map[string]struct {
		thing  remote.Taggable
		docker bool // a docker-archive can hold it
		same   bool // and keeps its digest
	}{
		"docker image": {testImage(t, types.DockerManifestSchema2, "linux", "amd64"), true, true},
		"oci image":    {testImage(t, types.OCIManifestSchema1, "linux", "amd64"), true, false},
		"index":        {testIndex(t), false, false},
	}
	for label, o := range objects {
		rec, dir := startRegistry(t), t.TempDir()
		origin := seed(t, rec, "origin/driver:1", o.thing)
		first := mustOpen(t, origin)
		for from, fromName := range places(rec, dir, "first") {
			if from == DockerArchive && !o.docker {
				continue
			}
			img, idx := first.content()
			mustPut(t, fromName, img, idx)
			src := mustOpen(t, fromName)
			for to, toName := range places(rec, t.TempDir(), "second-"+string(from)) {
				if to == DockerArchive && !o.docker {
					continue
				}
				t.Run(label+" "+string(from)+" to "+string(to), func(t *testing.T) {
					img, idx := src.content()
					mustPut(t, toName, img, idx)
					got := mustOpen(t, toName)
					if o.same || from != DockerArchive && to != DockerArchive {
						assert.Equal(t, first.Digest, got.Digest)
					}
					require.Len(t, got.Images, len(first.Images))
					for i, img := range got.Images {
						assert.Equal(t, first.Images[i].Platform, img.Platform)
						assert.Equal(t, layersOf(t, first.Images[i]), layersOf(t, img))
					}
					assert.Equal(t, first.Entries, got.Entries)
				})
			}
		}
	}
}

func TestHolds(t *testing.T) {
	t.Parallel()
	img := testImage(t, types.OCIManifestSchema1, "linux", "amd64")
	other := testImage(t, types.OCIManifestSchema1, "linux", "arm64")
	rec, dir := startRegistry(t), t.TempDir()
	for kind, name := range places(rec, dir, "held") {
		holds := func(name string, img v1.Image) bool {
			d, err := Create(t.Context(), mustParse(t, name), testOptions())
			require.NoError(t, err)
			ok, err := d.Holds(t.Context(), img, nil)
			require.NoError(t, err, kind)
			return ok
		}
		assert.False(t, holds(name, img), "%s: nothing is there", kind)
		mustPut(t, name, img, nil)
		assert.True(t, holds(name, img), kind)
		assert.False(t, holds(name, other), kind)
		assert.False(t, holds(name+"2", img), "%s: another tag", kind)
	}
}
