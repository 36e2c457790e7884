//go:build e2e

package tekton_test

import (
	"archive/tar"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/e2e/sample"
)

// realDriver seals v4l2loopback, built by kbuild for a Debian kernel, and compares the module
// that is in the registry then with what the kernel's sign-file makes of it.
func realDriver(t *testing.T, key *sample.Key) {
	cache, err := filepath.Abs("../../.cache/driver")
	require.NoError(t, err)
	releases, err := os.ReadFile(filepath.Join(cache, "releases"))
	require.NoError(t, err, "e2e/driver/packages.sh")
	release := strings.Fields(string(releases))[0]
	headers := filepath.Join(cache, "root/usr/src/linux-headers-"+release)
	work := t.TempDir()
	sources, err := filepath.Glob(filepath.Join(cache, "root/usr/src/v4l2loopback-*"))
	require.NoError(t, err)
	require.Len(t, sources, 1)
	require.NoError(t, os.CopyFS(filepath.Join(work, "src"), os.DirFS(sources[0])))
	run(t, "make", "-C", headers, "CC=gcc-12", "M="+filepath.Join(work, "src"), "modules")
	ko := filepath.Join(work, "src", "v4l2loopback.ko")
	run(t, "strip", "--strip-debug", ko)
	plain, err := os.ReadFile(ko)
	require.NoError(t, err)

	path := "opt/lib/modules/" + release + "/extra/v4l2loopback.ko"
	push(t, "v4l:"+release+"-unsigned", []sample.Entry{
		{Name: "opt/lib/modules/" + release + "/extra/", Type: tar.TypeDir, Mode: 0o755}, {Name: path, Mode: 0o640, Content: plain},
	})
	must(t, taskRun("v4l", "signing-cert", map[string]string{
		"source": registry + "/v4l:" + release + "-unsigned", "destination": registry + "/v4l:" + release, "kernel": release,
	}), "create", "-n", "drivers", "-f", "-")
	o := await(t, "drivers", "taskrun/v4l")
	require.True(t, o.ok(), "%s\n%s", o.message(), logs(t, "drivers", "v4l"))

	k, c, err := key.PEM()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(work, "key.pem"), k, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(work, "cert.pem"), c, 0o600))
	run(t, filepath.Join(headers, "scripts/sign-file"), "sha256", filepath.Join(work, "key.pem"), filepath.Join(work, "cert.pem"), ko)
	want, err := os.ReadFile(ko)
	require.NoError(t, err)
	require.Greater(t, len(want), len(plain))
	require.Equal(t, want, published(t, "v4l:"+release, path), "not what sign-file gives")
}

func run(t *testing.T, program string, args ...string) {
	t.Helper()
	out, err := exec.Command(program, args...).CombinedOutput()
	require.NoError(t, err, "%s %v\n%s", program, args, out)
}
