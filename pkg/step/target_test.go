package step_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/step"
)

func TestFactsOfTheTarget(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	config, text := filepath.Join(dir, "config"), filepath.Join(dir, "text")
	require.NoError(t, os.WriteFile(config, []byte("CONFIG_MODULE_SIG_HASH=\"sha512\"\n"), 0o600))
	require.NoError(t, os.WriteFile(text, []byte("hello\n"), 0o600))

	c, err := step.KernelConfig(config)
	require.NoError(t, err)
	assert.Equal(t, "sha512", c["MODULE_SIG_HASH"])
	c, err = step.KernelConfig("")
	require.NoError(t, err)
	assert.Nil(t, c)
	for _, file := range []string{text, dir, filepath.Join(dir, "none")} {
		_, err = step.KernelConfig(file)
		assert.Equal(t, fault.Input, fault.ClassOf(err))
		require.ErrorContains(t, err, file)
		_, err = step.Symvers(file)
		assert.Equal(t, fault.Input, fault.ClassOf(err))
		require.ErrorContains(t, err, file)
	}
}

func TestTrustRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".hidden"), []byte("x"), 0o600))
	for name, path := range map[string]string{"empty folder": dir, "no file": filepath.Join(dir, "none"), "no certificate": filepath.Join(dir, ".hidden")} {
		_, err := step.Trust([]string{path})
		assert.Equal(t, fault.Key, fault.ClassOf(err), name)
	}
	_, err := step.Trust(nil)
	assert.Equal(t, fault.Key, fault.ClassOf(err))
}
