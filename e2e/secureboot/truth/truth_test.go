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

func TestDifferences(t *testing.T) {
	t.Parallel()
	row := func(scenario, name, result string, lines ...string) Row {
		return Row{scenario, "g", name, "finit", result, lines}
	}
	old := &Table{Rows: []Row{
		row("mok", "a", "OK"), row("mok", "b", "EPERM", "one", "Lockdown: x"), row("mok", "gone", "OK"), row("ca", "a", "OK"),
		row("mok", "hash", "EPERM", "Module hash 01 is blacklisted"),
	}}
	assert.Empty(t, old.Differences(old))
	assert.Empty(t, old.Differences(&Table{Rows: []Row{
		row("mok", "b", "EPERM", "one"), row("mok", "a", "OK"), row("mok", "gone", "OK"), row("mok", "hash", "EPERM", "Module hash 02 is blacklisted"),
	}}), "order, lockdown's line, a hash and other scenarios do not count")
	assert.Len(t, old.Differences(&Table{Rows: []Row{
		row("mok", "a", "EPERM"), row("mok", "b", "EPERM", "two"), row("mok", "new", "OK"), row("mok", "hash", "EPERM", "Module hash 02 is blacklisted"),
	}}), 4, "result, line, a new case and one that is gone")
}
