package step

import (
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestOffline runs itself in a child, since the filter stays for good.
func TestOffline(t *testing.T) {
	if os.Getenv("KMODSEAL_TEST_OFFLINE") == "" {
		t.Parallel()
		child := exec.Command(os.Args[0], "-test.run=^TestOffline$", "-test.v")
		child.Env = append(os.Environ(), "KMODSEAL_TEST_OFFLINE=1")
		out, err := child.CombinedOutput()
		require.NoError(t, err, string(out))
		if strings.Contains(string(out), "--- SKIP") {
			t.Skip("no seccomp here")
		}
		return
	}
	require.NoError(t, goOffline())
	mode, err := unix.PrctlRetInt(unix.PR_GET_SECCOMP, 0, 0, 0, 0)
	if err != nil || mode == 0 {
		t.Skip("no seccomp here")
	}
	for _, network := range []string{"tcp", "udp", "unix"} {
		_, err := net.Dial(network, "127.0.0.1:9")
		require.ErrorIs(t, err, unix.EACCES, network)
	}
	_, err = net.Listen("tcp", "127.0.0.1:0")
	require.ErrorIs(t, err, unix.EACCES)
	_, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, 1, 0, 0)
	assert.Equal(t, unix.EACCES, errno)

	done := make(chan error)
	go func() { _, err := net.Dial("tcp", "127.0.0.1:9"); done <- err }()
	require.ErrorIs(t, <-done, unix.EACCES, "in every thread")
	_, err = os.ReadFile("/proc/self/status")
	assert.NoError(t, err, "files still work")
}
