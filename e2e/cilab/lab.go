//go:build e2e

// Package cilab is what the tests on GitHub's and GitLab's runners work on: a
// registry with driver images, a throw-away key, the steps' binaries, and a
// search for the key in whatever was printed.
package cilab

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/e2e/sample"
	"github.com/kmodseal/kmodseal/pkg/kmodtest"
)

// Kernels are the releases of the images matrix:<release>-unsigned.
var Kernels = []string{"6.1.0-56-amd64", "6.12.117-1-amd64", "5.14.0-611.el9.x86_64", "6.8.0-31-generic"}

// Lab is one registry and one key.
type Lab struct {
	Registry         string // host:port, plain HTTP
	Bin              string // folder of the binaries
	Key, Cert, Other []byte // PEM; Other is the certificate of a stranger
	Hostile          int    // modules in hostile:1
	stranger         *sample.Key
	der, d           []byte
}

// New starts a registry with driver:unsigned (the sample), matrix:<kernel>-unsigned,
// empty:1 and the hostile images, and builds the binaries.
func New(t *testing.T) *Lab {
	t.Helper()
	l := &Lab{Bin: t.TempDir()}
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", l.Bin+"/", "./steps/...")
	build.Dir, build.Env = Root(t), append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	l.keys(t)
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	l.Registry = strings.TrimPrefix(server.URL, "http://")
	idx, err := sample.Index()
	require.NoError(t, err)
	require.NoError(t, remote.WriteIndex(l.ref(t, "driver:unsigned"), idx))
	for _, k := range Kernels {
		l.push(t, "matrix:"+k+"-unsigned", k, "opt/lib/modules/"+k+"/a.ko", "opt/lib/modules/"+k+"/b.ko")
	}
	l.push(t, "empty:1", "")
	l.push(t, "hostile:1", "::add-mask::hello", hostile()...)
	l.push(t, "hostile:control", "x", "lib/a\n::set-output name=forged::1\n.ko", "lib/d\x1b[31mred.ko",
		"lib/g\r\x1b[0Ksection_start:1:forged\r\x1b[0K.ko")
	l.push(t, "hostile:variable", "6.1-$CI_COMMIT_SHA-$(touch forged)", "lib/a.ko")
	l.push(t, "hostile:delimiter", "6.1\n_GitHubActionsFileCommandDelimeter_\nforged<<E\n1\nE", "lib/a.ko")
	l.Hostile = len(hostile())
	return l
}

// hostile are names that try to be commands, outputs, links or markup.
func hostile() []string {
	return []string{
		"::set-output name=forged::1.ko",
		"lib/b|`x`<img src=x onerror=alert(1)>.ko",
		"lib/c_GitHubActionsFileCommandDelimeter_.ko",
		"lib/e$(touch forged);`touch forged`.ko",
		"lib/f%0A::add-mask::hello.ko",
		"lib/##[add-mask]hello.ko",
		"lib/FORGED=1.ko",
		"lib/section_start:1:forged[collapsed=true].ko",
		"lib/$CI_COMMIT_SHA ${SIGNING_KEY} $(SIGNING_KEY) ${{ secrets.SIGNING_KEY }} %SIGNING_KEY%.ko",
		"lib/[click](javascript:alert(1)) @team www.forged.example.ko",
	}
}

// hostileSigner is the name in the certificate that the first module of each image
// of push is signed with: the kernel and we take any name there.
const hostileSigner = "Signer\n::add-mask::hello\n::set-output name=forged::1\nFORGED=1\n\x1b[31mred<b>[l](http://forged.example)"

// Root is the folder of the project.
func Root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	require.NoError(t, err)
	return dir
}

func (l *Lab) keys(t *testing.T) {
	t.Helper()
	key, err := sample.NewKey("Test key of the runners, throw away")
	require.NoError(t, err)
	l.Key, l.Cert, err = key.PEM()
	require.NoError(t, err)
	l.d = key.Private.D.Bytes()
	other, err := sample.NewKey("Another test key")
	require.NoError(t, err)
	_, l.Other, err = other.PEM()
	require.NoError(t, err)
	l.stranger, err = sample.NewKey(hostileSigner)
	require.NoError(t, err)
	l.der, err = base64.StdEncoding.DecodeString(strings.Join(lines(l.Key), ""))
	require.NoError(t, err)
}

// lines are the lines of a PEM block without its frame.
func lines(pem []byte) []string {
	all := strings.Split(strings.TrimSpace(string(pem)), "\n")
	return all[1 : len(all)-1]
}

func (l *Lab) ref(t *testing.T, image string) name.Reference {
	t.Helper()
	r, err := name.ParseReference(l.Registry+"/"+image, name.Insecure)
	require.NoError(t, err)
	return r
}

func (l *Lab) push(t *testing.T, image, release string, paths ...string) {
	t.Helper()
	entries := []sample.Entry{{Name: "etc/os-release", Content: []byte("ID=sample\n")}}
	for i, p := range paths {
		spec := kmodtest.Spec{Name: "m" + string(rune('a'+i)), Release: release, Machine: "amd64"}
		module := kmodtest.Build(spec)
		if i == 0 {
			var err error
			module, err = l.stranger.Sign(module)
			require.NoError(t, err)
		}
		entries = append(entries, sample.Entry{Name: p, Content: module})
	}
	layer, err := sample.Layer(entries)
	require.NoError(t, err)
	img, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{OS: "linux", Architecture: "amd64"})
	require.NoError(t, err)
	img, err = mutate.AppendLayers(img, layer)
	require.NoError(t, err)
	require.NoError(t, remote.Write(l.ref(t, image), img))
}

// Digest is that of an image, empty if there is none.
func (l *Lab) Digest(t *testing.T, image string) string {
	t.Helper()
	d, err := remote.Head(l.ref(t, image))
	if err != nil {
		return ""
	}
	return d.Digest.String()
}

// NoKey fails if text holds a piece of the key: a PEM line, base64 of the PEM,
// or the private exponent in hex.
func (l *Lab) NoKey(t *testing.T, text string) {
	t.Helper()
	for _, n := range l.needles() {
		if strings.Contains(text, n) {
			t.Errorf("the log holds a piece of the key: %s", n)
		}
	}
}

func (l *Lab) needles() []string {
	all := lines(l.Key)
	all = append(all, "PRIVATE KEY-----")
	for _, b := range [][]byte{l.Key, l.der} {
		for shift := range 3 {
			s := base64.StdEncoding.EncodeToString(b[shift:])
			all = append(all, s[40:80], s[len(s)/2:len(s)/2+40])
		}
	}
	h := hex.EncodeToString(l.d)
	return append(all, h[8:40], strings.ToUpper(h[8:40]))
}

// TestNoKeyFinds is for the tests of both runners: the search finds what it looks for.
func (l *Lab) TestNoKeyFinds(t *testing.T) {
	t.Helper()
	for _, b := range [][]byte{
		l.Key, []byte(base64.StdEncoding.EncodeToString(l.Key)), []byte(hex.EncodeToString(l.der)),
		[]byte(strings.ToUpper(hex.EncodeToString(l.der))), []byte(base64.StdEncoding.EncodeToString(l.der[1:])),
	} {
		found := false
		for _, n := range l.needles() {
			found = found || bytes.Contains(b, []byte(n))
		}
		require.True(t, found)
	}
}
