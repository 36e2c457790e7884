package kernels

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	signing = "a\n" +
		"static int mod_is_hash_blacklisted(void)\n{\n\treturn 1;\n}\n" +
		"int verify(void)\n{\n\tsize_t modlen, wholelen;\n\twholelen = 5;\n\tret = first();\n" +
		"\tif (ret == -ENOKEY && IS_ENABLED(CONFIG_INTEGRITY_PLATFORM_KEYRING)) {\n\t\tret = second();\n\t}\n" +
		"\tif (!ret)\n\t\tret = mod_is_hash_blacklisted();\n\n\treturn ret;\n}\n"
	upstream = "a\nint verify(void)\n{\n\tsize_t modlen;\n\tret = first();\n\treturn ret;\n}\n"
	machine  = "static bool trust_moklist(void)\n{\n\treturn true;\n}\n"
)

func sources(t *testing.T, signing, machine string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"kernel/module/signing.c": signing, "security/integrity/platform_certs/machine_keyring.c": machine} {
		file := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
	}
	return dir
}

func TestArrange(t *testing.T) {
	t.Parallel()
	dir := sources(t, signing, machine)
	file := filepath.Join(dir, "kernel/module/signing.c")
	read := func() string {
		b, err := os.ReadFile(file)
		require.NoError(t, err)
		return string(b)
	}
	require.NoError(t, arrange(dir, true))
	assert.Equal(t, upstream, read())
	old := time.Unix(1000, 0)
	require.NoError(t, os.Chtimes(file, old, old))
	require.NoError(t, arrange(dir, true))
	info, err := os.Stat(file)
	require.NoError(t, err)
	assert.True(t, info.ModTime().Equal(old), "make would build it again")
	require.NoError(t, arrange(dir, false))
	assert.Equal(t, signing, read())
}

// A source that is not as expected must not pass as upstream's.
func TestArrangeRefuses(t *testing.T) {
	t.Parallel()
	for name, s := range map[string][2]string{
		"no second try":  {"static int mod_is_hash_blacklisted\n}\n", machine},
		"no block list":  {"\tif (ret == -ENOKEY && IS_ENABLED(CONFIG_INTEGRITY_PLATFORM_KEYRING))\n\treturn ret;\n", machine},
		"trust as shim":  {signing, "static bool trust_moklist(void)\n{\n\treturn asked();\n}\n"},
		"already edited": {upstream, machine},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Error(t, arrange(sources(t, s[0], s[1]), true))
		})
	}
	require.Error(t, arrange(t.TempDir(), true))
}
