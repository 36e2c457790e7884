package verdict

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kmodseal/kmodseal/pkg/kmod"
)

// fileStage is what load_module checks once the signature is accepted, as far
// as the file and the target's release tell (kernel/module/main.c, version.c).
func (g *judging) fileStage() outcome {
	g.image = newImage(g.body, g.machine)
	if o := g.checkELF(); o.state != Loads {
		return o
	}
	if g.elf == nil { // stricter than the kernel; nothing is known of such a module
		return outcome{state: NotModule, errno: eNOEXEC, rule: ruleELF, why: g.elfErr.Error()}
	}
	for _, check := range []func() outcome{g.checkLayout, g.checkVermagic, g.exportVersions, g.checkImports} {
		if o := check(); o.state != Loads {
			return o
		}
	}
	g.doubtContent()
	return fine()
}

// checkLayout compares the CRC of module_layout (check_modstruct_version).
func (g *judging) checkLayout() outcome {
	if g.facts.Symvers == nil {
		return fine()
	}
	kernels, ok := g.facts.Symvers.Symbols["module_layout"]
	if !ok || kernels.CRC == 0 {
		return fine()
	}
	return g.checkCRC("module_layout", kernels.CRC, ruleLayout, WrongKernel, eNOEXEC)
}

// exportVersions is check_export_symbol_versions: who exports gives the CRCs
// of what it exports.
func (g *judging) exportVersions() outcome {
	if g.facts.Symvers == nil || g.facts.Symvers.Symbols["module_layout"].CRC == 0 || g.versionsOff() {
		return fine()
	}
	for _, kind := range []string{"", "_gpl"} {
		if g.image.filled("__ksymtab"+kind) && !g.image.filled("__kcrctab"+kind) {
			return g.forced("no versions for exported symbols", ruleExportCRC, "it exports symbols without their versions, which the kernel wants")
		}
	}
	return fine()
}

// checkImports is what setup_modinfo refuses since 6.16.
func (g *judging) checkImports() outcome {
	for _, ns := range g.elf.Namespaces {
		if strings.HasPrefix(ns, moduleNamespace) && g.namesModules() {
			line := g.sayLine("%s: module tries to import module namespace: %s", g.elf.Name, ns)
			return outcome{MissingSymbol, ePERM, line, ruleNamespace, "it imports " + ns + ", a namespace that only the kernel gives, by the module's name"}
		}
	}
	return fine()
}

// checkCRC is check_version.
func (g *judging) checkCRC(name string, crc uint32, rule string, state State, errno Errno) outcome {
	for _, s := range g.elf.Undefined {
		if s.Name != name || !s.HasCRC {
			continue
		}
		if s.CRC == crc {
			return fine()
		}
		line := g.sayLine("%s: disagrees about version of symbol %s", g.elf.Name, name)
		return outcome{state, errno, line, rule, fmt.Sprintf("%s has CRC %#08x in the module and %#08x in the kernel: the module was built for another kernel", name, s.CRC, crc)}
	}
	if !g.hasVersions() {
		return g.forced(name, ruleLayout, "the module has no symbol versions, which the kernel wants ("+name+")")
	}
	line := g.sayLine("%s: no symbol version for %s", g.elf.Name, name)
	return outcome{state, errno, line, rule, "the module has no version for " + name}
}

// forced is try_to_force_load: with MODULE_FORCE_LOAD a module passes that
// lacks what it should be compared by, and taints.
func (g *judging) forced(reason, rule, why string) outcome {
	if g.is("MODULE_FORCE_LOAD") {
		g.say("%s: %s: kernel tainted.", g.elf.Name, reason)
		return fine()
	}
	if g.facts.Config == nil {
		g.note("whether the kernel takes modules without vermagic or symbol versions (MODULE_FORCE_LOAD): no kernel config")
	}
	return outcome{WrongKernel, eNOEXEC, "", rule, why}
}

// checkVermagic is same_magic: with symbol versions in the module the release
// is not compared, only what follows it.
func (g *judging) checkVermagic() outcome {
	own, versions := g.elf.Vermagic, g.hasVersions()
	if len(g.elf.Info["vermagic"]) == 0 {
		return g.forced("bad vermagic", ruleVermagic, "the module has no vermagic, which the kernel wants")
	}
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
			return fine()
		}
	}
	release, flags, _ := strings.Cut(own, " ")
	if g.release == "" {
		g.note("the release: no target kernel named")
		return fine()
	}
	if release == g.release || versions && g.facts.Symvers != nil {
		return fine()
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
