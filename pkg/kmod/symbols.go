package kmod

import (
	"debug/elf"
	"errors"
	"fmt"
	"sort"
	"strings"
)

// versionSize is struct modversion_info: an unsigned long with the CRC and a
// name, 64 bytes together (include/linux/module.h).
const versionSize = 64

type elfSymbol struct {
	name  string
	bind  elf.SymBind
	typ   elf.SymType
	shndx elf.SectionIndex
	value uint64
}

// readSymbols gives the undefined and the exported symbols.
func (f *elfFile) readSymbols() (undefined, exports []Symbol, err error) {
	table, err := f.symbolTable()
	if err != nil {
		return nil, nil, err
	}
	versions, err := f.versions()
	if err != nil {
		return nil, nil, err
	}
	return f.undefined(table, versions), f.exports(table), nil
}

// symbolTable reads the first SHT_SYMTAB; a module that was stripped to the
// bone has none.
func (f *elfFile) symbolTable() ([]elfSymbol, error) {
	for _, s := range f.sections {
		if s.typ != elf.SHT_SYMTAB {
			continue
		}
		if int64(s.link) >= int64(len(f.sections)) {
			return nil, errors.New("symbol table without string table")
		}
		names := newStrings(f.sections[s.link].data)
		size := elf.Sym32Size
		if f.Is64 {
			size = elf.Sym64Size
		}
		if len(s.data)/size > maxSymbols {
			return nil, fmt.Errorf("%d symbols", len(s.data)/size)
		}
		table := make([]elfSymbol, 0, len(s.data)/size)
		for at := size; at+size <= len(s.data); at += size { // the first is null
			y, name := f.symbol(s.data[at : at+size])
			var err error
			if y.name, err = names.at(uint64(name)); err != nil {
				return nil, fmt.Errorf("name of symbol %d: %w", at/size, err)
			}
			table = append(table, y)
		}
		return table, nil
	}
	return nil, nil
}

// symbol reads Elf32_Sym (name, value, size, info, other, shndx) or Elf64_Sym
// (name, info, other, shndx, value, size).
func (f *elfFile) symbol(b []byte) (y elfSymbol, name uint32) {
	info, shndx := b[12:13], b[14:16]
	y.value = uint64(f.Order.Uint32(b[4:]))
	if f.Is64 {
		info, shndx = b[4:5], b[6:8]
		y.value = f.Order.Uint64(b[8:])
	}
	y.bind, y.typ = elf.ST_BIND(info[0]), elf.ST_TYPE(info[0])
	y.shndx = elf.SectionIndex(f.Order.Uint16(shndx))
	return y, f.Order.Uint32(b)
}

// versions reads the CRCs of the symbols that the module was built against:
// __versions, and the tables for long names of Linux 6.14 on
// (__version_ext_crcs, __version_ext_names).
func (f *elfFile) versions() (map[string]uint32, error) {
	crcs := map[string]uint32{}
	table, _ := f.section("__versions")
	for ; len(table) >= versionSize; table = table[versionSize:] {
		crc, name := uint64(f.Order.Uint32(table)), table[4:versionSize]
		if f.Is64 {
			crc, name = f.Order.Uint64(table), table[8:versionSize]
		}
		n, _, _ := strings.Cut(string(name), "\x00")
		crcs[f.dedot(n)] = uint32(crc)
	}
	names, _ := f.section("__version_ext_names")
	ext, _ := f.section("__version_ext_crcs")
	if len(ext)/4 > maxSymbols || len(crcs) > maxSymbols {
		return nil, errors.New("too many symbol versions")
	}
	t := newStrings(names)
	for at := uint64(0); len(ext) >= 4; ext = ext[4:] {
		n, err := t.at(at)
		if err != nil {
			return nil, fmt.Errorf("name of a symbol version: %w", err)
		}
		crcs[f.dedot(n)] = f.Order.Uint32(ext)
		at += uint64(len(n)) + 1
	}
	delete(crcs, "")
	return crcs, nil
}

func (f *elfFile) undefined(table []elfSymbol, crcs map[string]uint32) []Symbol {
	found := map[string]Symbol{}
	for _, y := range table {
		if y.shndx == elf.SHN_UNDEF && y.name != "" && !f.linkerOwn(y) {
			n := f.dedot(y.name)
			found[n] = Symbol{Name: n, Weak: y.bind == elf.STB_WEAK}
		}
	}
	for n, crc := range crcs {
		y := found[n]
		y.Name, y.CRC, y.HasCRC = n, crc, true
		found[n] = y
	}
	return sorted(found)
}

// linkerOwn reports an undefined symbol that the kernel's module loader
// provides by itself (scripts/mod/modpost.c, ignore_undef_symbol).
func (f *elfFile) linkerOwn(y elfSymbol) bool {
	if y.name == "_GLOBAL_OFFSET_TABLE_" || (f.machine == elf.EM_SPARCV9 && y.typ == elf.SymType(13)) {
		return true
	}
	if f.machine != elf.EM_PPC64 && f.machine != elf.EM_PPC {
		return false
	}
	for _, prefix := range []string{"_restgpr", "_savegpr", "_rest32gpr_", "_save32gpr_", "_restvr_", "_savevr_"} {
		if strings.HasPrefix(y.name, prefix) {
			return true
		}
	}
	return y.name == ".TOC."
}

// dedot drops the dot that 64-bit PowerPC's old ABI puts before the names of
// functions, as the kernel does (arch/powerpc/kernel/module_64.c).
func (f *elfFile) dedot(name string) string {
	if f.machine == elf.EM_PPC64 {
		return strings.TrimPrefix(name, ".")
	}
	return name
}

// inGPLTable: EXPORT_SYMBOL_GPL has a section of its own up to Linux 6
// (___ksymtab_gpl+X before the module's last link).
func (f *elfFile) inGPLTable(y elfSymbol) bool {
	if int(y.shndx) >= len(f.sections) {
		return false
	}
	name := f.sections[y.shndx].name
	return name == "__ksymtab_gpl" || strings.HasPrefix(name, "___ksymtab_gpl+")
}

// exports pairs __ksymtab_X with __crc_X, __flags_X and __kstrtabns_X
// (include/linux/export-internal.h). Without symbols the names remain in
// __ksymtab_strings, among those of namespaces.
func (f *elfFile) exports(table []elfSymbol) []Symbol {
	found := map[string]Symbol{}
	for _, y := range table {
		f.export(found, y)
	}
	if len(found) == 0 && len(table) == 0 {
		text, _ := f.section("__ksymtab_strings")
		for _, n := range strings.SplitN(string(text), "\x00", maxSymbols) {
			found[n] = Symbol{Name: n}
		}
	}
	delete(found, "")
	return sorted(found)
}

func (f *elfFile) export(found map[string]Symbol, y elfSymbol) {
	if y.shndx == elf.SHN_UNDEF {
		return
	}
	if n, ok := strings.CutPrefix(y.name, "__ksymtab_"); ok {
		e := found[n]
		e.Name = n
		e.GPL = e.GPL || f.inGPLTable(y)
		found[n] = e
	}
	if n, ok := strings.CutPrefix(y.name, "__flags_"); ok { // __kflagstab of Linux 7: KSYM_FLAG_GPL_ONLY is bit 0
		e := found[n]
		e.Name = n
		flags := f.pointee(y)
		e.GPL = e.GPL || len(flags) > 0 && flags[0]&1 != 0
		found[n] = e
	}
	if n, ok := strings.CutPrefix(y.name, "__crc_"); ok {
		e := found[n]
		e.Name = n
		e.CRC, e.HasCRC = f.crc(y)
		found[n] = e
	}
	if n, ok := strings.CutPrefix(y.name, "__kstrtabns_"); ok {
		e := found[n]
		e.Name = n
		e.Namespace = f.textAt(y)
		found[n] = e
	}
}

// crc is the symbol's own value, or since Linux 5.19 the word that it points at.
func (f *elfFile) crc(y elfSymbol) (uint32, bool) {
	if y.shndx == elf.SHN_ABS {
		return uint32(y.value), true
	}
	b := f.pointee(y)
	if len(b) < 4 {
		return 0, false
	}
	return f.Order.Uint32(b), true
}

func (f *elfFile) textAt(y elfSymbol) string {
	b := f.pointee(y)
	s, _, _ := strings.Cut(string(b[:min(len(b), maxName)]), "\x00")
	return s
}

// pointee is the content of y's section from y on; nil where there is none.
func (f *elfFile) pointee(y elfSymbol) []byte {
	if int(y.shndx) >= len(f.sections) {
		return nil
	}
	data := f.sections[y.shndx].data
	if y.value > uint64(len(data)) {
		return nil
	}
	return data[y.value:]
}

func sorted(found map[string]Symbol) []Symbol {
	list := make([]Symbol, 0, len(found))
	for _, s := range found {
		list = append(list, s)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Name < list[j].Name })
	return list
}
