//go:build e2e

package tekton_test

import (
	"archive/tar"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/e2e/sample"
	"github.com/kmodseal/kmodseal/e2e/secureboot/fetch"
	"github.com/kmodseal/kmodseal/e2e/secureboot/probe"
)

// driver is v4l2loopback for one of Debian's kernels, and what it takes to boot that.
type driver struct {
	chain  *fetch.Boot
	kernel *fetch.Kernel
	plain  []byte
}

// TestFetch gets the kernel, what starts it and the driver's source from Debian, and builds the driver.
// run.sh calls it before the node starts, whose network has no way out; the others find it in the cache.
func TestFetch(t *testing.T) {
	required(t)
	require.NoError(t, fetch.Tools(t.Context(), fetch.AMD64))
	cache, k := debian(t)
	_, err := cache.Boot(t.Context(), fetch.AMD64)
	require.NoError(t, err)
	source, err := cache.Driver(t.Context(), k, "v4l2loopback-dkms", "usr/src/v4l2loopback-*")
	require.NoError(t, err)
	work := driverDir(k)
	require.NoError(t, os.RemoveAll(work))
	require.NoError(t, os.CopyFS(work, os.DirFS(source)))
	require.NoError(t, probe.Make(t.Context(), k, work))
}

func debian(t *testing.T) (fetch.Cache, *fetch.Kernel) {
	t.Helper()
	dir, err := filepath.Abs("../../.cache/secureboot")
	require.NoError(t, err)
	cache := fetch.Cache{Dir: dir}
	k, err := cache.Kernel(context.Background(), fetch.AMD64, "6.1")
	require.NoError(t, err)
	return cache, k
}

func driverDir(k *fetch.Kernel) string { return filepath.Join(lab(), "driver", k.Release) }

// built is the driver that TestFetch built.
func built(t *testing.T) *driver {
	t.Helper()
	cache, k := debian(t)
	chain, err := cache.Boot(t.Context(), fetch.AMD64)
	require.NoError(t, err)
	plain, err := os.ReadFile(filepath.Join(driverDir(k), "v4l2loopback.ko"))
	require.NoError(t, err)
	return &driver{chain, k, plain}
}

// realDriver seals v4l2loopback, built by kbuild for a Debian kernel, compares the module that is in
// the registry then with what the kernel's sign-file makes of it, and lets that kernel load it.
func realDriver(t *testing.T, key *sample.Key) {
	d := built(t)
	release := d.kernel.Release
	path := "opt/lib/modules/" + release + "/extra/v4l2loopback.ko"
	push(t, "v4l:"+release+"-unsigned", []sample.Entry{
		{Name: "opt/lib/modules/" + release + "/extra/", Type: tar.TypeDir, Mode: 0o755}, {Name: path, Mode: 0o640, Content: d.plain},
	})
	must(t, taskRun("v4l", "signing-cert", map[string]string{
		"source": registry + "/v4l:" + release + "-unsigned", "destination": registry + "/v4l:" + release, "kernel": release,
	}), "create", "-n", "drivers", "-f", "-")
	o := await(t, "drivers", "taskrun/v4l")
	require.True(t, o.ok(), "%s\n%s", o.message(), logs(t, "drivers", "v4l"))

	sealed := published(t, "v4l:"+release, path)
	require.Equal(t, signFile(t, d, key), sealed, "not what sign-file gives")
	boots(t, d, key, sealed)
}

// signFile is what the kernel's own program makes of the driver.
func signFile(t *testing.T, d *driver, key *sample.Key) []byte {
	t.Helper()
	k, c, err := key.PEM()
	require.NoError(t, err)
	dir := t.TempDir()
	file := func(name string, content []byte) string {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
		return filepath.Join(dir, name)
	}
	ko := file("v4l2loopback.ko", d.plain)
	out, err := exec.Command(filepath.Join(d.kernel.Headers, "scripts/sign-file"), "sha256", file("key.pem", k), file("cert.pem", c), ko).CombinedOutput()
	require.NoError(t, err, "%s", out)
	want, err := os.ReadFile(ko)
	require.NoError(t, err)
	require.Greater(t, len(want), len(d.plain))
	return want
}
