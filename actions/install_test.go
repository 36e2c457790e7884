package actions_test

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/oracle"
)

// installer is install.sh with pins of its own, a release host and a tool cache.
type installer struct {
	dir, cache, output string
	host               *httptest.Server
	asked              []string // paths that the host was asked for
}

// newInstaller has a release v1.0.0 with archives of sign-kmods for all but darwin_arm64.
func newInstaller(t *testing.T) *installer {
	t.Helper()
	oracle.Path(t, "curl")
	i := &installer{dir: t.TempDir(), cache: t.TempDir(), output: filepath.Join(t.TempDir(), "output")}
	script, err := os.ReadFile("install.sh")
	require.NoError(t, err)
	i.write(t, "install.sh", string(script))
	i.write(t, "content/sign-kmods", "#!/bin/sh\n")
	i.write(t, "windows/sign-kmods.exe", "MZ")
	pins := "version v1.0.0\n"
	for platform, content := range map[string]string{"linux_amd64": "content", "linux_s390x": "content", "windows_amd64": "windows"} {
		archive := "kmodseal_" + platform + ".tar.gz"
		file := filepath.Join(i.dir, "v1.0.0", archive)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
		require.NoError(t, exec.Command("tar", "-czf", file, "-C", filepath.Join(i.dir, content), ".").Run())
		b, err := os.ReadFile(file)
		require.NoError(t, err)
		sum := sha256.Sum256(b)
		pins += hex.EncodeToString(sum[:]) + "  " + archive + "\n"
	}
	i.write(t, "pins", pins)
	files := http.FileServer(http.Dir(i.dir))
	i.host = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.asked = append(i.asked, r.URL.Path)
		files.ServeHTTP(w, r)
	}))
	t.Cleanup(i.host.Close)
	return i
}

func (i *installer) write(t *testing.T, name, text string) {
	t.Helper()
	file := filepath.Join(i.dir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
	require.NoError(t, os.WriteFile(file, []byte(text), 0o700)) //nolint:gosec // a script
}

// run installs on a machine of which uname says system and machine.
func (i *installer) run(t *testing.T, system, machine string, steps ...string) (bin, log string, err error) {
	t.Helper()
	i.write(t, "path/uname", "#!/bin/sh\n[ \"$1\" = -s ] && echo "+system+" || echo "+machine+"\n")
	require.NoError(t, os.RemoveAll(i.output))
	cmd := exec.Command("bash", append([]string{filepath.Join(i.dir, "install.sh")}, steps...)...)
	cmd.Env = append(os.Environ(), "PATH="+filepath.Join(i.dir, "path")+":"+os.Getenv("PATH"), "RUNNER_DEBUG=1",
		"RUNNER_TOOL_CACHE="+i.cache, "GITHUB_OUTPUT="+i.output, "KMODSEAL_RELEASES="+i.host.URL)
	out, err := cmd.CombinedOutput()
	b, _ := os.ReadFile(i.output) //nolint:errcheck // absent after a failure
	return strings.TrimSuffix(strings.TrimPrefix(string(b), "bin="), "\n"), string(out), err
}

func TestInstallTakesTheReleaseOnce(t *testing.T) {
	t.Parallel()
	i := newInstaller(t)
	for system, c := range map[string]struct{ machine, archive, file string }{
		"Linux":             {"x86_64", "kmodseal_linux_amd64.tar.gz", "sign-kmods"},
		"MINGW64_NT-10.0-2": {"x86_64", "kmodseal_windows_amd64.tar.gz", "sign-kmods.exe"},
	} {
		i.asked = nil
		bin, log, err := i.run(t, system, c.machine, "sign-kmods")
		require.NoError(t, err, log)
		assert.FileExists(t, filepath.Join(bin, c.file))
		assert.True(t, strings.HasPrefix(bin, i.cache+"/kmodseal/v1.0.0/"), bin)
		assert.Contains(t, log, "::debug::download "+i.host.URL+"/v1.0.0/"+c.archive)
		again, log, err := i.run(t, system, c.machine, "sign-kmods")
		require.NoError(t, err, log)
		assert.Equal(t, bin, again)
		assert.Contains(t, log, "::debug::kmodseal v1.0.0 from the tool cache: "+bin)
		assert.Equal(t, []string{"/v1.0.0/" + c.archive}, i.asked)
	}
	left, err := filepath.Glob(i.cache + "/kmodseal/v1.0.0/*")
	require.NoError(t, err)
	assert.Len(t, left, 2, "nothing but the two folders")
}

func TestInstallRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		system, machine, step string
		change                func(t *testing.T, i *installer)
		want                  string
	}{
		"another archive": {"Linux", "x86_64", "sign-kmods", func(t *testing.T, i *installer) {
			i.write(t, "v1.0.0/kmodseal_linux_amd64.tar.gz", "other")
		}, "has SHA-256 d9298a10"},
		"no archive there": {"Linux", "s390x", "sign-kmods", func(t *testing.T, i *installer) {
			require.NoError(t, os.Remove(filepath.Join(i.dir, "v1.0.0/kmodseal_linux_s390x.tar.gz")))
		}, "download http"},
		"no archive pinned": {"Darwin", "arm64", "sign-kmods", nil, "release v1.0.0 has no kmodseal_darwin_arm64.tar.gz"},
		"a name of a checksum": {"Linux", "ppc64le", "sign-kmods", func(t *testing.T, i *installer) {
			i.write(t, "pins", "version v1.0.0\nx  kmodseal_linux_ppc64le.tar.gz\n")
		}, "has no kmodseal_linux_ppc64le"},
		"no such step":         {"MINGW64_NT-10.0-2", "x86_64", "repack-image", nil, "there is no repack-image for windows_amd64"},
		"another system":       {"SunOS", "x86_64", "sign-kmods", nil, "no binaries for SunOS"},
		"another architecture": {"Linux", "riscv64", "sign-kmods", nil, "no binaries for riscv64"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := newInstaller(t)
			if c.change != nil {
				c.change(t, i)
			}
			bin, log, err := i.run(t, c.system, c.machine, c.step)
			require.Error(t, err, log)
			assert.Contains(t, log, "::error title=kmodseal::")
			assert.Contains(t, log, c.want)
			assert.Empty(t, bin, "no output")
			if name != "no such step" {
				left, err := filepath.Glob(i.cache + "/kmodseal/v1.0.0/*")
				require.NoError(t, err)
				assert.Empty(t, left)
			}
		})
	}
}

// TestInstallTakesAnotherPin: what is in the cache is not taken for another archive.
func TestInstallTakesAnotherPin(t *testing.T) {
	t.Parallel()
	i := newInstaller(t)
	first, log, err := i.run(t, "Linux", "x86_64", "sign-kmods")
	require.NoError(t, err, log)
	b, err := os.ReadFile(filepath.Join(i.dir, "v1.0.0/kmodseal_linux_s390x.tar.gz"))
	require.NoError(t, err)
	b = append(b, 0) // trailing zeros are fine with tar
	i.write(t, "v1.0.0/kmodseal_linux_amd64.tar.gz", string(b))
	sum := sha256.Sum256(b)
	i.write(t, "pins", "version v1.0.0\n"+hex.EncodeToString(sum[:])+"  kmodseal_linux_amd64.tar.gz\n")
	second, log, err := i.run(t, "Linux", "x86_64", "sign-kmods")
	require.NoError(t, err, log)
	assert.NotEqual(t, first, second)
}
