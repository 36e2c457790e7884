package extract_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/extract"
)

func TestCacheSkipsLayers(t *testing.T) {
	t.Parallel()
	base := newLayer(t, hdr{name: "usr/lib/"}, hdr{name: "lib", sym: "usr/lib"}, hdr{name: "opt/x.ko", body: ko("shadowed")})
	top := newLayer(t, hdr{name: "lib/a.ko", body: ko("a")}, hdr{name: "opt/.wh.x.ko"})
	dir := t.TempDir()
	o := extract.Options{Kmods: filepath.Join(dir, "kmods"), Cache: filepath.Join(dir, "cache")}
	run := func(wantBase, wantTop int32) map[string]string {
		t.Helper()
		base.reads.Store(0)
		top.reads.Store(0)
		_, err := extract.Run(context.Background(), single(t, base, top), o)
		require.NoError(t, err)
		assert.Equal(t, wantBase, base.reads.Load(), "base")
		assert.Equal(t, wantTop, top.reads.Load(), "top")
		return listing(t, o.Kmods)
	}
	first := run(1, 1)
	assert.Equal(t, first, run(0, 1), "a layer without a winner is not fetched, one with is always read")

	indexes, err := filepath.Glob(o.Cache + "/*.index")
	require.NoError(t, err)
	require.Len(t, indexes, 2)
	for _, f := range indexes {
		require.NoError(t, os.WriteFile(f, []byte("damaged"), 0o644))
	}
	assert.Equal(t, first, run(1, 1), "damaged indexes count as absent")
	assert.Equal(t, first, run(0, 1), "and are replaced")

	one, err := os.ReadFile(indexes[0])
	require.NoError(t, err)
	two, err := os.ReadFile(indexes[1])
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(indexes[0], two, 0o644))
	require.NoError(t, os.WriteFile(indexes[1], one, 0o644))
	assert.Equal(t, first, run(1, 1), "so do those of another layer")

	o.Include = []string{"lib/a.ko"}
	run(0, 1)
}

func TestCacheNotWritable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o644))
	warned := 0
	_, err := extract.Run(context.Background(), single(t, newLayer(t, hdr{name: "a.ko", body: ko("a")})), extract.Options{
		Kmods: filepath.Join(dir, "kmods"), Cache: file, Warn: func(string, ...any) { warned++ },
	})
	require.NoError(t, err, "a cache is a help, not a need")
	assert.Equal(t, 1, warned)
}
