package atomicfile_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/atomicfile"
)

func TestWrite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	name := filepath.Join(dir, "f")
	for _, text := range []string{"one", "two"} {
		require.NoError(t, atomicfile.Write(name, []byte(text)))
		have, err := os.ReadFile(name)
		require.NoError(t, err)
		assert.Equal(t, text, string(have))
	}
	info, err := os.Stat(name)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o644), info.Mode())
	onlyIn(t, dir, "f")
}

func TestWriteRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "folder"), 0o755))
	for name, cause := range map[string]string{
		filepath.Join(dir, "none", "f"): "none/f: no such file or directory",
		filepath.Join(dir, "folder"):    "folder: ",
	} {
		err := atomicfile.Write(name, []byte("x"))
		require.ErrorContains(t, err, "write "+dir)
		require.ErrorContains(t, err, cause)
	}
	onlyIn(t, dir, "folder")
}

// onlyIn: no temporary file stays.
func onlyIn(t *testing.T, dir, name string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)
	assert.Equal(t, name, entries[0].Name())
}
