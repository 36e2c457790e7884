package source

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/fault"
)

// withAuth makes the registry want user "ci" with password "s3cret".
func withAuth(w http.ResponseWriter, r *http.Request) bool {
	if user, pass, ok := r.BasicAuth(); ok && user == "ci" && pass == "s3cret" {
		return false
	}
	w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
	http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`, http.StatusUnauthorized)
	return true
}

func writeAuth(t *testing.T, file, host, user, pass string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), file)
	auth := base64.StdEncoding.EncodeToString([]byte(user + ":" + pass))
	require.NoError(t, os.WriteFile(path, fmt.Appendf(nil, `{"auths":{%q:{"auth":%q}}}`, host, auth), 0o600))
	return path
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	rec := startRegistry(t)
	ref := seed(t, rec, "team/driver:1", testImage(t, types.OCIManifestSchema1, "linux", "amd64"))
	rec.onRequest(withAuth)
	for label, file := range map[string]string{
		"config.json":           writeAuth(t, "config.json", rec.host, "ci", "s3cret"),
		"repository":            writeAuth(t, "a.json", rec.host+"/team/driver", "ci", "s3cret"),
		"namespace":             writeAuth(t, "a.json", rec.host+"/team", "ci", "s3cret"),
		"docker login's URL":    writeAuth(t, "a.json", "https://"+rec.host+"/v1/", "ci", "s3cret"),
		"folder of a Secret":    filepath.Dir(writeAuth(t, ".dockerconfigjson", rec.host, "ci", "s3cret")),
		"folder of config.json": filepath.Dir(writeAuth(t, "config.json", rec.host, "ci", "s3cret")),
	} {
		src, err := openWith(t, ref, Options{AuthFile: file})
		require.NoError(t, err, label)
		assert.NotEmpty(t, layersOf(t, src.Images[0]), label)
	}
	for label, c := range map[string]struct{ file, hint string }{
		"wrong password": {writeAuth(t, "a.json", rec.host, "ci", "wrong-pa55"), "were sent and refused"},
		"other host":     {writeAuth(t, "a.json", "other.example", "ci", "s3cret"), "has no credentials for " + rec.host},
		"other team":     {writeAuth(t, "a.json", rec.host+"/tea", "ci", "s3cret"), "has no credentials for " + rec.host},
	} {
		rec.reset()
		_, err := openWith(t, ref, Options{AuthFile: c.file})
		require.Error(t, err, label)
		assert.Equal(t, fault.Registry, fault.ClassOf(err), label)
		assert.Contains(t, err.Error(), "answered 401 Unauthorized", label)
		assert.Contains(t, err.Error(), ref, label)
		assert.Contains(t, strings.Join(fault.HintsOf(err), "\n"), c.hint, label)
		assert.NotContains(t, fmt.Sprintf("%v %q %+v", err, fault.HintsOf(err), err), "pa55", label)
		assert.Len(t, rec.take("GET", "/manifests/"), 1, "%s: no second, anonymous try", label)
	}
}

func TestCredentialFilesRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(file, content string) string {
		p := filepath.Join(dir, file)
		require.NoError(t, os.WriteFile(p, []byte(content), 0o600))
		return p
	}
	for label, path := range map[string]string{
		"absent":        filepath.Join(dir, "absent"),
		"empty folder":  t.TempDir(),
		"no json":       write("a", "auth: hunter2"),
		"helpers only":  write("b", `{"credsStore":"desktop"}`),
		"bad base64":    write("c", `{"auths":{"h":{"auth":"hunter2!!"}}}`),
		"no user:pass":  write("d", `{"auths":{"h":{"auth":"aHVudGVyMg=="}}}`),
		"wrong type":    write("e", `{"auths":["hunter2"]}`),
		"empty file":    write("f", ""),
		"json, no auth": write("g", `{}`),
	} {
		_, err := openWith(t, "localhost:1/x:1", Options{AuthFile: path})
		require.Error(t, err, label)
		assert.Equal(t, fault.Usage, fault.ClassOf(err), label)
		assert.NotContains(t, err.Error(), "hunter2", label)
	}
}

func TestNoCredentialsInClearText(t *testing.T) {
	t.Parallel()
	rec := startRegistry(t)
	seed(t, rec, "x:1", testImage(t, types.OCIManifestSchema1, "linux", "amd64"))
	var challenge atomic.Value
	var seen atomic.Int64 // bytes that only credentials make
	rec.onRequest(func(w http.ResponseWriter, r *http.Request) bool {
		body, _ := io.ReadAll(r.Body)
		if seen.Add(int64(len(r.Header.Get("Authorization"))+len(body))) > 0 {
			return false
		}
		w.Header().Set("WWW-Authenticate", challenge.Load().(string))
		w.WriteHeader(http.StatusUnauthorized)
		return true
	})
	for name, c := range map[string]struct {
		challenge string
		auth      authn.AuthConfig
	}{
		"password": {`Basic realm="x"`, authn.AuthConfig{Username: "u", Password: "p"}},
		"token":    {`Bearer realm="http://10.0.0.1:5000/token",service="x"`, authn.AuthConfig{IdentityToken: "secret"}},
	} {
		challenge.Store(c.challenge)
		seen.Store(0)
		get := func(wrap func(http.RoundTripper) http.RoundTripper) error {
			g, err := openRepository(Ref{Kind: Docker, Name: "10.0.0.1:5000/x:1"}, Options{})
			require.NoError(t, err)
			tr := &http.Transport{DialContext: dialTo(rec.host)}
			g.puller, err = remote.NewPuller(remote.WithTransport(wrap(tr)), remote.WithAuth(authn.FromConfig(c.auth)),
				remote.WithRetryBackoff(remote.Backoff{Steps: 1}))
			require.NoError(t, err)
			if _, err = g.puller.Get(context.Background(), g.ref); err != nil {
				return g.fault(context.Background(), "read", err)
			}
			return nil
		}
		err := get(func(tr http.RoundTripper) http.RoundTripper { return discreet{tr} })
		require.ErrorContains(t, err, "plain HTTP", name)
		assert.Contains(t, strings.Join(fault.HintsOf(err), ""), "--insecure", name)
		assert.Zero(t, seen.Load(), name)
		_ = get(func(tr http.RoundTripper) http.RoundTripper { return tr })
		assert.NotZero(t, seen.Load(), "%s: the test sees credentials where they are sent", name)
	}
	tr, err := newTransport(Options{})
	require.NoError(t, err)
	assert.IsType(t, discreet{}, tr.(redirects).RoundTripper)
	tr, err = newTransport(Options{Insecure: true})
	require.NoError(t, err)
	assert.IsType(t, &http.Transport{}, tr.(redirects).RoundTripper)
	for host, want := range map[string]bool{"127.0.0.1": true, "::1": true, "localhost": true, "10.0.0.1": false, "example.com": false, "127.0.0.1.example.com": false} {
		assert.Equal(t, want, loopback(host), host)
	}
}
