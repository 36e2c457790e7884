// Package offline checks the judge against what booted kernels said, without a
// boot: the cases are made again around modules of the project's own ELF
// writer, signed with the same test keys.
package offline

import (
	"strings"

	"github.com/kmodseal/kmodseal/e2e/secureboot/cases"
	"github.com/kmodseal/kmodseal/e2e/secureboot/truth"
	"github.com/kmodseal/kmodseal/pkg/kmodtest"
)

// Machine is the kernel's architecture as GOARCH has it, which vermagic ends with but on x86.
func Machine(f truth.Facts) string {
	if strings.HasSuffix(strings.TrimSpace(f.Vermagic), "aarch64") {
		return "arm64"
	}
	return "amd64"
}

// Input are stand-ins for the probes, with the vermagic and the symbol
// versions that a table names.
func Input(f truth.Facts) cases.Input {
	kernel := func(names ...string) []kmodtest.Symbol {
		var out []kmodtest.Symbol
		for _, n := range append(names, "module_layout") {
			if crc := f.CRCs[n]; crc != 0 {
				out = append(out, kmodtest.Symbol{Name: n, CRC: crc})
			}
		}
		return out
	}
	build := func(s kmodtest.Spec) []byte {
		s.Vermagic, s.Machine, s.Pad = f.Vermagic, Machine(f), 2000
		s.Info = append(s.Info, "description=Secure Boot load probe")
		return kmodtest.Build(s)
	}
	crc := func(n uint32) uint32 {
		if len(f.CRCs) == 0 { // a kernel without symbol versions
			return 0
		}
		return n
	}
	plain := kmodtest.Symbol{Name: "sb_plain", CRC: crc(0x11111111)}
	gpl := kmodtest.Symbol{Name: "sb_gpl", CRC: crc(0x22222222), GPL: true}
	spaced := kmodtest.Symbol{Name: "sb_spaced", CRC: crc(0x33333333)}
	given := spaced
	given.Namespace, given.GPL = "SBSPACE", true
	in := cases.Input{
		Probes: map[string][]byte{
			"sbprobe":   build(kmodtest.Spec{Name: "sbprobe", Undefined: kernel("_printk")}),
			"sbgive":    build(kmodtest.Spec{Name: "sbgive", Undefined: kernel(), Exports: []kmodtest.Symbol{plain, gpl, given}}),
			"sbtake":    build(kmodtest.Spec{Name: "sbtake", Undefined: append(kernel(), plain, gpl), Depends: []string{"sbgive"}}),
			"sbspace":   build(kmodtest.Spec{Name: "sbspace", Undefined: append(kernel(), spaced), Depends: []string{"sbgive"}, ImportNS: []string{"SBSPACE"}}),
			"sbnowhere": build(kmodtest.Spec{Name: "sbnowhere", Undefined: append(kernel(), kmodtest.Symbol{Name: "sb_nowhere"})}),
			"sbweak":    build(kmodtest.Spec{Name: "sbweak", Undefined: append(kernel(), kmodtest.Symbol{Name: "sb_perhaps", Weak: true})}),
			"sbrefuse":  build(kmodtest.Spec{Name: "sbrefuse", Undefined: kernel()}),
		},
		Foreign: foreign(f),
	}
	if strings.HasPrefix(f.Vermagic, "7.") { // the probes of src7
		symbol := kmodtest.Symbol{Name: "sb_named"}
		named := symbol
		named.Namespace, named.GPL = "module:sbmay-be,sbpart*,sbother", true
		in.Probes["sbnames"] = build(kmodtest.Spec{Name: "sbnames", Undefined: kernel(), Exports: []kmodtest.Symbol{named}, ExportFlags: true})
		for name, space := range map[string][]string{"sbmay-be": nil, "sbpartly": nil, "sbother": {"Module:sbother"}} {
			in.Probes[name] = build(kmodtest.Spec{Name: strings.ReplaceAll(name, "-", "_"), Undefined: append(kernel(), symbol), Depends: []string{"sbnames"}, ImportNS: space})
		}
	}
	return in
}

// ModuleSize is that of struct module in the stand-ins, in bytes.
const ModuleSize = 128

// foreign is a module for a kernel with another struct module, and so with
// another CRC of module_layout where there are CRCs.
func foreign(f truth.Facts) []byte {
	s := kmodtest.Spec{Name: "sbprobe", Machine: Machine(f), Release: "5.10.0-other", Pad: 2000, ModuleSize: 2 * ModuleSize}
	s.Undefined = []kmodtest.Symbol{{Name: "module_layout", CRC: f.CRCs["module_layout"] ^ 1}}
	return kmodtest.Build(s)
}
