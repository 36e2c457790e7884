package kmod

import (
	"debug/elf"
	"encoding/binary"
	"strings"
)

// Layout is how a machine writes ELF files: word size and byte order.
type Layout struct {
	Is64  bool
	Order binary.ByteOrder
}

// LayoutOf is what a file says of itself in e_ident. A running kernel does not
// ask: it reads every module as its own build writes them (see MachineOf).
func LayoutOf(data []byte) Layout {
	l := Layout{Order: binary.LittleEndian}
	if len(data) > elf.EI_DATA {
		l.Is64 = elf.Class(data[elf.EI_CLASS]) == elf.ELFCLASS64
		if elf.Data(data[elf.EI_DATA]) == elf.ELFDATA2MSB {
			l.Order = binary.BigEndian
		}
	}
	return l
}

// HeaderSize is the size of Elf32_Ehdr or Elf64_Ehdr in bytes.
func (l Layout) HeaderSize() int {
	if l.Is64 {
		return binary.Size(elf.Header64{})
	}
	return binary.Size(elf.Header32{})
}

// SectionSize is the size of Elf32_Shdr or Elf64_Shdr in bytes.
func (l Layout) SectionSize() int {
	if l.Is64 {
		return binary.Size(elf.Section64{})
	}
	return binary.Size(elf.Section32{})
}

// Header decodes the file header that data begins with; a 32-bit one is
// widened. ok is false where data is shorter.
func (l Layout) Header(data []byte) (h elf.Header64, ok bool) {
	if l.Is64 {
		_, err := binary.Decode(data, l.Order, &h)
		return h, err == nil
	}
	var n elf.Header32
	if _, err := binary.Decode(data, l.Order, &n); err != nil {
		return h, false
	}
	return elf.Header64{
		Ident: n.Ident, Type: n.Type, Machine: n.Machine, Version: n.Version, Entry: uint64(n.Entry),
		Phoff: uint64(n.Phoff), Shoff: uint64(n.Shoff), Flags: n.Flags, Ehsize: n.Ehsize, Phentsize: n.Phentsize,
		Phnum: n.Phnum, Shentsize: n.Shentsize, Shnum: n.Shnum, Shstrndx: n.Shstrndx,
	}, true
}

// Section decodes the section header that data begins with; a 32-bit one is
// widened. ok is false where data is shorter.
func (l Layout) Section(data []byte) (s elf.Section64, ok bool) {
	if l.Is64 {
		_, err := binary.Decode(data, l.Order, &s)
		return s, err == nil
	}
	var n elf.Section32
	if _, err := binary.Decode(data, l.Order, &n); err != nil {
		return s, false
	}
	return elf.Section64{
		Name: n.Name, Type: n.Type, Flags: uint64(n.Flags), Addr: uint64(n.Addr), Off: uint64(n.Off), Size: uint64(n.Size),
		Link: n.Link, Info: n.Info, Addralign: uint64(n.Addralign), Entsize: uint64(n.Entsize),
	}, true
}

// words are a machine's GOARCH words by layout, empty where there is none.
type words struct{ le32, be32, le64, be64 string }

func machineWords() map[elf.Machine]words {
	return map[elf.Machine]words{
		elf.EM_386:       {le32: "386"},
		elf.EM_X86_64:    {le64: "amd64"},
		elf.EM_ARM:       {le32: "arm", be32: "armbe"},
		elf.EM_AARCH64:   {le64: "arm64", be64: "arm64be"},
		elf.EM_LOONGARCH: {le64: "loong64"},
		elf.EM_MIPS:      {"mipsle", "mips", "mips64le", "mips64"},
		elf.EM_PPC:       {be32: "ppc"},
		elf.EM_PPC64:     {le64: "ppc64le", be64: "ppc64"},
		elf.EM_RISCV:     {le32: "riscv", le64: "riscv64"},
		elf.EM_S390:      {be32: "s390", be64: "s390x"},
		elf.EM_SPARCV9:   {be64: "sparc64"},
	}
}

// word is the one for a layout.
func (w words) word(l Layout) string {
	big := l.Order.String() == "BigEndian"
	switch {
	case l.Is64 && big:
		return w.be64
	case l.Is64:
		return w.le64
	case big:
		return w.be32
	}
	return w.le32
}

// ArchOf is the GOARCH word of a platform, os/arch[/variant]; ok is false for one
// that MachineOf does not know.
func ArchOf(platform string) (goarch string, ok bool) {
	_, goarch, _ = strings.Cut(platform, "/")
	goarch, _, _ = strings.Cut(goarch, "/")
	_, _, ok = MachineOf(goarch)
	return goarch, ok
}

// MachineOf gives the ELF machine and the layout of a GOARCH word; ok is false
// for a word that it does not know.
func MachineOf(goarch string) (m elf.Machine, l Layout, ok bool) {
	for m, w := range machineWords() {
		for _, l := range []Layout{{false, binary.LittleEndian}, {false, binary.BigEndian}, {true, binary.LittleEndian}, {true, binary.BigEndian}} {
			if goarch != "" && w.word(l) == goarch {
				return m, l, true
			}
		}
	}
	return 0, Layout{}, false
}
