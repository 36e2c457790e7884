//go:build e2e

// Package driver signs real out-of-tree drivers, built by kbuild for two Debian
// kernels, through a real registry, and lets other people's tools judge.
package driver

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/e2e/sample"
)

// moduleDir is where the image holds the modules of a release.
func moduleDir(release string) string { return "opt/lib/modules/" + release + "/extra" }

func TestDriver(t *testing.T) {
	cache := abs(t, "../../.cache/driver")
	releases := strings.Fields(read(t, filepath.Join(cache, "releases")))
	require.Len(t, releases, 2)
	registry := startRegistry(t)
	key := newKey(t)
	base := userland(t, cache)

	for i, release := range releases {
		built := build(t, cache, release)
		require.NotEmpty(t, built)
		suffix := ".ko"
		if i == 1 { // this kernel's own modules are compressed
			suffix = ".ko.xz"
		}
		for _, mode := range []string{"append", "rewrite"} {
			t.Run(release+"/"+mode, func(t *testing.T) {
				source := registry + "/driver:" + strings.ReplaceAll(release, "+", "_")
				push(t, source, base, modules(t, built, release, suffix))
				seal(t, key, source, source+"-"+mode, release, mode)
				judge(t, key, source, source+"-"+mode, release, mode, suffix, built, signFile(t, cache, release))
			})
		}
	}
}

// build compiles every DKMS driver for release that compiles, and at least
// v4l2loopback and acpi_call; it gives the unsigned modules by name.
func build(t *testing.T, cache, release string) map[string]string {
	t.Helper()
	headers := filepath.Join(cache, "root/usr/src/linux-headers-"+release)
	built := map[string]string{}
	drivers := []string{"v4l2loopback-*", "acpi-call-*"}
	args := []string{"-C", headers, "CC=gcc-12", "modules"}
	if strings.HasPrefix(release, "6.1.") {
		drivers = append(drivers, "digimend-*", "evdi-*")
	} else {
		args = append(args, "KCFLAGS=-Dstrlcpy=strscpy")
	}
	for _, d := range drivers {
		src, err := filepath.Glob(filepath.Join(cache, "root/usr/src", d))
		require.NoError(t, err)
		require.Len(t, src, 1, d)
		work := filepath.Join(t.TempDir(), "src")
		require.NoError(t, os.CopyFS(work, os.DirFS(src[0])))
		run(t, "", "make", append(args, "M="+work)...)
		require.NoError(t, filepath.WalkDir(work, func(p string, _ os.DirEntry, err error) error {
			if strings.HasSuffix(p, ".ko") {
				run(t, "", "strip", "--strip-debug", p)
				built[filepath.Base(p)] = p
			}
			return err
		}))
	}
	return built
}

// modules packs the built modules as a layer.
func modules(t *testing.T, built map[string]string, release, suffix string) v1.Layer {
	t.Helper()
	entries := []sample.Entry{{Name: "opt/lib/firmware/blob.bin", Content: []byte("firmware\n")}}
	for name, file := range built {
		content := []byte(read(t, file))
		if suffix == ".ko.xz" {
			content = []byte(run(t, "", "xz", "--check=crc32", "--lzma2=dict=1MiB", "-c", file))
		}
		entries = append(entries, sample.Entry{
			Name: moduleDir(release) + "/" + strings.TrimSuffix(name, ".ko") + suffix, Mode: 0o640, Content: content,
		})
	}
	l, err := sample.Layer(entries)
	require.NoError(t, err)
	return l
}

// userland is a layer with a Debian userland.
func userland(t *testing.T, cache string) v1.Layer {
	t.Helper()
	file := filepath.Join(t.TempDir(), "userland.tar.gz")
	run(t, "", "tar", "-C", filepath.Join(cache, "userland"), "--sort=name", "--mtime=@0", "-czf", file, ".")
	l, err := tarball.LayerFromFile(file)
	require.NoError(t, err)
	return l
}

func push(t *testing.T, ref string, layers ...v1.Layer) {
	t.Helper()
	img := mutate.MediaType(empty.Image, types.DockerManifestSchema2)
	img, err := mutate.ConfigFile(img, &v1.ConfigFile{OS: "linux", Architecture: "amd64", RootFS: v1.RootFS{Type: "layers"}})
	require.NoError(t, err)
	img, err = mutate.AppendLayers(img, layers...)
	require.NoError(t, err)
	r, err := name.ParseReference(ref)
	require.NoError(t, err)
	require.NoError(t, remote.Write(r, img))
}

// seal runs the four binaries, the last two twice: the second time nothing may change.
func seal(t *testing.T, key, source, destination, release, mode string) {
	t.Helper()
	dir := t.TempDir()
	cert := filepath.Join(key, "cert.pem")
	step(t, dir, "extract-kmods", "--source", source, "--kernel", release, "--insecure")
	step(t, dir, "sign-kmods", "--key", filepath.Join(key, "key.pem"), "--cert", cert)
	step(t, dir, "verify-kmods", "--trust", cert, "--kernel", release)
	repack := []string{"--destination", destination, "--trust", cert, "--mode", mode, "--insecure"}
	step(t, dir, "repack-image", repack...)
	first := digest(t, destination)
	step(t, dir, "repack-image", repack...)
	assert.Equal(t, first, digest(t, destination))
	step(t, dir, "verify-kmods", "--source", destination, "--trust", cert, "--kernel", release, "--insecure")
}

func step(t *testing.T, dir, step string, args ...string) {
	t.Helper()
	t.Log(run(t, dir, abs(t, "../../bin/"+step), args...))
}

func digest(t *testing.T, ref string) string {
	t.Helper()
	return strings.TrimSpace(run(t, "", "skopeo", "inspect", "--tls-verify=false", "--format", "{{.Digest}}", "docker://"+ref))
}

func run(t *testing.T, dir, program string, args ...string) string {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, "%s %s\n%s%s", program, strings.Join(args, " "), out, &stderr)
	return string(out)
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	return string(b)
}

func abs(t *testing.T, path string) string {
	t.Helper()
	p, err := filepath.Abs(path)
	require.NoError(t, err)
	return p
}
