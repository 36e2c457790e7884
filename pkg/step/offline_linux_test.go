package step

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestOfflineAsNobody: without CAP_SYS_ADMIN the filter is refused to a thread
// that has not itself set no_new_privs, so both must happen on one thread
// however busy the scheduler is.
func TestOfflineAsNobody(t *testing.T) {
	if os.Getenv("KMODSEAL_TEST_OFFLINE") != "" {
		spread := func(held bool) { // starts threads, of which none is a child of one with no_new_privs
			var started, done sync.WaitGroup
			const threads = 8
			started.Add(threads)
			for range threads {
				done.Go(func() {
					if held {
						runtime.LockOSThread()
						defer runtime.UnlockOSThread()
					}
					started.Done()
					started.Wait()
					time.Sleep(time.Millisecond)
				})
			}
			done.Wait()
		}
		spread(true)
		set := noNewPrivs
		noNewPrivs = func() error {
			err := set()
			for before, tries := unix.Gettid(), 0; unix.Gettid() == before && tries < 100; tries++ {
				spread(false)
			}
			return err
		}
		require.NoError(t, goOffline())
		return
	}
	t.Parallel()
	self, err := os.ReadFile("/proc/self/exe")
	require.NoError(t, err)
	dir, err := os.MkdirTemp("/tmp", "offline")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755)) //nolint:gosec // another user runs it
	exe := filepath.Join(dir, "step.test")
	syscall.ForkLock.RLock()             // a child that another test starts meanwhile would hold the file open: text file busy
	err = os.WriteFile(exe, self, 0o755) //nolint:gosec // another user runs it
	syscall.ForkLock.RUnlock()
	require.NoError(t, err)
	for range 5 {
		child := exec.Command(exe, "-test.run=^TestOfflineAsNobody$") //nolint:gosec // a copy of this test
		child.Dir = dir
		child.Env = append(os.Environ(), "KMODSEAL_TEST_OFFLINE=1")
		if os.Getuid() == 0 {
			child.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
		}
		out, err := child.CombinedOutput()
		require.NoError(t, err, string(out))
	}
}

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
