//go:build linux

package sign_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/sign"
)

func same(t testing.TB, a, b string) bool {
	t.Helper()
	x, err := os.Stat(a)
	require.NoError(t, err)
	y, err := os.Stat(b)
	require.NoError(t, err)
	return os.SameFile(x, y)
}

func TestFilesHardLinks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a := write(t, filepath.Join(dir, "x", "a.ko"), module("a"))
	names := []string{filepath.Join(dir, "y", "b.ko"), filepath.Join(dir, "y", "backup"), filepath.Join(dir, "x", "c.ko")}
	require.NoError(t, os.Mkdir(filepath.Join(dir, "y"), 0o755))
	for _, n := range names {
		require.NoError(t, os.Link(a, n))
	}
	for _, given := range [][]string{{a}, {filepath.Join(dir, "x")}, {filepath.Join(dir, "y")}} {
		err := unchanged(t, dir, func() error { return files(given...) })
		assert.Equal(t, fault.Input, fault.ClassOf(err))
		require.ErrorContains(t, err, "has 4 hard links")
		assert.NotEmpty(t, fault.HintsOf(err))
	}
	sign.LeaveTemporary(t, a) // a hard link more, of a run that died
	require.NoError(t, files(filepath.Join(dir, "x"), filepath.Join(dir, "y")))
	for _, n := range names {
		assertSigned(t, n, "a")
		assert.True(t, same(t, a, n), n)
	}
	fi, err := os.Stat(a)
	require.NoError(t, err)
	assert.EqualValues(t, 4, fi.Sys().(*syscall.Stat_t).Nlink, "and no other name")
}

func TestFilesSymbolicLinks(t *testing.T) {
	t.Parallel()
	t.Run("argument", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		target := write(t, filepath.Join(dir, "store", "0123"), module("a")) // content-addressed: the link has the name
		link := filepath.Join(dir, "a.ko")
		require.NoError(t, os.Symlink("store/0123", link))
		require.NoError(t, files(link))
		assertSigned(t, target, "a")
		to, err := os.Readlink(link)
		require.NoError(t, err)
		assert.Equal(t, "store/0123", to)
	})
	t.Run("in a folder", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		write(t, filepath.Join(dir, "real", "a.ko"), module("a"))
		for link, to := range map[string]string{
			"one.ko": "real/a.ko", "two.ko": "one.ko", "abs.ko": filepath.Join(dir, "real/a.ko"), "folder": "real", "folder.ko": "real",
			"host": "/lib/modules/none", "up": "..", "readme": "nothing", "loop": "loop",
		} {
			require.NoError(t, os.Symlink(to, filepath.Join(dir, link)))
		}
		before := tree(t, dir)
		require.NoError(t, files(dir))
		after := tree(t, dir)
		assertSigned(t, filepath.Join(dir, "real", "a.ko"), "a")
		delete(before, filepath.Join(dir, "real", "a.ko"))
		delete(after, filepath.Join(dir, "real", "a.ko"))
		assert.Equal(t, before, after)
	})
	t.Run("leads nowhere", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		write(t, filepath.Join(dir, "b.ko"), module("b"))
		require.NoError(t, os.Symlink("nowhere", filepath.Join(dir, "a.ko")))
		o := options(rsa2048())
		var warned []string
		o.Warn = func(format string, args ...any) { warned = append(warned, fmt.Sprintf(format, args...)) }
		_, err := sign.Files(context.Background(), []string{dir}, o)
		require.NoError(t, err)
		assertSigned(t, filepath.Join(dir, "b.ko"), "b")
		require.Len(t, warned, 1)
		assert.Contains(t, warned[0], "a.ko: symbolic link leads nowhere")
	})
	t.Run("folder argument", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		write(t, filepath.Join(dir, "real", "a.ko"), module("a"))
		require.NoError(t, os.Symlink("real", filepath.Join(dir, "link")))
		done, err := sign.Files(context.Background(), []string{filepath.Join(dir, "link")}, options(rsa2048()))
		require.NoError(t, err)
		assert.Equal(t, filepath.Join(dir, "link", "a.ko"), done[0].Path, "shown as the user named it")
		assertSigned(t, filepath.Join(dir, "real", "a.ko"), "a")
	})
}

func TestFilesSymbolicLinkOutside(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	given, target := filepath.Join(dir, "given"), write(t, filepath.Join(dir, "out", "b.ko"), module("b"))
	write(t, filepath.Join(given, "a.ko"), module("a"))
	require.NoError(t, os.Symlink("../out/b.ko", filepath.Join(given, "b.ko")))
	err := unchanged(t, dir, func() error { return files(given) })
	assert.Equal(t, fault.Input, fault.ClassOf(err))
	require.ErrorContains(t, err, "outside the folder")
	assert.NotEmpty(t, fault.HintsOf(err))

	require.NoError(t, files(given, target))
	assertSigned(t, target, "b")
	assertSigned(t, filepath.Join(given, "a.ko"), "a")
	to, err := os.Readlink(filepath.Join(given, "b.ko"))
	require.NoError(t, err)
	assert.Equal(t, "../out/b.ko", to)
}

func TestFilesRefusesSpecialFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.ko"), module("a"))
	pipe := filepath.Join(dir, "pipe.ko")
	require.NoError(t, unix.Mkfifo(pipe, 0o644))
	for _, given := range []string{dir, pipe} {
		err := files(given)
		assert.Equal(t, fault.Input, fault.ClassOf(err), err)
	}
	assert.Equal(t, module("a"), content(t, filepath.Join(dir, "a.ko")))
}

func TestFilesKeepsOwner(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root gives files away")
	}
	file := write(t, filepath.Join(t.TempDir(), "a.ko"), module("a"))
	require.NoError(t, os.Chown(file, 1234, 4321))
	require.NoError(t, os.Chmod(file, 0o4710|os.ModeSetuid))
	require.NoError(t, files(file))
	fi, err := os.Stat(file)
	require.NoError(t, err)
	s := fi.Sys().(*syscall.Stat_t)
	assert.Equal(t, [2]uint32{1234, 4321}, [2]uint32{s.Uid, s.Gid})
	assert.Equal(t, 0o710|os.ModeSetuid, fi.Mode())
}

func TestFilesKeepsXattrs(t *testing.T) {
	t.Parallel()
	file := write(t, filepath.Join(t.TempDir(), "a.ko"), module("a"))
	if err := unix.Setxattr(file, "user.build", []byte("id \x00 7"), 0); err != nil {
		t.Skipf("no extended attributes here: %v", err)
	}
	require.NoError(t, unix.Setxattr(file, "user.empty", nil, 0))
	require.NoError(t, files(file))
	assertSigned(t, file, "a")
	b := make([]byte, 100)
	n, err := unix.Getxattr(file, "user.build", b)
	require.NoError(t, err)
	assert.Equal(t, "id \x00 7", string(b[:n]))
	n, err = unix.Getxattr(file, "user.empty", b)
	require.NoError(t, err)
	assert.Zero(t, n)
}
