package sign

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func newBatch(t *testing.T) (*batch, string) {
	t.Helper()
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	require.NoError(t, err)
	t.Cleanup(func() { root.Close() })
	for _, n := range []string{"a", "b", "c"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, n), []byte("old "+n), 0o644))
	}
	return &batch{root: root}, dir
}

func plainly(*os.File) error { return nil }

func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	all := map[string]string{}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		require.NoError(t, err)
		all[e.Name()] = string(b)
	}
	return all
}

func TestBatchCommits(t *testing.T) {
	t.Parallel()
	b, dir := newBatch(t)
	require.NoError(t, b.stage([]string{"a", "b"}, []byte("new"), plainly))
	require.NoError(t, b.commit())
	assert.Equal(t, map[string]string{"a": "new", "b": "new", "c": "old c"}, contents(t, dir))
}

func TestBatchRollsBack(t *testing.T) {
	t.Parallel()
	b, dir := newBatch(t)
	before := contents(t, dir)
	inode, err := os.Stat(filepath.Join(dir, "a"))
	require.NoError(t, err)
	for _, n := range []string{"a", "b", "c"} {
		require.NoError(t, b.stage([]string{n}, []byte("new "+n), plainly))
	}
	// The last file's new content vanishes: its rename fails when the others are done.
	require.NoError(t, os.Remove(filepath.Join(dir, fresh("c"))))
	require.ErrorIs(t, b.commit(), os.ErrNotExist)
	assert.Equal(t, before, contents(t, dir))
	after, err := os.Stat(filepath.Join(dir, "a"))
	require.NoError(t, err)
	assert.True(t, os.SameFile(inode, after), "the old file itself is back")
}

func TestBatchStageFails(t *testing.T) {
	t.Parallel()
	b, dir := newBatch(t)
	before := contents(t, dir)
	wrong := errors.New("wrong")
	require.ErrorIs(t, b.stage([]string{"a"}, []byte("new"), func(*os.File) error { return wrong }), wrong)
	assert.Equal(t, before, contents(t, dir))
	require.NoError(t, b.stage([]string{"a"}, []byte("new"), plainly))
	b.clean()
	assert.Equal(t, before, contents(t, dir))
}

func TestBatchSpareIsNeverLost(t *testing.T) {
	t.Parallel()
	b, dir := newBatch(t)
	require.NoError(t, os.Rename(filepath.Join(dir, "a"), filepath.Join(dir, spare("a"))))
	b.sweep("a")
	assert.Equal(t, "old a", contents(t, dir)[spare("a")])
}
