package kmodtest

import (
	"bytes"
	"debug/elf"
	"strings"
)

// versionSize is struct modversion_info: an unsigned long and a name, 64 bytes
// together on every architecture (include/linux/module.h).
const versionSize = 64

func (f *file) addVersions(s Spec) {
	var versions, names, crcs []byte
	for _, u := range s.Undefined {
		if u.CRC == 0 {
			continue
		}
		if crc := f.word(uint64(u.CRC)); len(crc)+len(u.Name) < versionSize {
			entry := make([]byte, versionSize)
			copy(entry[copy(entry, crc):], u.Name)
			versions = append(versions, entry...)
		}
		names = append(append(names, u.Name...), 0)
		crcs = append(crcs, f.encode(u.CRC)...)
	}
	if len(names) == 0 {
		return
	}
	f.add(section{name: "__versions", typ: progbits, flags: alloc, align: 8, data: versions})
	if s.ExtVersions {
		f.add(section{name: "__version_ext_crcs", typ: progbits, flags: alloc, align: 4, data: crcs})
		f.add(section{name: "__version_ext_names", typ: progbits, flags: alloc, align: 1, data: names})
	}
}

// word is v as an unsigned long of the machine.
func (f *file) word(v uint64) []byte {
	if f.is64 {
		return f.encode(v)
	}
	return f.encode(uint32(v))
}

// kstrtab is the content of __ksymtab_strings, and where in it each export's
// name and namespace start.
func kstrtab(exports []Symbol) (data []byte, names, spaces []int) {
	for _, e := range exports {
		names = append(names, len(data))
		data = append(append(data, e.Name...), 0)
		spaces = append(spaces, len(data))
		data = append(append(data, e.Namespace...), 0)
	}
	return data, names, spaces
}

// table gives the exports that lie in a table, which is __ksymtab or __ksymtab_gpl.
func (s Spec) table(name string) []Symbol {
	var out []Symbol
	for _, e := range s.Exports {
		if s.tableOf(e) == name {
			out = append(out, e)
		}
	}
	return out
}

func (s Spec) tableOf(e Symbol) string {
	if e.GPL && !s.ExportFlags {
		return "__ksymtab_gpl"
	}
	return "__ksymtab"
}

// exportFlags is one byte per export; bit 0 says GPL only.
func (s Spec) exportFlags() []byte {
	flags := make([]byte, len(s.Exports))
	for i, e := range s.Exports {
		if e.GPL {
			flags[i] = 1
		}
	}
	return flags
}

// addExports writes the tables as include/linux/export-internal.h lays them
// out: 12 bytes per symbol with 32-bit relative references, which a linker
// would fill in by relocations that are left out here.
func (f *file) addExports(s Spec) {
	if len(s.Exports) == 0 {
		return
	}
	names, _, _ := kstrtab(s.Exports)
	for _, table := range []string{"__ksymtab", "__ksymtab_gpl"} {
		if exports := s.table(table); len(exports) > 0 {
			f.add(section{name: table, typ: progbits, flags: alloc, align: 4, data: make([]byte, 12*len(exports))})
			f.addCRCs(crcTable(table), exports)
		}
	}
	if s.ExportFlags {
		f.add(section{name: "__kflagstab", typ: progbits, flags: alloc, align: 1, data: s.exportFlags()})
	}
	f.add(section{name: "__ksymtab_strings", typ: progbits, flags: alloc, align: 1, data: names})
}

// addCRCs writes the table of the exports' CRCs; without MODVERSIONS there is none.
func (f *file) addCRCs(table string, exports []Symbol) {
	var crcs []byte
	for _, e := range exports {
		crcs = append(crcs, f.encode(e.CRC)...)
	}
	if bytes.Count(crcs, []byte{0}) < len(crcs) {
		f.add(section{name: table, typ: progbits, flags: alloc, align: 4, data: crcs})
	}
}

func crcTable(ksymtab string) string { return strings.Replace(ksymtab, "ksymtab", "kcrctab", 1) }

// index of the section called name, 0 where there is none.
func (f *file) index(name string) uint16 {
	for i, s := range f.sections {
		if s.name == name {
			return uint16(i + 1)
		}
	}
	return 0
}

type symtab struct {
	f      *file
	data   bytes.Buffer
	names  []byte
	locals int
}

// add appends a symbol; all local ones must come before the first global one.
func (t *symtab) add(name string, bind elf.SymBind, shndx uint16, value uint64) {
	at := uint32(len(t.names))
	t.names = append(append(t.names, name...), 0)
	if bind == elf.STB_LOCAL {
		t.locals++
	}
	info := elf.ST_INFO(bind, elf.STT_NOTYPE)
	if t.f.is64 {
		t.data.Write(t.f.encode(elf.Sym64{Name: at, Info: info, Shndx: shndx, Value: value}))
		return
	}
	t.data.Write(t.f.encode(elf.Sym32{Name: at, Info: info, Shndx: shndx, Value: uint32(value)}))
}

func (f *file) addSymbols(s Spec) {
	t := &symtab{f: f}
	t.add("", elf.STB_LOCAL, 0, 0)
	f.addExportSymbols(t, s)
	for _, e := range s.Exports {
		t.add(e.Name, elf.STB_GLOBAL, f.index(".text"), 0)
	}
	if s.AbsoluteCRC {
		for _, e := range s.Exports {
			t.crc(e, elf.STB_GLOBAL, uint16(elf.SHN_ABS), uint64(e.CRC))
		}
	}
	for _, u := range s.Undefined {
		bind := elf.STB_GLOBAL
		if u.Weak {
			bind = elf.STB_WEAK
		}
		t.add(u.Name, bind, uint16(elf.SHN_UNDEF), 0)
	}
	strtab := uint32(len(f.sections) + 2)
	f.add(section{
		name: ".symtab", typ: elf.SHT_SYMTAB, align: 8, data: t.data.Bytes(),
		link: strtab, info: uint32(t.locals), entsize: uint64(t.data.Len() / t.count()),
	})
	f.add(section{name: ".strtab", typ: elf.SHT_STRTAB, align: 1, data: t.names})
}

func (t *symtab) crc(e Symbol, bind elf.SymBind, shndx uint16, value uint64) {
	if e.CRC != 0 {
		t.add("__crc_"+e.Name, bind, shndx, value)
	}
}

func (t *symtab) count() int { return bytes.Count(t.names, []byte{0}) }

func (f *file) addExportSymbols(t *symtab, s Spec) {
	_, names, spaces := kstrtab(s.Exports)
	entries := map[string]uint64{}
	for i, e := range s.Exports {
		table := s.tableOf(e)
		t.add("__ksymtab_"+e.Name, elf.STB_LOCAL, f.index(table), 12*entries[table])
		if !s.AbsoluteCRC {
			t.crc(e, elf.STB_LOCAL, f.index(crcTable(table)), 4*entries[table])
		}
		entries[table]++
		if s.ExportFlags {
			t.add("__flags_"+e.Name, elf.STB_LOCAL, f.index("__kflagstab"), uint64(i))
		}
		t.add("__kstrtab_"+e.Name, elf.STB_LOCAL, f.index("__ksymtab_strings"), uint64(names[i]))
		t.add("__kstrtabns_"+e.Name, elf.STB_LOCAL, f.index("__ksymtab_strings"), uint64(spaces[i]))
	}
}

// addRelocations writes Elf64_Rela entries of the null symbol.
func (f *file) addRelocations(s Spec) {
	if len(s.Relocations) == 0 {
		return
	}
	var data []byte
	for _, t := range s.Relocations {
		data = append(data, f.encode(elf.Rela64{Info: uint64(t)})...)
	}
	f.add(section{name: ".rela.text", typ: elf.SHT_RELA, align: 8, data: data, info: uint32(f.index(".text")), entsize: 24})
}
