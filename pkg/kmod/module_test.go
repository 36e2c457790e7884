package kmod_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/kmod"
	"github.com/kmodseal/kmodseal/pkg/kmodtest"
	"github.com/kmodseal/kmodseal/pkg/modsig"
	"github.com/kmodseal/kmodseal/pkg/oracle"
)

func spec(machine string) kmodtest.Spec {
	return kmodtest.Spec{
		Name: "own", Release: "6.1.0-9-x", Machine: machine, Depends: []string{"first", "second"}, Pad: 1000,
		ImportNS: []string{"DRIVERS", "MORE"}, Info: []string{"alias=one", "alias=two", "parm=a:b=c"},
		Undefined: []kmodtest.Symbol{{Name: "printk", CRC: 0x92997ed8}, {Name: "maybe", CRC: 5, Weak: true}, {Name: "bare"}},
		Exports:   []kmodtest.Symbol{{Name: "own_call", CRC: 0x11223344, Namespace: "OWN", GPL: true}, {Name: "a_call"}},
	}
}

func TestParseEveryMachine(t *testing.T) {
	t.Parallel()
	modinfo := oracle.Path(t, "modinfo")
	for _, machine := range kmodtest.Machines() {
		t.Run(machine, func(t *testing.T) {
			t.Parallel()
			plain := kmodtest.Build(spec(machine))
			m, err := kmod.Parse(plain)
			require.NoError(t, err)
			assert.Equal(t, machine, m.Machine)
			assert.Equal(t, "own", m.Name)
			assert.Equal(t, []string{"first", "second"}, m.Depends)
			assert.Equal(t, []string{"DRIVERS", "MORE"}, m.Namespaces)

			file := filepath.Join(t.TempDir(), "own.ko")
			require.NoError(t, os.WriteFile(file, plain, 0o644))
			for key, values := range m.Info {
				out, err := exec.Command(modinfo, "-F", key, file).Output()
				require.NoError(t, err)
				assert.Equal(t, strings.Join(values, "\n")+"\n", string(out), key)
			}
		})
	}
}

func TestParseSymbols(t *testing.T) {
	t.Parallel()
	undefined := []kmod.Symbol{
		{Name: "bare"}, {Name: "maybe", CRC: 5, HasCRC: true, Weak: true}, {Name: "printk", CRC: 0x92997ed8, HasCRC: true},
	}
	exports := []kmod.Symbol{{Name: "a_call"}, {Name: "own_call", CRC: 0x11223344, HasCRC: true, Namespace: "OWN", GPL: true}}
	for _, machine := range kmodtest.Machines() {
		for name, change := range map[string]func(*kmodtest.Spec){
			"sections": func(*kmodtest.Spec) {},
			"absolute": func(s *kmodtest.Spec) { s.AbsoluteCRC = true },
			"flags":    func(s *kmodtest.Spec) { s.ExportFlags = true },
			"extended": func(s *kmodtest.Spec) { s.ExtVersions = true },
		} {
			s := spec(machine)
			change(&s)
			m, err := kmod.Parse(kmodtest.Build(s))
			require.NoError(t, err)
			assert.Equal(t, undefined, m.Undefined, "%s %s", machine, name)
			assert.Equal(t, exports, m.Exports, "%s %s", machine, name)
		}
	}
}

func TestParseStripped(t *testing.T) {
	t.Parallel()
	s := spec("arm64")
	s.Stripped = true
	m, err := kmod.Parse(kmodtest.Build(s))
	require.NoError(t, err)
	assert.Equal(t, []kmod.Symbol{{Name: "maybe", CRC: 5, HasCRC: true}, {Name: "printk", CRC: 0x92997ed8, HasCRC: true}}, m.Undefined)
	assert.Equal(t, []kmod.Symbol{{Name: "OWN"}, {Name: "a_call"}, {Name: "own_call"}}, m.Exports)
}

func TestParseLongVersionName(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("rust_name_", 20)
	m, err := kmod.Parse(kmodtest.Build(kmodtest.Spec{ExtVersions: true, Undefined: []kmodtest.Symbol{{Name: long, CRC: 7}}}))
	require.NoError(t, err)
	assert.Equal(t, []kmod.Symbol{{Name: long, CRC: 7, HasCRC: true}}, m.Undefined)
}

func TestParseLinkerSymbols(t *testing.T) {
	t.Parallel()
	s := kmodtest.Spec{Machine: "ppc64", Undefined: []kmodtest.Symbol{
		{Name: ".TOC."}, {Name: "_restgpr0_14"}, {Name: "_GLOBAL_OFFSET_TABLE_"}, {Name: ".printk", CRC: 3}, {Name: "module_layout", CRC: 9},
	}}
	m, err := kmod.Parse(kmodtest.Build(s))
	require.NoError(t, err)
	assert.Equal(t, []kmod.Symbol{{Name: "module_layout", CRC: 9, HasCRC: true}, {Name: "printk", CRC: 3, HasCRC: true}}, m.Undefined)
}

func TestParseSeesPastASignature(t *testing.T) {
	t.Parallel()
	m, err := kmod.Parse(append(kmodtest.Build(spec("amd64")), "junk~Module signature appended~\n"...))
	require.NoError(t, err)
	assert.Equal(t, "own", m.Name)
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	good := kmodtest.Build(spec("amd64"))
	patch := func(at int, b ...byte) []byte {
		p := bytes.Clone(good)
		copy(p[at:], b)
		return p
	}
	for name, plain := range map[string][]byte{
		"nothing":               nil,
		"text":                  []byte("hello"),
		"marker alone":          []byte("~Module signature appended~\n"),
		"magic alone":           []byte("\x7fELF"),
		"executable":            patch(16, 2),
		"shared object":         patch(16, 3),
		"no sections":           patch(60, 0, 0),
		"section names outside": patch(62, 0xff, 0xff),
		"section header size":   patch(58, 40, 0),
		"section table outside": patch(40, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f),
		"section table wraps":   patch(40, 0xf0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
		"compressed":            encode(t, good, kmod.XZ),
		"without modinfo":       bytes.ReplaceAll(good, []byte(".modinfo"), []byte(".madinfo")),
	} {
		_, err := kmod.Parse(plain)
		require.ErrorContains(t, err, "not a kernel module", name)
		assert.Equal(t, fault.Input, fault.ClassOf(err), name)
	}
	for n := range good {
		_, err := kmod.Parse(good[:n])
		require.Equal(t, fault.Input, fault.ClassOf(err), "cut to %d bytes: %v", n, err)
	}
}

func TestParseRefusesDebugFile(t *testing.T) {
	t.Parallel()
	debug := kmodtest.Build(spec("amd64"))
	// .modinfo is section 1; --only-keep-debug turns what is loaded into SHT_NOBITS
	at := binary.LittleEndian.Uint64(debug[40:]) + 64 + 4
	binary.LittleEndian.PutUint32(debug[at:], 8)
	_, err := kmod.Parse(debug)
	assert.ErrorContains(t, err, "no .modinfo section")
}

func FuzzParse(f *testing.F) {
	for _, m := range kmodtest.Machines() {
		f.Add(kmodtest.Build(spec(m)))
	}
	f.Fuzz(func(t *testing.T, plain []byte) {
		m, err := kmod.Parse(plain)
		if (m == nil) == (err == nil) {
			t.Fatal("either a module or an error")
		}
		if err != nil && fault.ClassOf(err) != fault.Input {
			t.Fatalf("class %d: %v", fault.ClassOf(err), err)
		}
	})
}

// TestFactsListsFewSignatures: a module can have millions, in a few kilobytes of a layer.
func TestFactsListsFewSignatures(t *testing.T) {
	t.Parallel()
	stored := append(kmodtest.Build(spec("amd64")), bytes.Repeat(modsig.Tail([]byte{0}), 1000)...)
	m, _, err := kmod.Facts(stored, 0)
	require.NoError(t, err)
	assert.Len(t, m.Signatures, 100)
}
