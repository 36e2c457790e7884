package imagefs_test

import (
	"archive/tar"
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/imagefs"
)

func hashOf(s string) v1.Hash {
	h, _, _ := v1.SHA256(strings.NewReader(s)) // a string reader never fails
	return h
}

func sampleEntries() []imagefs.Entry {
	return []imagefs.Entry{
		{Path: ".", Type: tar.TypeDir},
		{Path: "a\xff\n/x.ko", Type: tar.TypeReg},
		{Path: "y.ko", Type: tar.TypeLink, Link: "a\xff\n/x.ko"},
		{Path: "z.ko", Type: tar.TypeSymlink, Link: "../../z"},
	}
}

func TestCache(t *testing.T) {
	t.Parallel()
	c := imagefs.Cache{Dir: filepath.Join(t.TempDir(), "new", "cache")}
	_, ok := c.Load(hashOf("a"), imagefs.Limits{})
	assert.False(t, ok)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { assert.NoError(t, c.Save(hashOf("a"), sampleEntries())) })
	}
	wg.Wait()
	got, ok := c.Load(hashOf("a"), imagefs.Limits{})
	require.True(t, ok)
	assert.Equal(t, sampleEntries(), got)
	_, ok = c.Load(hashOf("a"), imagefs.Limits{Entries: 3})
	assert.False(t, ok, "limits hold for the index too")
	left, err := os.ReadDir(c.Dir)
	require.NoError(t, err)
	assert.Len(t, left, 1, "no temporary file stays")
}

func TestCacheDamaged(t *testing.T) {
	t.Parallel()
	c := imagefs.Cache{Dir: t.TempDir()}
	require.NoError(t, c.Save(hashOf("a"), sampleEntries()))
	names, err := filepath.Glob(c.Dir + "/*")
	require.NoError(t, err)
	require.Len(t, names, 1)
	good, err := os.ReadFile(names[0])
	require.NoError(t, err)
	for i := range good {
		b := bytes.Clone(good)
		b[i] ^= 4
		require.NoError(t, os.WriteFile(names[0], b, 0o644))
		_, ok := c.Load(hashOf("a"), imagefs.Limits{})
		require.False(t, ok, "byte %d", i)
		require.NoError(t, os.WriteFile(names[0], good[:i], 0o644))
		_, ok = c.Load(hashOf("a"), imagefs.Limits{})
		require.False(t, ok, "cut at %d", i)
	}
	require.NoError(t, os.WriteFile(names[0], append(bytes.Clone(good), 0), 0o644))
	_, ok := c.Load(hashOf("a"), imagefs.Limits{})
	assert.False(t, ok, "trailing byte")
}

func TestCacheForeign(t *testing.T) {
	t.Parallel()
	c := imagefs.Cache{Dir: t.TempDir()}
	require.NoError(t, c.Save(hashOf("a"), sampleEntries()))
	a := filepath.Join(c.Dir, "sha256-"+hashOf("a").Hex+".index")
	b := filepath.Join(c.Dir, "sha256-"+hashOf("b").Hex+".index")
	require.NoError(t, os.Rename(a, b))
	_, ok := c.Load(hashOf("b"), imagefs.Limits{})
	assert.False(t, ok, "another layer's index")
	require.NoError(t, os.Mkdir(a, 0o755))
	_, ok = c.Load(hashOf("a"), imagefs.Limits{})
	assert.False(t, ok, "a folder")
	assert.Error(t, c.Save(hashOf("a"), nil))
}

func FuzzIndex(f *testing.F) {
	c := imagefs.Cache{Dir: f.TempDir()}
	require.NoError(f, c.Save(hashOf("a"), sampleEntries()))
	good, err := os.ReadFile(filepath.Join(c.Dir, "sha256-"+hashOf("a").Hex+".index"))
	require.NoError(f, err)
	f.Add(good, []byte{})
	f.Add([]byte{}, []byte("\x01"+"0\x04y.ko\x00"))
	f.Fuzz(func(_ *testing.T, file, entries []byte) {
		_, _ = imagefs.DecodeIndex(file, hashOf("a"), 1000) // must not panic
		_, _ = imagefs.DecodeEntries(string(entries), 1000)
	})
}

// FuzzFlatten reads a stack from lines "TYPE PATH LINK"; an empty line begins a layer.
func FuzzFlatten(f *testing.F) {
	f.Add("5 a/\n0 a/x.ko\n\n2 lib a\n0 lib/x.ko\n1 y.ko a/x.ko\n\n0 .wh.a\n0 a/.wh..wh..opq")
	f.Add("2 a.ko ../..\n2 b b/c\n0 b/x\n0 .wh..\n1 c.ko c.ko\n0 .wh..wh.plnk")
	f.Fuzz(func(t *testing.T, text string) {
		layers := []imagefs.Layer{{}}
		for line := range strings.Lines(text) {
			w := strings.Fields(line)
			if len(w) < 2 {
				layers = append(layers, imagefs.Layer{})
				continue
			}
			var b bytes.Buffer
			h := &tar.Header{Typeflag: w[0][0], Name: w[1], Linkname: strings.Join(w[2:], " ")}
			if tar.NewWriter(&b).WriteHeader(h) != nil {
				return
			}
			es, err := imagefs.Scan(context.Background(), &b, imagefs.Limits{}, nil, nil)
			if err != nil {
				return
			}
			top := &layers[len(layers)-1]
			top.Entries = append(top.Entries, es...)
		}
		tree, err := imagefs.Flatten(layers)
		if err != nil {
			return
		}
		files, err := tree.Files(isKo)
		if err != nil {
			return
		}
		for _, f := range files {
			require.Equal(t, byte(tar.TypeReg), f.Entry.Type)
			require.True(t, filepath.IsLocal(f.Path))
		}
		_, err = tree.Dangling(isKo)
		require.NoError(t, err)
		_ = tree.Shadowed(isKo)
	})
}
