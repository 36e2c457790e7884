package verdict

import (
	"bytes"
	"debug/elf"
	"fmt"
	"slices"
	"strings"

	"github.com/kmodseal/kmodseal/pkg/kmod"
)

// undefined are the symbols that the kernel resolves, in the order of the
// symbol table, in which it reports them. Names that only the version table
// has are not resolved.
func (g *judging) undefined() []kmod.Symbol {
	f, err := elf.NewFile(bytes.NewReader(asRead(g.body, g.machine)))
	if err != nil {
		return g.elf.Undefined
	}
	table, err := f.Symbols()
	if err != nil {
		return nil
	}
	var out []kmod.Symbol
	for _, y := range table {
		if y.Section != elf.SHN_UNDEF {
			continue
		}
		i, ok := slices.BinarySearchFunc(g.elf.Undefined, y.Name, func(u kmod.Symbol, name string) int { return strings.Compare(u.Name, name) })
		if ok {
			out = append(out, g.elf.Undefined[i])
		}
	}
	return out
}

// resolve is resolve_symbol with what simplify_symbols makes of it. owner is
// the module that exports the symbol, nil where that is not known or the kernel.
func (g *judging) resolve(u kmod.Symbol, e Export, found bool, owner *judging) outcome {
	name := g.elf.Name
	refused := !found || e.GPL && g.proprietary
	g.usesGPL = g.usesGPL || !refused && e.GPL
	if refused || !g.inheritTaint(u.Name, owner) {
		if u.Weak {
			return fine()
		}
		why := fmt.Sprintf("it needs symbol %s, which neither the kernel nor a module beside it exports", u.Name)
		if found {
			why = fmt.Sprintf("it needs symbol %s, which is for modules under the GPL only, or it mixes such symbols with those of a proprietary module", u.Name)
		}
		line := g.sayLine("%s: Unknown symbol %s (err -2)", name, u.Name)
		return outcome{MissingSymbol, eNOENT, line, ruleSymbol, why}
	}
	o := fine()
	if e.CRC != 0 && !g.versionsOff() {
		o = g.checkCRC(u.Name, e.CRC, ruleSymbolCRC, MissingSymbol, eINVAL)
	}
	if o.state == Loads && !g.mayUse(e.Namespace) {
		line := g.sayLine("%s: module uses symbol (%s) from namespace %s, but does not import it.", name, u.Name, e.Namespace)
		if !g.is("MODULE_ALLOW_MISSING_NAMESPACE_IMPORTS") {
			o = outcome{MissingSymbol, eINVAL, line, ruleNamespace, fmt.Sprintf("it uses %s of namespace %s without MODULE_IMPORT_NS", u.Name, e.Namespace)}
		}
	}
	if o.state != Loads {
		o.errno = eINVAL
		g.say("%s: Unknown symbol %s (err -22)", name, u.Name)
	}
	return o
}

// mayUse is verify_namespace_is_imported: the module imports the symbol's
// namespace, or that names the module.
func (g *judging) mayUse(namespace string) bool {
	patterns, named := strings.CutPrefix(namespace, moduleNamespace)
	if named && g.namesModules() && namedBy(patterns, g.elf.Name) {
		return true
	}
	return namespace == "" || slices.Contains(g.elf.Namespaces, namespace)
}

// moduleNamespace begins a namespace that lists modules
// (EXPORT_SYMBOL_FOR_MODULES, include/linux/export.h).
const moduleNamespace = "module:"

// namesModules: the kernel knows such namespaces since 6.16.
func (g *judging) namesModules() bool { return !g.version.before(version{6, 16}) }

// namedBy is verify_module_namespace: patterns are module names separated by
// commas, with - for _ and perhaps a * at the end.
func namedBy(patterns, module string) bool {
	return slices.ContainsFunc(strings.Split(patterns, ","), func(p string) bool {
		prefix, glob := strings.CutSuffix(moduleName(p), "*")
		return moduleName(module) == prefix || glob && strings.HasPrefix(moduleName(module), prefix)
	})
}

func (g *judging) versionsOff() bool { return g.facts.Config != nil && !g.is("MODVERSIONS") }

// gplCompatible is license_is_gpl_compatible (include/linux/license.h).
func (g *judging) gplCompatible() bool {
	license := "unspecified"
	if l := g.elf.Info["license"]; len(l) > 0 {
		license = l[0]
	}
	return slices.Contains([]string{
		"GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL",
	}, license)
}

// inheritTaint is inherit_taint: who uses a proprietary module is proprietary,
// too, and may not have used symbols for GPL modules before.
func (g *judging) inheritTaint(symbol string, owner *judging) bool {
	if owner == nil || !owner.proprietary {
		return true
	}
	if g.usesGPL {
		g.say("%s: module using GPL-only symbols uses symbols %s from proprietary module %s.", g.elf.Name, symbol, owner.elf.Name)
		return false
	}
	if !g.proprietary {
		g.say("%s: module uses symbols %s from proprietary module %s, inheriting taint.", g.elf.Name, symbol, owner.elf.Name)
		g.proprietary = true
	}
	return true
}

// duplicates is verify_exported_symbols against what the kernel itself
// exports. Modules of a set need not be loaded together, so they may agree.
func (g *judging) duplicates() outcome {
	if g.facts.Symvers == nil {
		return fine()
	}
	for _, e := range g.elf.Exports {
		if k, ok := g.facts.Symvers.Symbols[e.Name]; ok && k.builtin() {
			line := g.sayLine("%s: exports duplicate symbol %s (owned by kernel)", g.elf.Name, e.Name)
			return outcome{WrongKernel, eNOEXEC, line, ruleDuplicate, "it exports " + e.Name + ", which the kernel exports itself: it was built for a kernel without that"}
		}
	}
	return fine()
}
