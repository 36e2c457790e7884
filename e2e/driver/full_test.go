//go:build e2e

package driver

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kmodseal/kmodseal/pkg/kmodtest"
)

// A file system without room ends each step with the system's word for it, and
// leaves the folders as they were.
func TestDiskFull(t *testing.T) {
	key := newKey(t)
	keys := []string{"--key", filepath.Join(key, "key.pem"), "--cert", filepath.Join(key, "cert.pem")}
	source := t.TempDir()
	fill(t, source, 20)

	t.Run("extract-kmods", func(t *testing.T) {
		small := mount(t, "1m")
		full(t, small, "extract-kmods", "--source", "dir:"+source, "--kmods", filepath.Join(small, "kmods"))
	})
	t.Run("sign-kmods files", func(t *testing.T) {
		small := mount(t, "2m")
		fill(t, small, 20)
		full(t, small, "sign-kmods", append(keys, small)...)
	})
	t.Run("sign-kmods folder", func(t *testing.T) {
		small := mount(t, "3m")
		step(t, small, "extract-kmods", "--source", "dir:"+source)
		brim(t, small)
		full(t, small, "sign-kmods", keys...)
	})
	t.Run("repack-image", func(t *testing.T) {
		kmods := filepath.Join(t.TempDir(), "kmods")
		step(t, "", "extract-kmods", "--source", "dir:"+source, "--kmods", kmods)
		step(t, "", "sign-kmods", append(keys, "--kmods", kmods)...)
		small := mount(t, "1m")
		brim(t, small)
		for _, to := range []string{"oci:layout", "oci-archive:image.tar", "docker-archive:image.tar", "dir:tree"} {
			full(t, small, "repack-image", "--kmods", kmods, "--destination", to, "--trust", filepath.Join(key, "cert.pem"))
		}
	})
}

// full runs a step in dir that must fail for want of room and change nothing there.
func full(t *testing.T, dir, step string, args ...string) {
	t.Helper()
	before := tree(t, dir)
	cmd := exec.Command(abs(t, "../../bin/"+step), args...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	var exit *exec.ExitError
	require.ErrorAs(t, cmd.Run(), &exit, "%s %v", step, args)
	assert.Equal(t, 1, exit.ExitCode(), stderr.String())
	assert.Contains(t, stderr.String(), "no space left on device")
	assert.Contains(t, stderr.String(), "\nhint: make room there")
	assert.Equal(t, before, tree(t, dir))
}

// mount gives a file system of its own of so many bytes.
func mount(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size))
	t.Cleanup(func() { assert.NoError(t, unix.Unmount(dir, 0)) })
	return dir
}

// fill writes n modules of 80 kB below dir.
func fill(t *testing.T, dir string, n int) {
	t.Helper()
	dir = filepath.Join(dir, "lib/modules/6.1.0-full")
	require.NoError(t, os.MkdirAll(dir, 0o755))
	for i := range n {
		name := fmt.Sprintf("full%02d", i)
		m := kmodtest.Build(kmodtest.Spec{Name: name, Release: "6.1.0-full", Machine: "amd64", Pad: 80_000})
		require.NoError(t, os.WriteFile(filepath.Join(dir, name+".ko"), m, 0o644))
	}
}

// brim takes all room that is left in dir.
func brim(t *testing.T, dir string) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "brim"))
	require.NoError(t, err)
	defer f.Close()
	for err == nil {
		_, err = f.WriteString(strings.Repeat("x", 4096))
	}
	require.ErrorIs(t, err, unix.ENOSPC)
}
