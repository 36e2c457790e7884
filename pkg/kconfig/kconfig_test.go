package kconfig_test

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/kconfig"
)

const text = "# comment\nCONFIG_MODULE_SIG=y\n# CONFIG_MODULE_SIG_ALL is not set\nCONFIG_MODULE_SIG_HASH=\"sha512\"\r\nCONFIG_HZ=250\nother=1\n"

func TestRead(t *testing.T) {
	t.Parallel()
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, err := w.Write([]byte(text))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	for name, in := range map[string]string{"plain": text, "gzip": z.String()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := kconfig.Read(strings.NewReader(in))
			require.NoError(t, err)
			assert.Equal(t, kconfig.Config{"CONFIG_MODULE_SIG": "y", "CONFIG_MODULE_SIG_HASH": "sha512", "CONFIG_HZ": "250"}, c)
		})
	}
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]string{
		"empty": "", "something else": "hello\nX=1\n", "cut gzip": "\x1f\x8b\x08", "ELF": "\x7fELF\x02\x01",
		"too large": "CONFIG_A=y\n" + strings.Repeat("#\n", 9<<20),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "config")
			require.NoError(t, os.WriteFile(file, []byte(in), 0o600))
			_, err := kconfig.Load(file)
			assert.Equal(t, fault.Input, fault.ClassOf(err))
			assert.ErrorContains(t, err, file)
		})
	}
	_, err := kconfig.Load(filepath.Join(t.TempDir(), "none"))
	assert.Equal(t, fault.Input, fault.ClassOf(err))
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(text))
	f.Add([]byte("\x1f\x8b"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := kconfig.Read(bytes.NewReader(b))
		if err == nil {
			assert.NotEmpty(t, c)
		}
	})
}
