package verdict_test

import (
	"bytes"
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/e2e/secureboot/pki"
	"github.com/kmodseal/kmodseal/pkg/kmodtest"
	"github.com/kmodseal/kmodseal/pkg/modsig"
	"github.com/kmodseal/kmodseal/pkg/verdict"
)

func secureBootOff(c *verdict.Config) { c.SecureBoot = verdict.Off }

// TestOddFiles: files that get past the signature stage, or do not get to it.
func TestOddFiles(t *testing.T) {
	t.Parallel()
	good, stranger := pki.Make(pki.Spec{Name: "good", Key: "alpha"}), pki.Make(pki.Spec{Name: "stranger", Key: "delta"})
	body := kmodtest.Build(kmodtest.Spec{Name: "m", Release: rel, Undefined: []kmodtest.Symbol{layout}})
	sign := func(b []byte, by *pki.Cert) []byte { return modsig.Append(b, pki.Sign(b, by, "sha256")) }
	otherType := append(append([]byte("x"), 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0), modsig.Marker...) // id_type 1, no signature
	elf := func(line string) answer { return answer{verdict.NotModule, "ENOEXEC", line, "elf"} }
	empty := answer{verdict.NotModule, "EINVAL", "", "empty-file"}
	unsigned := answer{verdict.NotModule, "EKEYREJECTED", "Loading of unsigned module is rejected", "marker"}
	unknown := answer{verdict.UnavailableKey, "EKEYREJECTED", "Loading of module with unavailable key is rejected", "key-in-keyring"}
	for name, c := range map[string]struct {
		file           []byte
		enforced, open answer
	}{
		"empty":                     {nil, empty, empty},
		"one byte":                  {[]byte("x"), unsigned, elf("Invalid ELF header len 1")},
		"marker only":               {[]byte(modsig.Marker), unsigned, elf("Invalid ELF header len 28")},
		"long text":                 {bytes.Repeat([]byte("text "), 20), unsigned, elf("Invalid ELF header magic: != \x7fELF")},
		"nothing, signed":           {sign(nil, good), answer{verdict.Malformed, "EBADMSG", "", "trailer"}, answer{verdict.Malformed, "EBADMSG", "", "trailer"}},
		"five bytes, signed":        {sign([]byte("short"), good), elf("Invalid ELF header len 5"), elf("Invalid ELF header len 5")},
		"five bytes, of a stranger": {sign([]byte("short"), stranger), unknown, elf("Invalid ELF header len 5")},
		"cut, of a stranger":        {sign(body[:len(body)-1], stranger), unknown, elf("Invalid ELF section header overflow")},
		"other type: only the marker goes": {
			otherType,
			answer{verdict.UnsupportedCrypto, "EKEYREJECTED", "Loading of module with unsupported crypto is rejected", "trailer"},
			elf("Invalid ELF header len 13"),
		},
		"no header without signature": {body[:63], unsigned, elf("Invalid ELF header len 63")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := verdict.Module{Path: "m.ko", Stored: c.file}
			assert.Equal(t, c.enforced, answerOf(machine(t, nil, good).One(m)))
			assert.Equal(t, c.open, answerOf(machine(t, secureBootOff, good).One(m)))
		})
	}
}

// TestForced: what a module lacks passes with MODULE_FORCE_LOAD
// (try_to_force_load in kernel/module/main.c).
func TestForced(t *testing.T) {
	t.Parallel()
	good := pki.Make(pki.Spec{Name: "good", Key: "alpha"})
	noMagic := kmodtest.Build(kmodtest.Spec{Name: "m", Release: rel, Undefined: []kmodtest.Symbol{layout}})
	noMagic[bytes.Index(noMagic, []byte("vermagic="))] = 'X'
	noVersions := kmodtest.Build(kmodtest.Spec{Name: "m", Vermagic: rel + " SMP mod_unload modversions "})
	bare := kmodtest.Build(kmodtest.Spec{Name: "m", Release: rel, Undefined: []kmodtest.Symbol{layout}, Exports: []kmodtest.Symbol{{Name: "given", GPL: true}}})
	full := kmodtest.Build(kmodtest.Spec{Name: "m", Release: rel, Undefined: []kmodtest.Symbol{layout}, Exports: []kmodtest.Symbol{{Name: "given", CRC: 1}, {Name: "other", CRC: 2, GPL: true}}})
	plainOnly := bytes.Replace(full, []byte("__kcrctab_gpl"), []byte("__xcrctab_gpl"), 1)
	set := func(value string) func(*verdict.Config) {
		return func(c *verdict.Config) {
			k := *c.Kernel
			k.Config = maps.Clone(k.Config)
			k.Config["MODULE_FORCE_LOAD"] = value
			c.Kernel = &k
		}
	}
	noConfig := func(c *verdict.Config) { k := *c.Kernel; k.Config = nil; c.Kernel = &k }
	upstream := func(c *verdict.Config) { noConfig(c); c.Profile = "upstream" }
	for name, c := range map[string]struct {
		body   []byte
		config func(*verdict.Config)
		state  verdict.State
		said   string
		doubt  bool
	}{
		"no vermagic, force":             {noMagic, set("y"), verdict.Loads, "m: bad vermagic: kernel tainted.", false},
		"no vermagic, no force":          {noMagic, set("n"), verdict.WrongKernel, "", false},
		"no vermagic, Debian":            {noMagic, noConfig, verdict.Loads, "m: bad vermagic: kernel tainted.", false},
		"no vermagic, nothing known":     {noMagic, upstream, verdict.WrongKernel, "", true},
		"no versions, force":             {noVersions, set("y"), verdict.Loads, "m: module_layout: kernel tainted.", false},
		"no versions, no force":          {noVersions, set("n"), verdict.WrongKernel, "", false},
		"exports without versions":       {bare, set("n"), verdict.WrongKernel, "", false},
		"exports without, force":         {bare, set("y"), verdict.Loads, "m: no versions for exported symbols: kernel tainted.", false},
		"GPL exports without versions":   {plainOnly, set("n"), verdict.WrongKernel, "", false},
		"exports with versions":          {full, set("n"), verdict.Loads, "", false},
		"no versions, nothing is known":  {noVersions, upstream, verdict.WrongKernel, "", true},
		"no versions, force, other name": {bytes.Replace(noVersions, []byte("vermagic=6"), []byte("vermagic=9"), 1), set("y"), verdict.WrongKernel, "m: module_layout: kernel tainted.", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := machine(t, c.config, good).One(verdict.Module{Path: "m.ko", Stored: modsig.Append(c.body, pki.Sign(c.body, good, "sha256"))})
			assert.Equal(t, c.state, v.State, v.Reason)
			if c.state == verdict.Loads {
				assert.Empty(t, v.Errno)
			} else {
				assert.Equal(t, "ENOEXEC", v.Errno)
			}
			if c.said == "" {
				assert.Empty(t, v.Kmsg)
			} else {
				assert.Contains(t, v.Kmsg, c.said)
			}
			assert.Equal(t, c.doubt, strings.Contains(join(v.Unchecked), "MODULE_FORCE_LOAD"), v.Unchecked)
		})
	}
}

// TestRelocations: the arm64 loader knows no relocation through a global
// offset table (apply_relocate_add in arch/arm64/kernel/module.c).
func TestRelocations(t *testing.T) {
	t.Parallel()
	good := pki.Make(pki.Spec{Name: "good", Key: "alpha"})
	refused := func(line string) answer { return answer{verdict.NotModule, "ENOEXEC", line, "relocation"} }
	loads := answer{verdict.Loads, "", "", "key-in-keyring"}
	for name, c := range map[string]struct {
		machine string
		types   []uint32
		want    answer
	}{
		"none":                             {"arm64", nil, loads},
		"all that are known":               {"arm64", []uint32{0, 256, 257, 275, 280, 282, 283, 293, 299}, loads},
		"page of an offset table":          {"arm64", []uint32{283, 311, 312}, refused("module m: unsupported RELA relocation: 311")},
		"hole in the numbers":              {"arm64", []uint32{281}, refused("module m: unsupported RELA relocation: 281")},
		"behind the numbers":               {"arm64", []uint32{294}, refused("module m: unsupported RELA relocation: 294")},
		"another machine is not looked at": {"amd64", []uint32{311}, loads},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := kmodtest.Build(kmodtest.Spec{Name: "m", Machine: c.machine, Release: rel, Relocations: c.types, Undefined: []kmodtest.Symbol{layout}})
			j := machine(t, func(v *verdict.Config) { v.Kernel.Machine = c.machine }, good)
			assert.Equal(t, c.want, answerOf(j.One(verdict.Module{Path: "m.ko", Stored: modsig.Append(body, pki.Sign(body, good, "sha256"))})))
		})
	}
}

// TestDoubtContent: what the kernel looks at in a module and nobody does here.
func TestDoubtContent(t *testing.T) {
	t.Parallel()
	good := pki.Make(pki.Spec{Name: "good", Key: "alpha"})
	plain := kmodtest.Build(kmodtest.Spec{Name: "m", Release: rel, Undefined: []kmodtest.Symbol{layout}})
	btf := bytes.Replace(plain, []byte("\x00.text\x00"), []byte("\x00.BTF\x00\x00"), 1)
	patch := kmodtest.Build(kmodtest.Spec{Name: "m", Release: rel, Undefined: []kmodtest.Symbol{layout}, Info: []string{"livepatch=Y"}})
	another := func(option string) func(*verdict.Config) {
		return func(c *verdict.Config) {
			c.Release = rel + "1"
			c.Kernel.Config = maps.Clone(c.Kernel.Config)
			c.Kernel.Config["DEBUG_INFO_BTF_MODULES"], c.Kernel.Config[option] = "y", "y"
		}
	}
	for name, c := range map[string]struct {
		body   []byte
		change func(*verdict.Config)
		want   string
	}{
		"BTF of the kernel":        {btf, func(*verdict.Config) {}, ""},
		"BTF of another":           {btf, another("X"), "BTF"},
		"BTF, and a lenient one":   {btf, another("MODULE_ALLOW_BTF_MISMATCH"), ""},
		"another, but without BTF": {plain, another("X"), ""},
		"live patch":               {patch, func(*verdict.Config) {}, "live patches"},
	} {
		v := machine(t, c.change, good).One(verdict.Module{Path: "m.ko", Stored: modsig.Append(c.body, pki.Sign(c.body, good, "sha256"))})
		assert.Equal(t, verdict.Loads, v.State, "%s: %s", name, v.Reason)
		if c.want == "" {
			assert.Empty(t, v.Unchecked, name)
		} else {
			assert.Contains(t, join(v.Unchecked), c.want, name)
		}
	}
}

// TestMachineOfTheImage: where nothing of the target tells the architecture, the
// platform of the module's image does.
func TestMachineOfTheImage(t *testing.T) {
	t.Parallel()
	j, err := verdict.New(verdict.Config{SecureBoot: verdict.Off})
	require.NoError(t, err)
	named, err := verdict.New(verdict.Config{SecureBoot: verdict.Off, Release: "6.1.0-56-arm64"})
	require.NoError(t, err)
	arm := kmodtest.Build(kmodtest.Spec{Name: "m", Release: "6.1.0-56-arm64", Machine: "arm64"})
	for platform, want := range map[string]verdict.State{
		"linux/arm64": verdict.Loads, "linux/arm64/v8": verdict.Loads, "": verdict.Loads, "linux/unknown": verdict.Loads,
		"linux/amd64": verdict.WrongKernel, "linux/ppc64le": verdict.WrongKernel,
	} {
		v := j.One(verdict.Module{Path: "m.ko", Platform: platform, Stored: arm})
		assert.Equal(t, want, v.State, platform)
		if want == verdict.WrongKernel {
			assert.Contains(t, v.Reason, "the module is for arm64, the image for "+platform[len("linux/"):])
			assert.Contains(t, v.Hint, "platform of its modules")
		}
		assert.Equal(t, verdict.Loads, named.One(verdict.Module{Path: "m.ko", Platform: platform, Stored: arm}).State, "the target is named")
	}
}
