package kmodtest

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"sort"
)

const (
	progbits = elf.SHT_PROGBITS
	alloc    = elf.SHF_ALLOC
	write    = elf.SHF_WRITE
	exec     = elf.SHF_EXECINSTR
)

type arch struct {
	machine elf.Machine
	is64    bool
	order   binary.ByteOrder
}

func machines() map[string]arch {
	le, be := binary.ByteOrder(binary.LittleEndian), binary.ByteOrder(binary.BigEndian)
	return map[string]arch{
		"386":     {elf.EM_386, false, le},
		"amd64":   {elf.EM_X86_64, true, le},
		"arm":     {elf.EM_ARM, false, le},
		"arm64":   {elf.EM_AARCH64, true, le},
		"loong64": {elf.EM_LOONGARCH, true, le},
		"mips":    {elf.EM_MIPS, false, be},
		"mips64":  {elf.EM_MIPS, true, be},
		"ppc64":   {elf.EM_PPC64, true, be},
		"ppc64le": {elf.EM_PPC64, true, le},
		"riscv64": {elf.EM_RISCV, true, le},
		"s390x":   {elf.EM_S390, true, be},
	}
}

// Machines lists the GOARCH words that Build knows, sorted.
func Machines() []string {
	var names []string
	for n := range machines() {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

type section struct {
	name       string
	typ        elf.SectionType
	flags      elf.SectionFlag
	data       []byte
	link, info uint32
	align      uint64
	entsize    uint64
}

// file is an ELF relocatable file: header, section contents, section headers.
type file struct {
	arch
	sections []section // without the null section that comes first
}

// add appends s and gives its index in the file.
func (f *file) add(s section) int {
	f.sections = append(f.sections, s)
	return len(f.sections)
}

// sizes of the file header and of one section header.
func (f *file) sizes() (header, sectionHeader int) {
	if f.is64 {
		return 64, 64
	}
	return 52, 40
}

func (f *file) bytes() []byte {
	names := []byte{0}
	at := make([]uint32, 0, len(f.sections)+1)
	f.add(section{name: ".shstrtab", typ: elf.SHT_STRTAB, align: 1})
	for _, s := range f.sections {
		at = append(at, uint32(len(names)))
		names = append(append(names, s.name...), 0)
	}
	f.sections[len(f.sections)-1].data = names

	header, _ := f.sizes()
	body := bytes.NewBuffer(make([]byte, header))
	offsets := make([]uint64, len(f.sections))
	for i, s := range f.sections {
		pad8(body)
		offsets[i] = uint64(body.Len())
		body.Write(s.data)
	}
	pad8(body)
	shoff := body.Len()
	f.sectionHeader(body, 0, 0, section{})
	for i, s := range f.sections {
		f.sectionHeader(body, at[i], offsets[i], s)
	}
	out := body.Bytes()
	copy(out, f.header(shoff))
	return out
}

func pad8(b *bytes.Buffer) {
	for b.Len()%8 != 0 {
		b.WriteByte(0)
	}
}

func (f *file) header(shoff int) []byte {
	id := [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS32), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)}
	if f.is64 {
		id[elf.EI_CLASS] = byte(elf.ELFCLASS64)
	}
	if f.order == binary.ByteOrder(binary.BigEndian) {
		id[elf.EI_DATA] = byte(elf.ELFDATA2MSB)
	}
	eh, sh := f.sizes()
	n := len(f.sections)
	if f.is64 {
		return f.encode(elf.Header64{
			Ident: id, Type: uint16(elf.ET_REL), Machine: uint16(f.machine), Version: 1, Shoff: uint64(shoff),
			Ehsize: uint16(eh), Shentsize: uint16(sh), Shnum: uint16(n + 1), Shstrndx: uint16(n),
		})
	}
	return f.encode(elf.Header32{
		Ident: id, Type: uint16(elf.ET_REL), Machine: uint16(f.machine), Version: 1, Shoff: uint32(shoff),
		Ehsize: uint16(eh), Shentsize: uint16(sh), Shnum: uint16(n + 1), Shstrndx: uint16(n),
	})
}

func (f *file) sectionHeader(b *bytes.Buffer, name uint32, off uint64, s section) {
	if f.is64 {
		b.Write(f.encode(elf.Section64{
			Name: name, Type: uint32(s.typ), Flags: uint64(s.flags), Off: off, Size: uint64(len(s.data)),
			Link: s.link, Info: s.info, Addralign: s.align, Entsize: s.entsize,
		}))
		return
	}
	b.Write(f.encode(elf.Section32{
		Name: name, Type: uint32(s.typ), Flags: uint32(s.flags), Off: uint32(off), Size: uint32(len(s.data)),
		Link: s.link, Info: s.info, Addralign: uint32(s.align), Entsize: uint32(s.entsize),
	}))
}

// encode writes one of debug/elf's fixed-size structs in the file's byte order.
func (f *file) encode(v any) []byte {
	var b bytes.Buffer
	if err := binary.Write(&b, f.order, v); err != nil {
		panic(err) // only for a value without a fixed size
	}
	return b.Bytes()
}
