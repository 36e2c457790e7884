//go:build e2e

package github

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/e2e/cilab"
)

// jobImage is what the jobs run in; packages.sh makes its file system.
const jobImage = "kmodseal-job:1"

// engine is a dockerd of this test's own: with a folder and a socket of its own,
// without a network, and gone with the test.
type engine struct {
	dir, host string
	daemon    *exec.Cmd
	log       bytes.Buffer
}

// startEngine starts one and runs a container in it. A machine that does not let it
// do so skips the test, with the reason, unless KMODSEAL_REQUIRE_ORACLES is set.
func startEngine(t *testing.T) *engine {
	t.Helper()
	dir, err := os.MkdirTemp("", "kmodseal-engine-") // t.TempDir is too long for a socket
	require.NoError(t, err)
	e := &engine{dir: dir, host: "unix://" + dir + "/docker.sock"}
	t.Cleanup(func() { e.stop(t) })
	rootfs := filepath.Join(cilab.Root(t), ".cache/github/rootfs-"+runtime.GOARCH+".tar")
	if err := e.start(rootfs); err != nil {
		if os.Getenv("KMODSEAL_REQUIRE_ORACLES") != "" {
			t.Fatalf("no container engine can be started, and KMODSEAL_REQUIRE_ORACLES is set: %v\n%s", err, e.log.String())
		}
		t.Skipf("NOT TESTED IN CONTAINERS: no container engine can be started here: %v", err)
	}
	return e
}

func (e *engine) start(rootfs string) error {
	if _, err := os.Stat(rootfs); err != nil {
		return fmt.Errorf("find the job image: %w", err)
	}
	e.daemon = exec.Command("dockerd", "--host", e.host, "--data-root", e.dir+"/data", "--exec-root", e.dir+"/exec",
		"--pidfile", e.dir+"/pid", "--bridge=none", "--iptables=false", "--ip6tables=false")
	e.daemon.Stdout, e.daemon.Stderr = &e.log, &e.log
	e.daemon.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := e.daemon.Start(); err != nil {
		e.daemon = nil
		return fmt.Errorf("start dockerd: %w", err)
	}
	if err := e.wait(); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"import", rootfs, jobImage},
		{"run", "--rm", "--network=host", jobImage, "true"},
	} {
		if out, err := e.docker(args...); err != nil {
			return fmt.Errorf("docker %s: %w: %s", args[0], err, out)
		}
	}
	return nil
}

// wait gives dockerd half a minute to answer.
func (e *engine) wait() error {
	err := errors.New("no time")
	for range 60 {
		if _, err = e.docker("version"); err == nil {
			return nil
		}
		time.Sleep(500 * time.Millisecond)
	}
	return fmt.Errorf("reach dockerd: %w", err)
}

func (e *engine) docker(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.Env = append(os.Environ(), "DOCKER_HOST="+e.host)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// stop leaves no process, no mount and no file.
func (e *engine) stop(t *testing.T) {
	t.Helper()
	if e.daemon != nil {
		if ids, err := e.docker("ps", "-aq"); err == nil && strings.TrimSpace(ids) != "" {
			out, err := e.docker(append([]string{"rm", "-f"}, strings.Fields(ids)...)...)
			assert.NoError(t, err, out)
		}
		require.NoError(t, e.daemon.Process.Signal(syscall.SIGTERM))
		e.daemon.Wait() //nolint:errcheck // its code is that of a signal
	}
	for _, m := range e.mounts(t) {
		require.NoError(t, syscall.Unmount(m, syscall.MNT_DETACH), m)
	}
	assert.Empty(t, e.mounts(t))
	assert.NoError(t, os.RemoveAll(e.dir))
}

// mounts are the mount points below the engine's folder, the innermost first.
func (e *engine) mounts(t *testing.T) (all []string) {
	t.Helper()
	b, err := os.ReadFile("/proc/self/mounts") // proc(5): device, mount point ...
	require.NoError(t, err)
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); strings.HasPrefix(f[1], e.dir+"/") {
			all = append(all, f[1])
		}
	}
	slices.Reverse(all)
	return all
}

// TestContainers runs the workflows again, each job in a container: only what the
// job image has, and what the actions bring, is there.
func TestContainers(t *testing.T) {
	e := startEngine(t)
	p := newProject(t)
	p.engine = e
	t.Run("seal", p.seal)
	t.Run("fail", p.fail)
	t.Run("matrix", p.matrix)
	t.Run("hostile", p.hostile)
}
