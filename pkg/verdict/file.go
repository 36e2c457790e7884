package verdict

import (
	"bytes"
	"debug/elf"
	"fmt"
	"slices"
	"strings"

	"github.com/kmodseal/kmodseal/pkg/kmod"
)

// fileStage is what load_module checks once the signature is accepted, as far
// as the file and the target's release tell (kernel/module/main.c, version.c).
func (g *judging) fileStage() outcome {
	if g.elf == nil {
		o := g.notELF()
		o.why = g.elfErr.Error()
		return o
	}
	good := outcome{state: Loads}
	for _, check := range []func() outcome{g.checkMachine, g.checkSize, g.checkLayout, g.checkVermagic} {
		if o := check(); o.state != Loads {
			return o
		}
	}
	return good
}

func (g *judging) checkMachine() outcome {
	if g.machine == "" {
		g.note("the machine: no target architecture")
		return outcome{state: Loads}
	}
	if g.elf.Machine == g.machine {
		return outcome{state: Loads}
	}
	number := uint16(0)
	if len(g.body) >= 20 {
		number = uint16(g.body[18]) | uint16(g.body[19])<<8
		if g.body[elf.EI_DATA] == byte(elf.ELFDATA2MSB) {
			number = number<<8 | number>>8
		}
	}
	line := g.sayLine("Invalid architecture in ELF header: %d", number)
	return outcome{WrongKernel, eNOEXEC, line, ruleArch, fmt.Sprintf("the module is for %s, the kernel for %s", g.elf.Machine, g.machine)}
}

// checkSize compares struct module, which modules carry with them.
func (g *judging) checkSize() outcome {
	own := moduleSize(g.body)
	if !g.rules.moduleSize || g.facts.ModuleSize == 0 || own == 0 || own == g.facts.ModuleSize {
		return outcome{state: Loads}
	}
	line := g.sayLine("module %s: .gnu.linkonce.this_module section size must match the kernel's built struct module size at run time", g.elf.Name)
	return outcome{WrongKernel, eNOEXEC, line, ruleModuleSize, fmt.Sprintf("struct module has %d bytes in the module and %d in the kernel: it was built for another kernel or configuration", own, g.facts.ModuleSize)}
}

// moduleSize is the size of .gnu.linkonce.this_module, 0 without one.
func moduleSize(plain []byte) int {
	f, err := elf.NewFile(bytes.NewReader(plain))
	if err != nil {
		return 0
	}
	if s := f.Section(".gnu.linkonce.this_module"); s != nil {
		return int(s.Size) //nolint:gosec // bounded by the file
	}
	return 0
}

// checkLayout compares the CRC of module_layout (check_modstruct_version).
func (g *judging) checkLayout() outcome {
	if g.facts.Symvers == nil {
		return outcome{state: Loads}
	}
	kernels, ok := g.facts.Symvers.Symbols["module_layout"]
	if !ok || kernels.CRC == 0 {
		return outcome{state: Loads}
	}
	return g.checkCRC("module_layout", kernels.CRC, ruleLayout, WrongKernel, eNOEXEC)
}

// checkCRC is check_version.
func (g *judging) checkCRC(name string, crc uint32, rule string, state State, errno Errno) outcome {
	for _, s := range g.elf.Undefined {
		if s.Name != name || !s.HasCRC {
			continue
		}
		if s.CRC == crc {
			return outcome{state: Loads}
		}
		line := g.sayLine("%s: disagrees about version of symbol %s", g.elf.Name, name)
		return outcome{state, errno, line, rule, fmt.Sprintf("%s has CRC %#08x in the module and %#08x in the kernel: the module was built for another kernel", name, s.CRC, crc)}
	}
	if !g.hasVersions() {
		return g.noVersions(name)
	}
	line := g.sayLine("%s: no symbol version for %s", g.elf.Name, name)
	return outcome{state, errno, line, rule, "the module has no version for " + name}
}

// noVersions is try_to_force_load for a module without __versions.
func (g *judging) noVersions(name string) outcome {
	if g.facts.Config != nil && g.is("MODULE_FORCE_LOAD") {
		return outcome{state: Loads}
	}
	if g.facts.Config == nil {
		g.note("whether the kernel takes modules without symbol versions (MODULE_FORCE_LOAD): no kernel config")
	}
	return outcome{WrongKernel, eNOEXEC, "", ruleLayout, "the module has no symbol versions, which the kernel wants (" + name + ")"}
}

// checkVermagic is same_magic: with symbol versions in the module the release
// is not compared, only what follows it.
func (g *judging) checkVermagic() outcome {
	own, versions := g.elf.Vermagic, g.hasVersions()
	if g.facts.Vermagic != "" {
		a, b := own, g.facts.Vermagic
		if versions {
			_, a, _ = strings.Cut(a, " ")
			_, b, _ = strings.Cut(b, " ")
		}
		if strings.TrimRight(a, " ") != strings.TrimRight(b, " ") {
			return g.wrongMagic(g.facts.Vermagic)
		}
		if !versions || g.facts.Symvers != nil {
			return outcome{state: Loads}
		}
	}
	release, flags, _ := strings.Cut(own, " ")
	if g.release == "" {
		g.note("the release: no target kernel named")
		return outcome{state: Loads}
	}
	if release == g.release || versions && g.facts.Symvers != nil {
		return outcome{state: Loads}
	}
	if versions {
		g.note("the symbol versions: no Module.symvers; a kernel with MODVERSIONS goes by them and not by the release")
	}
	return g.wrongMagic(strings.TrimSpace(g.release + " " + flags))
}

func (g *judging) hasVersions() bool {
	return slices.ContainsFunc(g.elf.Undefined, func(s kmod.Symbol) bool { return s.HasCRC })
}

func (g *judging) wrongMagic(should string) outcome {
	line := g.sayLine("%s: version magic '%s' should be '%s'", g.elf.Name, g.elf.Vermagic, should)
	return outcome{WrongKernel, eNOEXEC, line, ruleVermagic, fmt.Sprintf("the module was built for %q, the kernel is %q", g.elf.Vermagic, should)}
}
