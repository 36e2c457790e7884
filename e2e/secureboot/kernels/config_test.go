package kernels

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestConfigs(t *testing.T) {
	t.Parallel()
	all, err := Configs(nil)
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, c := range all {
		assert.False(t, seen[c.Name], "%s twice", c.Name)
		seen[c.Name] = true
		assert.NotEmpty(t, c.Scenarios, c.Name)
		assert.LessOrEqual(t, len("6.12.117"+c.suffix()), 64, "%s: too long for uname", c.Name)
		if c.Upstream {
			assert.Contains(t, c.Changes, "LOCK_DOWN_IN_EFI_SECURE_BOOT=n", "%s: that is Debian's, too", c.Name)
		}
	}
	some, err := Configs([]string{"upstream-base", "debian-zstd"})
	require.NoError(t, err)
	require.Len(t, some, 2)
	assert.True(t, some[0].Upstream)
	assert.Equal(t, "debian-zstd", some[1].Name)
	_, err = Configs([]string{"debian-zstd", "nothing"})
	require.ErrorContains(t, err, "no kernel configuration nothing")
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"three fields": "a | debian | mok\n",
		"no source":    "a | | mok |\n",
		"other source": "a | fedora | mok |\n",
		"empty line":   "\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := parse(text)
			require.Error(t, err)
		})
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	c := Config{Name: "x", Changes: []string{"MODULE_SIG_FORCE=y", "CRYPTO_ECDSA=n"}}
	granted := c.wishes() // what was asked for, with the base's own CRYPTO_ECDSA=y before
	assert.Equal(t, []string(nil), c.refused(granted))
	assert.Contains(t, c.refused(""), "CONFIG_MODULE_SIG_FORCE=y")
	assert.NotContains(t, c.refused(""), "CONFIG_CRYPTO_ECDSA=n", "absent is off")
	assert.Equal(t, []string{"CONFIG_CRYPTO_ECDSA=n"}, c.refused(granted+"CONFIG_CRYPTO_ECDSA=y\n"))
	assert.Equal(t, []string{"CONFIG_MODULE_SIG_FORCE=y"}, c.refused(granted+"CONFIG_MODULE_SIG_FORCE=m\n"))
}
