package sign_test

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/kmod"
	"github.com/kmodseal/kmodseal/pkg/modsig"
	"github.com/kmodseal/kmodseal/pkg/oracle"
)

// TestFilesOnRealModules signs a copy of every module below $KMODSEAL_MODULES,
// such as an unpacked linux-image package, and compares with what sign-file
// makes of the same module stripped of its signature.
func TestFilesOnRealModules(t *testing.T) {
	t.Parallel()
	source := os.Getenv("KMODSEAL_MODULES")
	if source == "" {
		t.Skip("KMODSEAL_MODULES names no folder of modules")
	}
	dir := t.TempDir()
	var names []string
	require.NoError(t, filepath.WalkDir(source, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !kmod.IsName(d.Name()) {
			return err
		}
		rel, err := filepath.Rel(source, p)
		require.NoError(t, err)
		write(t, filepath.Join(dir, rel), content(t, p))
		names = append(names, rel)
		return nil
	}))
	require.NoError(t, files(dir))

	tool := oracle.SignFile(t)
	key, cert := pemFiles(t, rsa2048())
	theirs := filepath.Join(t.TempDir(), "m.ko")
	for _, n := range names {
		plain, _, err := kmod.Decode(content(t, filepath.Join(source, n)), 0)
		require.NoError(t, err, n)
		body, _ := modsig.Strip(plain)
		write(t, theirs, body)
		out, err := exec.Command(tool, "sha256", key, cert, theirs).CombinedOutput()
		require.NoError(t, err, "%s", out)
		ours, c, err := kmod.Decode(content(t, filepath.Join(dir, n)), 0)
		require.NoError(t, err, n)
		require.NoError(t, kmod.CheckInKernel(content(t, filepath.Join(dir, n)), c), n)
		assert.True(t, bytes.Equal(content(t, theirs), ours), n)
	}
	t.Logf("%d modules", len(names))
	assert.NotEmpty(t, names)
}
