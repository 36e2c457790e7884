package source

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/fault"
)

func serveManifest(mt, body string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "/manifests/") && !strings.Contains(r.URL.Path, "/blobs/") {
			return false
		}
		w.Header().Set("Content-Type", mt)
		_, _ = io.WriteString(w, body)
		return true
	}
}

func TestAnswersBecomeFaults(t *testing.T) {
	t.Parallel()
	answer := func(code int, body string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == "/v2/" {
				return false
			}
			w.WriteHeader(code)
			_, _ = io.WriteString(w, body)
			return true
		}
	}
	for label, c := range map[string]struct {
		code             int
		body, text, hint string
	}{
		"404":  {404, `{"errors":[{"code":"MANIFEST_UNKNOWN","message":"no such tag"}]}`, "404 Not Found to GET; MANIFEST_UNKNOWN: no such tag", "check the name and the tag"},
		"403":  {403, "", "403 Forbidden", "pull"},
		"429":  {429, "", "429 Too Many Requests", "limits the rate"},
		"500":  {500, "", "500 Internal Server Error", "try again later"},
		"418":  {418, "", "418 I'm a teapot", "its own log"},
		"503":  {503, "<html>\n<b>proxy</b>", "503 Service Unavailable", "try again later"},
		"evil": {404, `{"errors":[{"code":"X","message":"a\u001b[31m\nb` + strings.Repeat("z", 3000) + `"}]}`, "404", ""},
	} {
		rec := startRegistry(t)
		rec.onRequest(answer(c.code, c.body))
		_, err := openWith(t, rec.host+"/x:1", Options{})
		require.Error(t, err, label)
		assert.Equal(t, fault.Registry, fault.ClassOf(err), label)
		assert.Contains(t, err.Error(), c.text, label)
		assert.Contains(t, err.Error(), rec.host+"/x:1", label)
		assert.Contains(t, strings.Join(fault.HintsOf(err), "\n"), c.hint, label)
		assert.NotContains(t, err.Error(), "\n", label)
		assert.NotContains(t, err.Error(), "\x1b", label)
		assert.Less(t, len(err.Error()), 500, label)
		assert.LessOrEqual(t, len(rec.take("/manifests/")), 4, "bounded retries")
	}
}

// A registry that redirects for ever is given up.
func TestRedirectLoop(t *testing.T) {
	t.Parallel()
	rec := startRegistry(t)
	rec.onRequest(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/v2/" {
			return false
		}
		http.Redirect(w, r, r.URL.Path, http.StatusTemporaryRedirect)
		return true
	})
	_, err := openWith(t, rec.host+"/x:1", Options{})
	require.ErrorContains(t, err, "more than 10 redirects")
	assert.Equal(t, fault.Registry, fault.ClassOf(err))
	assert.NotEmpty(t, fault.HintsOf(err))
	assert.LessOrEqual(t, len(rec.take("/manifests/")), 3*(maxRedirects+2))
}

func TestConnections(t *testing.T) {
	t.Parallel()
	plain := startRegistry(t)
	seed(t, plain, "x:1", testImage(t, types.OCIManifestSchema1, "linux", "amd64"))
	secure := newRecorder()
	s := httptest.NewTLSServer(secure)
	t.Cleanup(s.Close)
	s.Config.ErrorLog = nil
	host := strings.TrimPrefix(s.URL, "https://")
	ca := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600))
	ref, err := name.ParseReference(host + "/x:1")
	require.NoError(t, err)
	require.NoError(t, remote.Write(ref, testImage(t, types.OCIManifestSchema1, "linux", "amd64"), remote.WithTransport(s.Client().Transport)))

	_, err = openWith(t, host+"/x:1", Options{CAFile: ca})
	require.NoError(t, err)
	_, err = openWith(t, host+"/x:1", Options{SkipTLSVerify: true})
	require.NoError(t, err)
	_, err = openWith(t, host+"/x:1", Options{SkipTLSVerify: true, Insecure: true})
	require.NoError(t, err, "--insecure allows plain HTTP, it does not demand it")

	_, err = openWith(t, host+"/x:1", Options{})
	require.Error(t, err)
	assert.Equal(t, fault.Registry, fault.ClassOf(err))
	assert.Contains(t, strings.Join(fault.HintsOf(err), ""), "--ca-file")

	_, err = openWith(t, "127.0.0.1:1/x:1", Options{})
	require.Error(t, err)
	assert.Equal(t, fault.Registry, fault.ClassOf(err))
	assert.Contains(t, strings.Join(fault.HintsOf(err), ""), "nothing listens at 127.0.0.1:1")

	for label, file := range map[string]string{"absent": ca + "x", "no PEM": writeAuth(t, "x", "a", "b", "c")} {
		_, err = openWith(t, host+"/x:1", Options{CAFile: file})
		assert.Equal(t, fault.Usage, fault.ClassOf(err), label)
	}
}

// A name that is not local is never tried with plain HTTP unless told so.
func TestInsecure(t *testing.T) {
	t.Parallel()
	rec := startRegistry(t)
	seed(t, rec, "x:1", testImage(t, types.OCIManifestSchema1, "linux", "amd64"))
	proxied := func(o Options) error {
		g, err := openRepository(Ref{Kind: Docker, Name: "registry.example:5000/x:1"}, o)
		require.NoError(t, err)
		tr := &http.Transport{DialContext: dialTo(rec.host)}
		g.puller, err = remote.NewPuller(remote.WithTransport(tr), remote.WithRetryBackoff(remote.Backoff{Steps: 1}))
		require.NoError(t, err)
		_, err = g.puller.Get(context.Background(), g.ref)
		if err != nil {
			return g.fault(context.Background(), "read", err)
		}
		return nil
	}
	require.NoError(t, proxied(Options{Insecure: true}))
	err := proxied(Options{})
	require.Error(t, err)
	assert.Contains(t, strings.Join(fault.HintsOf(err), ""), "--insecure")
	assert.Equal(t, fault.Registry, fault.ClassOf(err))
}

// TestHintAfterBothSchemes: plain HTTP was tried as well and failed in another way.
func TestHintAfterBothSchemes(t *testing.T) {
	t.Parallel()
	for insecure, want := range map[bool]string{true: "check the network", false: "--insecure"} {
		g, err := openRepository(Ref{Kind: Docker, Name: "registry.example:5000/x:1"}, Options{Insecure: insecure})
		require.NoError(t, err)
		err = g.fault(context.Background(), "read", errors.Join(http.ErrSchemeMismatch, context.DeadlineExceeded))
		assert.Contains(t, strings.Join(fault.HintsOf(err), ""), want)
		assert.Equal(t, !insecure, strings.Contains(strings.Join(fault.HintsOf(err), ""), "--insecure"))
	}
}

// TestNoCredentialsInClearText: a registry at a private address is tried with
// plain HTTP in any case; credentials go there only if that was asked for.
func TestUserAgentAndDefaultTag(t *testing.T) {
	t.Parallel()
	rec := startRegistry(t)
	seed(t, rec, "x:latest", testImage(t, types.OCIManifestSchema1, "linux", "amd64"))
	var agent atomic.Value
	rec.onRequest(func(_ http.ResponseWriter, r *http.Request) bool { agent.Store(r.UserAgent()); return false })
	var warned string
	_, err := openWith(t, rec.host+"/x", Options{UserAgent: "kmodseal/1.2", Warn: func(f string, a ...any) { warned += fmt.Sprintf(f, a...) }})
	require.NoError(t, err)
	assert.Contains(t, warned, "names no tag: taking latest")
	assert.True(t, strings.HasPrefix(agent.Load().(string), "kmodseal/1.2"), agent.Load())
}

func TestCancelledOpenHasNoClass(t *testing.T) {
	t.Parallel()
	rec := startRegistry(t)
	ctx, cancel := context.WithCancel(context.Background())
	rec.onRequest(func(http.ResponseWriter, *http.Request) bool { cancel(); return false })
	_, err := Open(ctx, mustParse(t, rec.host+"/x:1"), testOptions())
	require.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, fault.Internal, fault.ClassOf(err))
}

func TestDamagedLayersInRegistry(t *testing.T) {
	t.Parallel()
	rec := startRegistry(t)
	src := mustOpen(t, seed(t, rec, "x:1", testImage(t, types.OCIManifestSchema1, "linux", "amd64")))
	layers, err := src.Images[0].Layers()
	require.NoError(t, err)
	size, err := layers[1].Size()
	require.NoError(t, err)
	digest := digestOf(t, layers[1]).String()
	for label, c := range map[string]struct {
		body   string
		length bool
		text   string
	}{
		"truncated":       {strings.Repeat("x", int(size)-1), false, "read layer " + digest},
		"too long":        {strings.Repeat("x", int(size)+1), false, "read layer " + digest},
		"other bytes":     {strings.Repeat("x", int(size)), true, digest},
		"announced short": {strings.Repeat("x", int(size)-1), true, "read layer " + digest},
		"gone":            {"", true, "404"},
	} {
		rec.onRequest(func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.URL.Path, "/blobs/"+digest) {
				return false
			}
			if c.body == "" {
				w.WriteHeader(http.StatusNotFound)
				return true
			}
			if !c.length {
				w.(http.Flusher).Flush() // chunked: no Content-Length
			}
			_, _ = io.WriteString(w, c.body)
			return true
		})
		err := func() error {
			rc, err := layers[1].Compressed()
			if err != nil {
				return err
			}
			defer rc.Close()
			_, err = io.Copy(io.Discard, rc)
			return err
		}()
		require.Error(t, err, label)
		assert.Equal(t, fault.Registry, fault.ClassOf(err), label)
		assert.Contains(t, err.Error(), c.text, label)
		assert.Contains(t, err.Error(), "layer "+digest, label)
		assert.Equal(t, 1, strings.Count(err.Error(), "read layer"), "%s: %v", label, err)
		assert.NotEmpty(t, fault.HintsOf(err), "%s: %v", label, err)

		dst := filepath.Join(t.TempDir(), "out")
		d, err := Create(context.Background(), mustParse(t, "oci:"+dst), testOptions())
		require.NoError(t, err)
		err = d.Put(context.Background(), src.Images[0], nil)
		assert.Equal(t, fault.Registry, fault.ClassOf(err), "%s: %v", label, err)
		assert.NoDirExists(t, dst, label)
	}
}

func TestStalledBodyEnds(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "half")
		w.(http.Flusher).Flush()
		<-release
	}))
	t.Cleanup(func() { close(release); s.Close() })
	c := http.Client{Transport: &http.Transport{DialContext: stalling(&net.Dialer{}, 50*time.Millisecond)}}
	resp, err := c.Get(s.URL)
	require.NoError(t, err)
	defer resp.Body.Close()
	_, err = io.ReadAll(resp.Body)
	var timeout net.Error
	require.ErrorAs(t, err, &timeout)
	assert.True(t, timeout.Timeout())
}
