package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestProcessTable looks at every process while sign-kmods has read its key and
// waits for the passphrase: no command line holds anything of the key, and
// sign-kmods has no child that could.
func TestProcessTable(t *testing.T) {
	t.Parallel()
	k, dir := keysOnce(), t.TempDir()
	require.NoError(t, writeAll(dir, map[string][]byte{
		"key.pem": pemOf("ENCRYPTED PRIVATE KEY", encrypted(k.key)), "cert.pem": pemOf("CERTIFICATE", k.cert["cert"].Raw),
	}))
	pipe := filepath.Join(dir, "passphrase")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	cmd := exec.Command("sign-kmods", "--key", "key.pem", "--cert", "cert.pem", "--passphrase-file", pipe, "nothing.ko")
	cmd.Dir = dir
	require.NoError(t, cmd.Start())
	var w *os.File
	require.Eventually(t, func() (open bool) { // once it reads the pipe, it can be opened for writing
		fd, err := syscall.Open(pipe, syscall.O_WRONLY|syscall.O_NONBLOCK, 0)
		if open = err == nil; open {
			w = os.NewFile(uintptr(fd), pipe)
		}
		return open
	}, 30*time.Second, 5*time.Millisecond)

	own := filepath.Join("/proc", strconv.Itoa(cmd.Process.Pid))
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	assert.Contains(t, lines, filepath.Join(own, "cmdline"))
	for _, file := range lines {
		if data, err := os.ReadFile(file); err == nil { // others come and go
			assert.Empty(t, findKey(data), "%s: %s", file, data)
		}
	}
	children, err := filepath.Glob(own + "/task/*/children")
	require.NoError(t, err)
	require.NotEmpty(t, children)
	for _, file := range children {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		assert.Empty(t, string(data))
	}

	_, err = w.WriteString(passphrase)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.Error(t, cmd.Wait())
	assert.Equal(t, 3, cmd.ProcessState.ExitCode(), "the key was read, the module is not there")
}
