package modsig_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/kmod"
	"github.com/kmodseal/kmodseal/pkg/modsig"
)

// TestKernelPackage reads every module below $KMODSEAL_KERNEL_MODULES, an
// unpacked kernel package: each message made anew from what Parse found must
// be the one that is there, and the module signed by us the one that sign-file
// makes of it.
func TestKernelPackage(t *testing.T) {
	dir := os.Getenv("KMODSEAL_KERNEL_MODULES")
	if dir == "" {
		t.Skip("KMODSEAL_KERNEL_MODULES is not set")
	}
	sameAsSignFile := modsig.SignFileComparer(t)
	modules, signatures := 0, 0
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || !kmod.IsName(d.Name()) {
			return err
		}
		stored, err := os.ReadFile(path)
		require.NoError(t, err)
		plain, _, err := kmod.Decode(stored, 0)
		require.NoError(t, err, path)
		body, n := modsig.Strip(plain)
		modules++
		signatures += n
		if n > 0 {
			assertRebuilt(t, path, plain)
		}
		sameAsSignFile(t, path, body)
		return nil
	}))
	assert.Positive(t, modules, "no module below %s", dir)
	t.Logf("%d modules, %d signatures: no difference", modules, signatures)
}

func assertRebuilt(t *testing.T, path string, module []byte) {
	t.Helper()
	a, err := modsig.Split(module)
	require.NoError(t, err, path)
	require.NoError(t, a.Trailer.Check(), path)
	s, err := modsig.Parse(a.PKCS7)
	require.NoError(t, err, path)
	require.NoError(t, s.Signers[0].Supported(), path)
	der := modsig.Rebuild(t, s)
	require.True(t, bytes.Equal(a.PKCS7, der), path)
	require.True(t, bytes.Equal(module, modsig.Append(a.Body, der)), path)
}
