package kmod_test

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/kmod"
	"github.com/kmodseal/kmodseal/pkg/oracle"
)

// TestRealModules compares with kmod on every module below $KMODSEAL_MODULES,
// such as an unpacked linux-image package.
func TestRealModules(t *testing.T) {
	t.Parallel()
	dir := os.Getenv("KMODSEAL_MODULES")
	if dir == "" {
		t.Skip("KMODSEAL_MODULES names no folder of modules")
	}
	modinfo, modprobe := oracle.Path(t, "modinfo"), oracle.Path(t, "modprobe")
	tool := func(name string, args ...string) string {
		out, err := exec.Command(name, args...).CombinedOutput()
		if err != nil && strings.Contains(string(out), "FATAL: could not get") { // it has none
			return ""
		}
		require.NoError(t, err, "%s", out)
		return string(out)
	}
	n := 0
	require.NoError(t, filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !kmod.IsName(d.Name()) {
			return err
		}
		stored, err := os.ReadFile(p)
		require.NoError(t, err)
		plain, c, err := kmod.Decode(stored, 0)
		require.NoError(t, err, p)
		require.NoError(t, kmod.CheckInKernel(stored, c), p)
		m, err := kmod.Parse(plain)
		require.NoError(t, err, p)
		fields := fmt.Sprintf("%q", strings.Split(tool(modinfo, "-0", p), "\x00"))
		for _, want := range []string{"name=" + m.Name, "vermagic=" + m.Vermagic, "depends=" + strings.Join(m.Depends, ",")} {
			require.Contains(t, fields, fmt.Sprintf("%q", want), p)
		}
		for _, ns := range m.Namespaces {
			require.Contains(t, fields, fmt.Sprintf("%q", "import_ns="+ns), p)
		}
		assert.Equal(t, lines(tool(modprobe, "--show-modversions", p)), printed(m.Undefined), p)
		assert.Equal(t, lines(tool(modprobe, "--show-exports", p)), printed(m.Exports), p)
		n++
		return nil
	}))
	t.Logf("%d modules", n)
	assert.Positive(t, n)
}

func lines(s string) []string {
	l := strings.FieldsFunc(s, func(r rune) bool { return r == '\n' })
	sort.Strings(l)
	return l
}

// printed is what modprobe prints of symbols with CRC.
func printed(symbols []kmod.Symbol) []string {
	l := []string{}
	for _, s := range symbols {
		if s.HasCRC {
			l = append(l, fmt.Sprintf("0x%08x\t%s", s.CRC, s.Name))
		}
	}
	sort.Strings(l)
	return l
}
