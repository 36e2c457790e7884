package kmod

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
)

// elfFile is a relocatable ELF file whose sections are slices of its bytes.
// debug/elf's own reader inflates compressed sections before one can ask for
// their size; a module has none that matter here.
type elfFile struct {
	Layout
	data     []byte
	machine  elf.Machine
	sections []elfSection
}

type elfSection struct {
	name  string
	typ   elf.SectionType
	flags elf.SectionFlag
	link  uint32
	data  []byte // nil for SHT_NULL and SHT_NOBITS
}

var errTruncated = errors.New("ELF file is cut off")

// readELF reads the header and the section headers.
func readELF(data []byte) (*elfFile, error) {
	switch {
	case len(data) == 0:
		return nil, errors.New("empty file")
	case !bytes.HasPrefix(data, []byte(elf.ELFMAG)):
		return nil, errors.New("no ELF file")
	case len(data) < elf.EI_NIDENT:
		return nil, errTruncated
	}
	f := &elfFile{Layout: LayoutOf(data), data: data}
	h, err := f.header()
	if err != nil {
		return nil, err
	}
	return f, f.readSections(h)
}

// header gives the file header.
func (f *elfFile) header() (elf.Header64, error) {
	h, ok := f.Header(f.data)
	if !ok {
		return h, errTruncated
	}
	f.machine = elf.Machine(h.Machine)
	switch {
	case elf.Type(h.Type) != elf.ET_REL:
		return h, fmt.Errorf("ELF file of type %v, not relocatable", elf.Type(h.Type))
	case h.Shnum == 0 || h.Shstrndx >= h.Shnum || int(h.Shentsize) != f.SectionSize():
		return h, errors.New("ELF file without sections")
	case h.Shoff < uint64(f.HeaderSize()) || h.Shoff > uint64(len(f.data)) ||
		uint64(h.Shnum)*uint64(h.Shentsize) > uint64(len(f.data))-h.Shoff:
		return h, errTruncated
	}
	return h, nil
}

func (f *elfFile) readSections(h elf.Header64) error {
	names := make([]uint32, h.Shnum)
	f.sections = make([]elfSection, h.Shnum)
	for i := range f.sections {
		s, ok := f.Section(f.data[h.Shoff+uint64(i)*uint64(h.Shentsize):])
		if !ok {
			return errTruncated
		}
		names[i] = s.Name
		typ := elf.SectionType(s.Type)
		f.sections[i] = elfSection{typ: typ, flags: elf.SectionFlag(s.Flags), link: s.Link}
		if typ == elf.SHT_NULL || typ == elf.SHT_NOBITS {
			continue
		}
		if s.Off > uint64(len(f.data)) || s.Size > uint64(len(f.data))-s.Off {
			return errTruncated
		}
		f.sections[i].data = f.data[s.Off : s.Off+s.Size]
	}
	table := newStrings(f.sections[h.Shstrndx].data)
	for i := range f.sections {
		name, err := table.at(uint64(names[i]))
		if err != nil && f.sections[i].flags&elf.SHF_ALLOC != 0 { // of others kernels before 6.4 read no name
			return fmt.Errorf("name of section %d: %w", i, err)
		}
		f.sections[i].name = name
	}
	return nil
}

// section gives the content of the first section of that name that has one.
func (f *elfFile) section(name string) (data []byte, ok bool) {
	for _, s := range f.sections {
		if s.name == name && s.data != nil && s.flags&elf.SHF_COMPRESSED == 0 {
			return s.data, true
		}
	}
	return nil, false
}

// maxName bounds the name of a symbol or section: a hostile table could
// otherwise make every name as long as itself. The kernel's own limit is 512
// (KSYM_NAME_LEN), before prefixes.
const maxName = 1024

// stringTable holds strings that end in NUL. It is copied once; the names are
// slices of it.
type stringTable struct{ s string }

func newStrings(section []byte) stringTable { return stringTable{string(section)} }

// at is the string that begins at offset.
func (t stringTable) at(offset uint64) (string, error) {
	if offset >= uint64(len(t.s)) {
		if offset == 0 {
			return "", nil
		}
		return "", errors.New("outside its string table")
	}
	s := t.s[offset:min(offset+maxName, uint64(len(t.s)))]
	for i := range len(s) {
		if s[i] == 0 {
			return s[:i], nil
		}
	}
	return "", errors.New("does not end")
}
