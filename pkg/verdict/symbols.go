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

// resolve is resolve_symbol with what simplify_symbols makes of it.
func (g *judging) resolve(u kmod.Symbol, e Export, found bool) outcome {
	name := g.elf.Name
	if !found || e.GPL && !g.gplCompatible() {
		if u.Weak {
			return outcome{state: Loads}
		}
		why := fmt.Sprintf("it needs symbol %s, which neither the kernel nor a module beside it exports", u.Name)
		if found {
			why = fmt.Sprintf("it needs symbol %s, which is for modules under the GPL only", u.Name)
		}
		line := g.sayLine("%s: Unknown symbol %s (err -2)", name, u.Name)
		return outcome{MissingSymbol, eNOENT, line, ruleSymbol, why}
	}
	o := outcome{state: Loads}
	if e.CRC != 0 && !g.versionsOff() {
		o = g.checkCRC(u.Name, e.CRC, ruleSymbolCRC, MissingSymbol, eINVAL)
	}
	if o.state == Loads && e.Namespace != "" && !slices.Contains(g.elf.Namespaces, e.Namespace) {
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

func (g *judging) versionsOff() bool { return g.facts.Config != nil && !g.is("MODVERSIONS") }

// gplCompatible is license_is_gpl_compatible (include/linux/license.h).
func (g *judging) gplCompatible() bool {
	license := "unspecified"
	if l := g.elf.Info["license"]; len(l) > 0 {
		license = l[0]
	}
	return slices.Contains([]string{
		"GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL",
	}, strings.TrimSpace(license))
}
