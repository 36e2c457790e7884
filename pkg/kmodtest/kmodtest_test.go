package kmodtest_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/kmodtest"
	"github.com/kmodseal/kmodseal/pkg/oracle"
)

func spec(machine string) kmodtest.Spec {
	return kmodtest.Spec{
		Name: "own", Release: "6.1.0-9-x", Machine: machine, Depends: []string{"first", "second"}, Pad: 100,
		ImportNS: []string{"DRIVERS"}, Info: []string{"alias=own-alias"},
		Undefined: []kmodtest.Symbol{{Name: "printk", CRC: 0x92997ed8}, {Name: "maybe", CRC: 5, Weak: true}},
		Exports:   []kmodtest.Symbol{{Name: "own_call", CRC: 0x11223344, Namespace: "OWN"}},
	}
}

func TestBuildIsReproducible(t *testing.T) {
	t.Parallel()
	first := kmodtest.Build(spec("arm64"))
	assert.Equal(t, first, kmodtest.Build(spec("arm64")))
}

func TestModinfoReadsEveryMachine(t *testing.T) {
	t.Parallel()
	modinfo := oracle.Path(t, "modinfo")
	for _, m := range kmodtest.Machines() {
		t.Run(m, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "own.ko")
			require.NoError(t, os.WriteFile(file, kmodtest.Build(spec(m)), 0o644))
			for field, want := range map[string]string{
				"name": "own", "vermagic": "6.1.0-9-x SMP mod_unload modversions ", "depends": "first,second",
				"import_ns": "DRIVERS", "alias": "own-alias", "license": "GPL",
			} {
				out, err := exec.Command(modinfo, "-F", field, file).CombinedOutput()
				require.NoError(t, err, "%s", out)
				assert.Equal(t, want+"\n", string(out), field)
			}
		})
	}
}

func TestModprobeReadsSymbols(t *testing.T) {
	t.Parallel()
	modprobe := oracle.Path(t, "modprobe")
	for _, absolute := range []bool{false, true} {
		s := spec("amd64")
		s.AbsoluteCRC = absolute
		file := filepath.Join(t.TempDir(), "own.ko")
		require.NoError(t, os.WriteFile(file, kmodtest.Build(s), 0o644))
		for flag, want := range map[string]string{
			"--show-modversions": "0x92997ed8\tprintk\n0x00000005\tmaybe",
			"--show-exports":     "0x11223344\town_call",
		} {
			out, err := exec.Command(modprobe, flag, file).CombinedOutput()
			require.NoError(t, err, "%s", out)
			assert.Equal(t, want, strings.TrimSpace(string(out)), flag)
		}
	}
}
