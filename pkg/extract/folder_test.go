package extract_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kmodseal/kmodseal/pkg/extract"
	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/kmodtest"
	"github.com/kmodseal/kmodseal/pkg/source"
)

func write(t testing.TB, file, body string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(t, os.WriteFile(file, []byte(body), 0o644))
	require.NoError(t, os.Chtimes(file, time.Unix(1, 5), time.Unix(1, 5)))
}

func folderSource(dir string) *source.Source {
	return &source.Source{Ref: source.Ref{Kind: source.Dir, Name: dir}}
}

func digest(t testing.TB, dir string) string {
	t.Helper()
	root, err := os.OpenRoot(dir)
	require.NoError(t, err)
	defer root.Close()
	d, err := extract.FolderDigest(context.Background(), root)
	require.NoError(t, err)
	return d
}

func TestFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir+"/a/x.ko", ko("x"))
	write(t, dir+"/a/.wh.x.ko", ko("wh"))
	write(t, dir+"/b/arm.ko.gz", gz(string(kmodtest.Build(kmodtest.Spec{Name: "arm", Machine: "arm64"}))))
	write(t, dir+"/blob", ko("blob"))
	write(t, dir+"/fw\xff.bin", "firmware")
	require.NoError(t, os.Link(dir+"/a/x.ko", dir+"/b/y.ko"))
	require.NoError(t, os.Symlink("/a/x.ko", dir+"/l.ko"))
	require.NoError(t, os.Symlink("blob", dir+"/blob.ko"))
	require.NoError(t, os.Chmod(dir+"/a/x.ko", os.ModeSetuid|0o750))
	xattrs := unix.Setxattr(dir+"/a/x.ko", "user.k", []byte("v"), 0) == nil

	kmods := filepath.Join(t.TempDir(), "kmods")
	m, err := extract.Run(context.Background(), folderSource(dir), extract.Options{Kmods: kmods})
	require.NoError(t, err)
	assert.Equal(t, "dir", m.Source.Kind)
	assert.Equal(t, digest(t, dir), m.Source.Digest)
	require.Len(t, m.Modules, 4)
	assert.Equal(t, ".wh", m.Modules[0].Path[2:5], "a whiteout is a plain name in a folder")
	x := m.Modules[1]
	assert.Equal(t, "a/x.ko", x.Path)
	assert.Equal(t, "linux/amd64", x.Platform)
	assert.Empty(t, x.Layer)
	assert.Equal(t, []string{"b/y.ko"}, x.HardLinks)
	assert.Equal(t, []string{"l.ko"}, x.Symlinks)
	assert.EqualValues(t, 0o4750, x.Header.Mode)
	assert.Equal(t, os.Getuid(), x.Header.UID)
	assert.Equal(t, "1970-01-01T00:00:01.000000005Z", x.Header.ModTime)
	if xattrs {
		assert.Equal(t, map[string]string{"user.k": "dg=="}, x.Header.Xattrs)
	}
	assert.Equal(t, "blob", m.Modules[2].Path)
	assert.Equal(t, "linux/arm64", m.Modules[3].Platform)
	assert.Len(t, m.Platforms, 2)

	m, err = extract.Run(context.Background(), folderSource(dir), extract.Options{Kmods: kmods, Platforms: []string{"linux/arm64/v8"}})
	require.NoError(t, err)
	require.Len(t, m.Platforms, 1)
	assert.Equal(t, "modules/linux-arm64-v8/a/x.ko", m.Modules[1].File)
}

func TestFolderDigest(t *testing.T) {
	t.Parallel()
	make := func() string {
		dir := t.TempDir()
		write(t, dir+"/a/b", "1")
		write(t, dir+"/c", "2")
		require.NoError(t, os.Symlink("c", dir+"/l"))
		return dir
	}
	first := digest(t, make())
	assert.Equal(t, first, digest(t, make()), "times and place do not count")
	seen := map[string]string{first: "unchanged"}
	for name, change := range map[string]func(dir string) error{
		"content": func(d string) error { return os.WriteFile(d+"/c", []byte("3"), 0o644) },
		"mode":    func(d string) error { return os.Chmod(d+"/c", 0o600) },
		"name":    func(d string) error { return os.Rename(d+"/c", d+"/e") },
		"place":   func(d string) error { return os.Rename(d+"/c", d+"/a/c") },
		"folder":  func(d string) error { return os.Mkdir(d+"/empty", 0o755) },
		"gone":    func(d string) error { return os.Remove(d + "/c") },
		"target":  func(d string) error { _ = os.Remove(d + "/l"); return os.Symlink("a", d+"/l") },
		"type":    func(d string) error { _ = os.Remove(d + "/l"); return os.WriteFile(d+"/l", nil, 0o644) },
		"fifo":    func(d string) error { return unix.Mkfifo(d+"/p", 0o644) },
		"link":    func(d string) error { return os.Link(d+"/c", d+"/d") },
	} {
		dir := make()
		require.NoError(t, change(dir))
		got := digest(t, dir)
		assert.Empty(t, seen[got], name)
		seen[got] = name
	}
}

func TestFolderRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		prepare func(dir string) error
		o       extract.Options
		inside  bool
		class   fault.Class
		text    string
	}{
		"no module":         {class: fault.Input, text: "no module found"},
		"link out":          {prepare: func(d string) error { return os.Symlink("../../x.ko", d+"/x.ko") }, class: fault.Input, text: "leaves the root"},
		"newline":           {prepare: func(d string) error { return os.WriteFile(d+"/x\n.ko", []byte(ko("x")), 0o644) }, class: fault.Input, text: `x\n.ko`},
		"kmods inside":      {inside: true, class: fault.Usage, text: "inside the source"},
		"several platforms": {o: extract.Options{Platforms: []string{"linux/amd64", "linux/arm64"}}, class: fault.Usage, text: "one platform"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, out := t.TempDir(), t.TempDir()
			write(t, dir+"/file", "x")
			if c.prepare != nil {
				require.NoError(t, c.prepare(dir))
			}
			c.o.Kmods = out + "/kmods"
			if c.inside {
				c.o.Kmods = dir + "/kmods"
			}
			before := listing(t, dir)
			_, err := extract.Run(context.Background(), folderSource(dir), c.o)
			require.Error(t, err)
			assert.Equal(t, c.class, fault.ClassOf(err), err)
			require.ErrorContains(t, err, c.text)
			assert.Empty(t, names(t, out))
			assert.Equal(t, before, listing(t, dir))
		})
	}
}
