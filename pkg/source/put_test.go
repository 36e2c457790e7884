package source

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/fault"
)

func TestPutOrderAndReuse(t *testing.T) {
	t.Parallel()
	rec := startRegistry(t)
	mustPut(t, rec.host+"/dst:1", nil, testIndex(t))
	writes := rec.take("PUT", "/manifests/")
	require.NotEmpty(t, writes)
	for i, w := range writes {
		last := i == len(writes)-1
		assert.Equal(t, last, strings.HasSuffix(w, "/manifests/1"), "tag last: %v", writes)
	}
	puts := rec.take("PUT")
	assert.Equal(t, puts[len(puts)-1], writes[len(writes)-1], "nothing follows the tag")

	rec.reset()
	mustPut(t, rec.host+"/dst:1", nil, testIndex(t))
	assert.Empty(t, rec.take("POST"), "no upload of what is there")
	assert.Empty(t, rec.take("PATCH"))
	assert.Empty(t, rec.take("PUT", "manifests/sha256"))
}

func TestPutMountsAcrossRepositories(t *testing.T) {
	t.Parallel()
	rec := startRegistry(t)
	src := mustOpen(t, seed(t, rec, "team/src:1", testImage(t, types.OCIManifestSchema1, "linux", "amd64")))
	// The test registry shares blobs and knows no mounts; a real one has blobs per
	// repository.
	rec.onRequest(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Query().Get("mount") != "" && r.URL.Query().Get("from") == "team/src" {
			w.WriteHeader(http.StatusCreated)
			return true
		}
		if r.Method == http.MethodHead && strings.HasPrefix(r.URL.Path, "/v2/team/dst/blobs/") {
			w.WriteHeader(http.StatusNotFound)
			return true
		}
		return false
	})
	extra := gzipLayer(t, "signed.ko", "signed")
	signed, err := mutate.AppendLayers(src.Images[0].Image, extra)
	require.NoError(t, err)
	for label, c := range map[string]struct {
		put     func() error
		mounted int
		sent    int
	}{
		"unchanged": {func() error { return putTo(t, rec.host+"/team/dst:1", src.Images[0]) }, 3, 0},
		"appended":  {func() error { return putTo(t, rec.host+"/team/dst:2", signed) }, 2, 2},
	} {
		rec.reset()
		require.NoError(t, c.put(), label)
		assert.Len(t, rec.take("POST", "mount=", "from=team%2Fsrc"), c.mounted, label)
		assert.Len(t, rec.take("PATCH"), c.sent, "%s: only what is new is sent", label)
		assert.Empty(t, rec.take("GET", "/team/src/blobs/", digestOf(t, extra).Hex), label)
	}
}

func putTo(t *testing.T, ref string, img v1.Image) error {
	t.Helper()
	d, err := Create(context.Background(), mustParse(t, ref), testOptions())
	require.NoError(t, err)
	return d.Put(context.Background(), img, nil)
}

func dialTo(host string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, host)
	}
}

func TestFailedPutLeavesTheTag(t *testing.T) {
	t.Parallel()
	for label, bad := range map[string]func(r *http.Request) bool{
		"blob upload":  func(r *http.Request) bool { return r.Method == http.MethodPatch },
		"upload start": func(r *http.Request) bool { return r.Method == http.MethodPost },
		"manifest": func(r *http.Request) bool {
			return r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/sha256:")
		},
		"tag": func(r *http.Request) bool {
			return r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/manifests/1")
		},
		"existence of blob": func(r *http.Request) bool {
			return r.Method == http.MethodHead && strings.Contains(r.URL.Path, "/blobs/")
		},
	} {
		rec := startRegistry(t)
		before := testImage(t, types.OCIManifestSchema1, "linux", "s390x")
		seed(t, rec, "dst:1", before)
		rec.onRequest(func(w http.ResponseWriter, r *http.Request) bool {
			if bad(r) {
				w.WriteHeader(http.StatusInternalServerError)
				return true
			}
			return false
		})
		d, err := Create(context.Background(), mustParse(t, rec.host+"/dst:1"), testOptions())
		require.NoError(t, err)
		err = d.Put(context.Background(), nil, testIndex(t))
		require.Error(t, err, label)
		assert.Equal(t, fault.Registry, fault.ClassOf(err), label)
		rec.onRequest(nil)
		h, ok, err := d.Digest(context.Background())
		require.NoError(t, err)
		assert.True(t, ok)
		assert.Equal(t, digestOf(t, before), h, label)
	}
}

func TestRegistryDigestAndTag(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	rec := startRegistry(t)
	d, err := Create(ctx, mustParse(t, rec.host+"/dst:1"), testOptions())
	require.NoError(t, err)
	_, ok, err := d.Digest(ctx)
	require.NoError(t, err)
	assert.False(t, ok)
	idx := testIndex(t)
	require.NoError(t, d.Put(ctx, nil, idx))
	require.NoError(t, d.Tag(ctx, digestOf(t, idx), []string{"latest", "6.12"}))
	for _, tag := range []string{"1", "latest", "6.12"} {
		assert.Equal(t, digestOf(t, idx), mustOpen(t, rec.host+"/dst:"+tag).Digest)
	}
	assert.Equal(t, fault.Usage, fault.ClassOf(d.Tag(ctx, digestOf(t, idx), []string{"ok", "not ok"})))

	rec.onRequest(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodHead {
			w.WriteHeader(http.StatusForbidden)
			return true
		}
		return false
	})
	_, ok, err = d.Digest(ctx)
	require.NoError(t, err, "a repository that is not there yet may answer 403")
	assert.False(t, ok)
	rec.onRequest(withAuth)
	_, _, err = d.Digest(ctx)
	assert.Equal(t, fault.Registry, fault.ClassOf(err))
}

func TestProgress(t *testing.T) {
	t.Parallel()
	rec := startRegistry(t)
	for _, ref := range []string{rec.host + "/x:1", "oci:" + t.TempDir(), "oci-archive:" + t.TempDir() + "/a.tar"} {
		var done, total, calls int64
		o := testOptions()
		o.Progress = func(d, t int64) { done, total, calls = d, t, calls+1 }
		d, err := Create(context.Background(), mustParse(t, ref), o)
		require.NoError(t, err)
		require.NoError(t, d.Put(context.Background(), testImage(t, types.OCIManifestSchema1, "linux", "amd64"), nil))
		assert.Positive(t, calls, ref)
		assert.Equal(t, total, done, ref)
	}
}

// A registry that does not hold what it took gets no tag.
func TestPutReadsBackBeforeTheTag(t *testing.T) {
	t.Parallel()
	rec := startRegistry(t)
	rec.onRequest(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "/manifests/sha256:") {
			return false
		}
		w.Header().Set("Content-Type", string(types.OCIManifestSchema1))
		_, _ = w.Write([]byte("{}"))
		return true
	})
	d, err := Create(context.Background(), mustParse(t, rec.host+"/driver:1"), testOptions())
	require.NoError(t, err)
	img := testImage(t, types.OCIManifestSchema1, "linux", "amd64", gzipLayer(t, "a", "a"))
	err = d.Put(context.Background(), img, nil)
	require.ErrorContains(t, err, "read back")
	assert.Equal(t, fault.Registry, fault.ClassOf(err))
	assert.Empty(t, rec.take("PUT", "/manifests/1"))
}
