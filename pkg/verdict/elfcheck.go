package verdict

import (
	"bytes"
	"debug/elf"
	"fmt"

	"github.com/kmodseal/kmodseal/pkg/kmod"
)

// The checks of kernel/module/main.c on the ELF file, in its order: up to 6.3
// elf_validity_check and setup_load_info (read in 6.1.192), then
// elf_validity_cache_copy (read in 6.12.117), since 6.14 with the symbol names
// and the extended versions (read in 7.3.4).

// checkELF goes through them.
func (g *judging) checkELF() outcome {
	checks := []func() outcome{g.elfHeader, g.checkMachine, g.sectionTable}
	if g.rules.moduleSize {
		checks = append(checks, g.sectionZero, g.sectionBounds, g.sectionNames, g.allNames, g.modinfoSection, g.moduleSection, g.symbolTable)
		if g.rules.symbolNames {
			checks = append(checks, g.extendedVersions, g.symbolNames)
		}
	} else {
		checks = append(checks, g.sectionNames, g.sectionZero, g.earlierSections, g.earlierIndexes)
	}
	for _, check := range checks {
		if o := check(); o.state != Loads {
			return o
		}
	}
	return fine()
}

// broken refuses the file with a line of the kernel.
func (g *judging) broken(format string, args ...any) outcome {
	g.say(format, args...)
	line := g.lastLine(0)
	return outcome{NotModule, eNOEXEC, line, ruleELF, "the ELF file is damaged, or none: the kernel finds " + fmt.Sprintf("%q", line)}
}

func fine() outcome { return outcome{state: Loads} }

func (g *judging) elfHeader() outcome {
	var ok bool
	if g.image.header, ok = g.image.Header(g.image.data); !ok {
		o := g.broken("Invalid ELF header len %d", len(g.image.data))
		o.why = fmt.Sprintf("not an ELF file: %d bytes are less than an ELF header", len(g.image.data))
		return o
	}
	if !bytes.HasPrefix(g.image.data, []byte(elf.ELFMAG)) {
		o := g.broken("Invalid ELF header magic: != \x7fELF")
		o.why = "not an ELF file"
		return o
	}
	if t := elf.Type(g.image.header.Type); t != elf.ET_REL {
		o := g.broken("Invalid ELF header type: %d != 1", uint16(t))
		o.why = "an ELF file, but not a relocatable one: a program or a library"
		return o
	}
	return fine()
}

// checkMachine is elf_check_arch.
func (g *judging) checkMachine() outcome {
	want, layout, ok := kmod.MachineOf(g.machine)
	if !ok {
		g.note("the architecture: none is known of the target")
		return fine()
	}
	h := g.image.header
	if elf.Machine(h.Machine) == want && (blindToClass(want) || kmod.LayoutOf(g.image.data).Is64 == layout.Is64) {
		return fine()
	}
	line := g.sayLine("Invalid architecture in ELF header: %d", h.Machine)
	own := elf.Machine(h.Machine).String()
	if g.elf != nil {
		own = g.elf.Machine
	}
	who := "kernel"
	if g.byImage {
		who = "image"
	}
	return outcome{WrongKernel, eNOEXEC, line, ruleArch, fmt.Sprintf("the module is for %s, the %s for %s", own, who, g.machine)}
}

func (g *judging) sectionTable() outcome {
	im := &g.image
	size, have := im.SectionSize(), uint64(len(im.data))
	if int(im.header.Shentsize) != size {
		return g.broken("Invalid ELF section header size")
	}
	if im.header.Shoff >= have || uint64(im.header.Shnum)*uint64(size) > have-im.header.Shoff {
		return g.broken("Invalid ELF section header overflow")
	}
	im.sections = make([]elf.Section64, im.header.Shnum)
	for i := range im.sections {
		im.sections[i], _ = im.Section(im.data[im.header.Shoff+uint64(i*size):])
	}
	return fine()
}

func (g *judging) sectionZero() outcome {
	zero := elf.Section64{}
	if len(g.image.sections) > 0 {
		zero = g.image.sections[0]
	}
	if zero.Type != uint32(elf.SHT_NULL) || zero.Size != 0 || zero.Addr != 0 {
		return g.broken("ELF Spec violation: section 0 type(%d)!=SH_NULL or non-zero len or addr", int32(zero.Type)) //nolint:gosec // as the kernel prints it
	}
	return fine()
}

func (g *judging) sectionBounds() outcome {
	for i, s := range g.image.sections {
		if o := g.sectionInside(i, s); o.state != Loads {
			return o
		}
	}
	return fine()
}

func (g *judging) sectionInside(i int, s elf.Section64) outcome {
	t := elf.SectionType(s.Type)
	if i > 0 && t != elf.SHT_NULL && t != elf.SHT_NOBITS && !g.image.inside(s) {
		return g.broken("Invalid ELF section in module (section %d type %d)", i, s.Type)
	}
	return fine()
}

// sectionNames looks at the section name table.
func (g *judging) sectionNames() outcome {
	im := &g.image
	at, n := im.header.Shstrndx, im.header.Shnum
	if at == 0 || at >= n {
		return g.broken("Invalid ELF section name index: %d || e_shstrndx (%d) >= e_shnum (%d)", at, at, n)
	}
	s := im.sections[at]
	if g.rules.moduleSize && s.Type != uint32(elf.SHT_STRTAB) {
		return g.broken("Invalid ELF section name table type: %d", s.Type)
	}
	if !im.inside(s) {
		return g.broken("Invalid ELF section hdr(type %d)", s.Type)
	}
	im.names = im.data[s.Off : s.Off+s.Size]
	if len(im.names) == 0 {
		return g.broken("empty section name table")
	}
	if im.names[len(im.names)-1] != 0 {
		return g.broken("ELF Spec violation: section name table isn't null terminated")
	}
	return fine()
}

func (g *judging) allNames() outcome {
	for i, s := range g.image.sections {
		if s.Type != uint32(elf.SHT_NULL) && uint64(s.Name) >= uint64(len(g.image.names)) {
			return g.broken("Invalid ELF section name in module (section %d type %d)", i, s.Type)
		}
	}
	return fine()
}

func (g *judging) modinfoSection() outcome {
	found := g.image.named(".modinfo", false)
	if len(found) > 1 {
		return g.broken("Only one .modinfo section must exist.")
	}
	g.readName(found)
	return fine()
}

func (g *judging) readName(found []elf.Section64) {
	if len(found) == 0 {
		return
	}
	if name, ok := g.image.info(found[0], "name"); ok {
		g.image.name = name
	}
}

// moduleSection looks at struct module, which modules carry with them.
func (g *judging) moduleSection() outcome {
	im := &g.image
	found := im.named(".gnu.linkonce.this_module", false)
	if len(found) != 1 {
		return g.broken("module %s: Exactly one .gnu.linkonce.this_module section must exist.", im.name)
	}
	s := found[0]
	if s.Type == uint32(elf.SHT_NOBITS) {
		return g.broken("module %s: .gnu.linkonce.this_module section must have a size set", im.name)
	}
	if elf.SectionFlag(s.Flags)&elf.SHF_ALLOC == 0 {
		return g.broken("module %s: .gnu.linkonce.this_module must occupy memory during process execution", im.name)
	}
	if g.facts.ModuleSize == 0 || s.Size == uint64(g.facts.ModuleSize) { //nolint:gosec // a size
		return fine()
	}
	line := g.sayLine("module %s: .gnu.linkonce.this_module section size must match the kernel's built struct module size at run time", im.name)
	return outcome{WrongKernel, eNOEXEC, line, ruleModuleSize, fmt.Sprintf("struct module has %d bytes in the module and %d in the kernel: it was built for another kernel or configuration", s.Size, g.facts.ModuleSize)}
}

// symbolTable wants one symbol table with one string table.
func (g *judging) symbolTable() outcome {
	im := &g.image
	tables := im.ofType(elf.SHT_SYMTAB)
	if len(tables) != 1 {
		return g.broken("%s: module has no symbols (stripped?)", im.name)
	}
	link, n := im.sections[tables[0]].Link, im.header.Shnum
	if link == 0 || link >= uint32(n) {
		return g.badLink(link)
	}
	if t := im.sections[link].Type; t != uint32(elf.SHT_STRTAB) {
		return g.broken("Invalid ELF symbol string table type: %d", t)
	}
	return fine()
}

func (g *judging) badLink(link uint32) outcome {
	shown := int32(link) //nolint:gosec // as the kernel prints it
	return g.broken("Invalid ELF sh_link!=SHN_UNDEF(%d) or (sh_link(%d) >= hdr->e_shnum(%d)", shown, shown, g.image.header.Shnum)
}

// extendedVersions is elf_validity_cache_index_versions.
func (g *judging) extendedVersions() outcome {
	crcs, names := g.image.named("__version_ext_crcs", true), g.image.named("__version_ext_names", true)
	if (len(crcs) > 0) != (len(names) > 0) {
		return g.broken("extended version crc+name presence does not match")
	}
	if len(crcs) == 0 {
		return fine()
	}
	if bytes.Count(g.image.content(names[0]), []byte{0}) < len(g.image.content(crcs[0]))/4 {
		return g.broken("more extended version crcs than names")
	}
	return fine()
}

// symbolNames is elf_validity_cache_strtab.
func (g *judging) symbolNames() outcome {
	im := &g.image
	table := im.sections[im.ofType(elf.SHT_SYMTAB)[0]]
	names := im.content(im.sections[table.Link])
	switch {
	case len(names) == 0:
		return g.broken("empty symbol string table")
	case names[0] != 0:
		return g.broken("symbol string table missing leading NUL")
	case names[len(names)-1] != 0:
		return g.broken("symbol string table isn't NUL terminated")
	}
	size := elf.Sym32Size
	if im.Is64 {
		size = elf.Sym64Size
	}
	for rest := im.content(table); len(rest) >= size; rest = rest[size:] {
		if uint64(im.Order.Uint32(rest)) >= uint64(len(names)) {
			return g.broken("symbol name out of bounds in string table")
		}
	}
	return fine()
}

// earlierSections is the last loop of elf_validity_check.
func (g *judging) earlierSections() outcome {
	for i, s := range g.image.sections {
		t := elf.SectionType(s.Type)
		if i == 0 || t == elf.SHT_NULL || t == elf.SHT_NOBITS {
			continue
		}
		if t == elf.SHT_SYMTAB && (s.Link == 0 || s.Link >= uint32(g.image.header.Shnum)) {
			return g.badLink(s.Link)
		}
		if o := g.sectionInside(i, s); o.state != Loads {
			return o
		}
		if elf.SectionFlag(s.Flags)&elf.SHF_ALLOC != 0 && uint64(s.Name) >= uint64(len(g.image.names)) {
			return g.broken("Invalid ELF section name in module (section %d type %d)", i, s.Type)
		}
	}
	return fine()
}

// earlierIndexes is setup_load_info.
func (g *judging) earlierIndexes() outcome {
	g.readName(g.image.named(".modinfo", true))
	if len(g.image.ofType(elf.SHT_SYMTAB)) == 0 {
		return g.broken("%s: module has no symbols (stripped?)", g.image.name)
	}
	if len(g.image.named(".gnu.linkonce.this_module", true)) == 0 {
		return g.broken("%s: No module found in object", g.image.name)
	}
	return fine()
}
