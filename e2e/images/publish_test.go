package main

import (
	"encoding/base64"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// locked is a registry that wants the user and password of one account.
func locked(t *testing.T) string {
	t.Helper()
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "release" || password != "token" {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			http.Error(w, "who are you", http.StatusUnauthorized)
			return
		}
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// login does what docker login leaves behind; an empty token leaves nothing.
func login(t *testing.T, host, token string) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("DOCKER_CONFIG", dir)
	if token != "" {
		auth := base64.StdEncoding.EncodeToString([]byte("release:" + token))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "config.json"), []byte(`{"auths":{"`+host+`":{"auth":"`+auth+`"}}}`), 0o600))
	}
}

func artifacts(t *testing.T) map[string]artifact {
	t.Helper()
	img, err := random.Image(100, 2)
	require.NoError(t, err)
	idx, err := random.Index(100, 1, 2)
	require.NoError(t, err)
	return map[string]artifact{"image": img, "index": idx}
}

func TestPushTakesTheLogin(t *testing.T) {
	for kind, what := range artifacts(t) {
		for _, c := range []struct{ name, token, problem string }{
			{"logged in", "token", ""},
			{"nobody", "", "401"},
			{"wrong password", "other", "401"},
		} {
			t.Run(kind+", "+c.name, func(t *testing.T) {
				host := locked(t)
				login(t, host, c.token)
				digest, err := publish("thing", what, &options{push: host + "/group", version: "v1.2.3"})
				if c.problem != "" {
					require.ErrorContains(t, err, c.problem)
					return
				}
				require.NoError(t, err)
				want, err := what.Digest()
				require.NoError(t, err)
				assert.Equal(t, want, digest)
				assert.Equal(t, want, pushed(t, host+"/group/thing:v1.2.3"))
			})
		}
	}
	_, err := publish("Not A Name", artifacts(t)["image"], &options{push: "localhost:1", version: "v1"})
	require.Error(t, err)
}

func pushed(t *testing.T, ref string) v1.Hash {
	t.Helper()
	r, err := name.ParseReference(ref)
	require.NoError(t, err)
	d, err := remote.Head(r, remote.WithAuth(&authn.Basic{Username: "release", Password: "token"}))
	require.NoError(t, err)
	return d.Digest
}

func TestLayoutHoldsNothingElse(t *testing.T) {
	for kind, what := range artifacts(t) {
		t.Run(kind, func(t *testing.T) {
			o := &options{out: t.TempDir(), version: "v1.2.3"}
			stale := filepath.Join(o.out, "thing", "stale")
			require.NoError(t, os.MkdirAll(stale, 0o755))
			for range 2 {
				_, err := publish("thing", what, o)
				require.NoError(t, err)
			}
			require.NoDirExists(t, stale)
			l, err := layout.ImageIndexFromPath(filepath.Join(o.out, "thing"))
			require.NoError(t, err)
			m, err := l.IndexManifest()
			require.NoError(t, err)
			require.Len(t, m.Manifests, 1)
			assert.Equal(t, "v1.2.3", m.Manifests[0].Annotations["org.opencontainers.image.ref.name"])
			want, err := what.Digest()
			require.NoError(t, err)
			assert.Equal(t, want, m.Manifests[0].Digest)
			if kind == "index" {
				idx, err := l.ImageIndex(want)
				require.NoError(t, err)
				children, err := idx.IndexManifest()
				require.NoError(t, err)
				assert.Len(t, children.Manifests, 2)
			}
		})
	}
	_, err := publish("thing", artifacts(t)["image"], &options{out: "/dev/null", version: "v1"})
	require.Error(t, err)
}
