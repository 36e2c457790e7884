package truth

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	table := &Table{
		Kernel: "6.1.0-1-amd64", Packages: map[string]string{"shim-signed": "1"},
		Facts: Facts{Vermagic: "6.1.0-1-amd64 SMP ", CRCs: map[string]uint32{"_printk": 0x92997ed8}},
		Rows: []Row{
			{"mok", "keys", "a", "finit", "OK", nil},
			{"ca", "keys", "a", "finit", "EBADMSG", []string{"one", "two"}},
		},
	}
	var b bytes.Buffer
	require.NoError(t, table.Write(&b))
	got, err := Read(bytes.NewReader(b.Bytes()))
	require.NoError(t, err)
	assert.Equal(t, table, got)
	_, err = Read(strings.NewReader("a\tb\n"))
	assert.Error(t, err)
}

func TestConfig(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "CONFIG_MODULE_SIG=y\nCONFIG_CRYPTO_SHA512=m\n", Config("CONFIG_X=y\nCONFIG_MODULE_SIG=y\n# CONFIG_MODVERSIONS is not set\nCONFIG_CRYPTO_SHA512=m\n"))
}
