package templates_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestInstallation runs what every component begins with, with a wget that
// copies a file.
func TestInstallation(t *testing.T) {
	t.Parallel()
	script := load(t, "sign-kmods").Job.Script[0]
	archive := filepath.Join(t.TempDir(), "kmodseal.tar.gz")
	bin := t.TempDir()
	require.NoError(t, exec.Command("tar", "-czf", archive, "-C", "/etc", "hostname").Run())
	b, err := os.ReadFile(archive)
	require.NoError(t, err)
	hash := sha256.Sum256(b)
	sum := hex.EncodeToString(hash[:])
	require.NoError(t, os.WriteFile(filepath.Join(bin, "wget"), []byte("#!/bin/sh\necho \"$3\" >url\ncp "+archive+" \"$2\"\n"), 0o700)) //nolint:gosec // a program
	none := strings.Repeat("0", 64)
	for name, c := range map[string]struct {
		checksum, releases string
		ok                 bool
	}{
		"one":              {sum, "", true},
		"of several":       {"s390x:" + none + " " + runtime.GOARCH + ":" + sum + " ppc64le:" + none, "", true},
		"of a mirror":      {sum, "https://mirror.example.com/kmodseal", true},
		"wrong":            {none, "", false},
		"wrong of several": {"s390x:" + sum + " " + runtime.GOARCH + ":" + none, "", false},
		"of others":        {"s390x:" + sum + " ppc64le:" + sum, "", false},
		"of no name":       {":" + sum, "", false},
		"none":             {"", "", false},
		"no checksum":      {"-", "", false},
		"a second line":    {sum + "\n" + none, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			cmd := exec.Command("sh", "-ec", script+"\necho installed")
			cmd.Dir = dir
			cmd.Env = []string{
				"PATH=" + bin + ":" + os.Getenv("PATH"), "KMODSEAL_RELEASE=v1.0.0", "KMODSEAL_CHECKSUM=" + c.checksum,
				"CI_PROJECT_DIR=" + dir + "/a project", "KMODSEAL_RELEASES=" + c.releases,
			}
			out, err := cmd.CombinedOutput()
			assert.Equal(t, c.ok, err == nil, string(out))
			assert.Equal(t, c.ok, strings.HasSuffix(string(out), "installed\n"), string(out))
			_, err = os.Stat(filepath.Join(dir, "a project/.kmodseal/hostname"))
			assert.Equal(t, c.ok, err == nil)
			url, err := os.ReadFile(filepath.Join(dir, "url"))
			require.NoError(t, err)
			host := c.releases
			if host == "" {
				host = "https://github.com/kmodseal/kmodseal/releases/download"
			}
			assert.Equal(t, host+"/v1.0.0/kmodseal_linux_"+runtime.GOARCH+".tar.gz\n", string(url))
		})
	}
}
