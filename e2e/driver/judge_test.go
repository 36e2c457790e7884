//go:build e2e

package driver

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// judge compares the signed image with its source and the modules with what
// the kernel's sign-file makes of them.
func judge(t *testing.T, key, source, signed, release, mode, suffix string, built map[string]string, signFile string) {
	t.Helper()
	before, after := unpack(t, source), unpack(t, signed)
	const cert = "usr/share/kmodseal/signer.der"
	changed := map[string]bool{cert: true}
	for name, file := range built {
		path := moduleDir(release) + "/" + strings.TrimSuffix(name, ".ko") + suffix
		changed[path] = true
		want := filepath.Join(t.TempDir(), name)
		run(t, "", signFile, "sha256", filepath.Join(key, "key.pem"), filepath.Join(key, "cert.pem"), file, want)
		got := filepath.Join(after, path)
		plain := read(t, got)
		if suffix == ".ko.xz" {
			plain = run(t, "", "xz", "-dc", got)
			assert.Contains(t, run(t, "", "xz", "-lvv", got), "CRC32")
		}
		assert.Equal(t, read(t, want), plain, "%s: not what sign-file gives", path)
		assert.Equal(t, "kmodseal e2e test key\n", run(t, "", "modinfo", "-F", "signer", got))
	}
	was, is := tree(t, before), tree(t, after)
	for path, sum := range is {
		if !changed[path] {
			assert.Equal(t, was[path], sum, "%s changed", path)
		}
	}
	for path := range was {
		assert.Contains(t, is, path, "%s is gone", path)
	}
	run(t, "", "skopeo", "inspect", "--tls-verify=false", "docker://"+signed)
	run(t, "", abs(t, "../../.cache/bin/crane"), "validate", "--insecure", "--remote", signed)
	layers := strings.Count(run(t, "", "skopeo", "inspect", "--raw", "--tls-verify=false", "docker://"+signed), "diff.tar")
	if mode == "append" {
		assert.Equal(t, 3, layers)
	} else {
		assert.Equal(t, 2, layers)
	}
}

// unpack copies an image with skopeo and unpacks it with umoci.
func unpack(t *testing.T, ref string) string {
	t.Helper()
	dir := t.TempDir()
	run(t, dir, "skopeo", "copy", "--src-tls-verify=false", "docker://"+ref, "oci:layout:x")
	run(t, dir, "umoci", "unpack", "--image", "layout:x", "bundle")
	return filepath.Join(dir, "bundle/rootfs")
}

// tree lists a folder: type, mode, owner, time and content of each path.
// Times of folders are left out: putting a file into one changes its time.
func tree(t *testing.T, root string) map[string]string {
	t.Helper()
	found := map[string]string{}
	require.NoError(t, filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := d.Info()
		require.NoError(t, err)
		rel, err := filepath.Rel(root, p)
		require.NoError(t, err)
		facts := info.Mode().String()
		switch {
		case info.Mode().IsRegular():
			facts += fmt.Sprintf(" %s %x", info.ModTime(), sha256.Sum256([]byte(read(t, p))))
		case info.Mode()&fs.ModeSymlink != 0:
			to, err := os.Readlink(p)
			require.NoError(t, err)
			facts += " -> " + to
		}
		found[rel] = facts
		return nil
	}))
	for _, own := range []string{"usr/share/kmodseal"} { // the folder that the certificate brings
		delete(found, own)
	}
	return found
}

// signFile is the sign-file of release's own kernel.
func signFile(t *testing.T, cache, release string) string {
	t.Helper()
	return filepath.Join(cache, "root/usr/src/linux-headers-"+release, "scripts/sign-file")
}

// newKey makes a key pair with openssl, as docs/enrolment.md does.
func newKey(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	run(t, dir, "openssl", "req", "-new", "-x509", "-newkey", "rsa:4096", "-nodes", "-days", "30",
		"-subj", "/CN=kmodseal e2e test key", "-addext", "basicConstraints=critical,CA:FALSE",
		"-addext", "keyUsage=digitalSignature", "-keyout", "key.pem", "-out", "cert.pem")
	return dir
}

// startRegistry runs Debian's docker-registry on a free port until the test ends.
func startRegistry(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	require.NoError(t, l.Close())
	config := filepath.Join(t.TempDir(), "registry.yml")
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil,
		"version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: %s}\n",
		t.TempDir(), addr), 0o600))
	cmd := exec.Command("docker-registry", "serve", config)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	require.Eventually(t, func() bool {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			c.Close()
		}
		return err == nil
	}, 20*time.Second, 100*time.Millisecond)
	return addr
}
