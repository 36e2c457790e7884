package verdict

import (
	"bytes"
	"debug/elf"

	"github.com/kmodseal/kmodseal/pkg/kmod"
)

// image is a module's ELF file as the running kernel reads it: with its own
// word size and byte order, and up to where the signature begins.
type image struct {
	kmod.Layout
	data     []byte
	header   elf.Header64
	sections []elf.Section64
	names    []byte // section name table
	name     string // name= of .modinfo, for messages
}

// newImage reads data as the target machine does; one of which nothing is
// known takes the file's own word for it.
func newImage(data []byte, goarch string) image {
	_, l, ok := kmod.MachineOf(goarch)
	if !ok {
		l = kmod.LayoutOf(data)
	}
	return image{Layout: l, data: data, name: "(missing .modinfo section or name field)"}
}

// asRead is data with the layout in e_ident that the target machine goes by,
// for readers that believe e_ident. Kernels that do look at it are left out:
// elf_check_arch of RISC-V, LoongArch and others compares the class.
func asRead(data []byte, goarch string) []byte {
	m, l, ok := kmod.MachineOf(goarch)
	if !ok || !blindToClass(m) || len(data) < elf.EI_NIDENT || kmod.LayoutOf(data) == l || !bytes.HasPrefix(data, []byte(elf.ELFMAG)) {
		return data
	}
	if h, ok := l.Header(data); !ok || elf.Machine(h.Machine) != m {
		return data
	}
	data = bytes.Clone(data)
	data[elf.EI_CLASS], data[elf.EI_DATA] = byte(elf.ELFCLASS32), byte(elf.ELFDATA2LSB)
	if l.Is64 {
		data[elf.EI_CLASS] = byte(elf.ELFCLASS64)
	}
	if l.Order.String() == "BigEndian" {
		data[elf.EI_DATA] = byte(elf.ELFDATA2MSB)
	}
	return data
}

// blindToClass: elf_check_arch in the architecture's asm/elf.h compares
// e_machine only.
func blindToClass(m elf.Machine) bool {
	switch m {
	case elf.EM_X86_64, elf.EM_386, elf.EM_AARCH64, elf.EM_PPC64, elf.EM_PPC:
		return true
	}
	return false
}

// inside reports whether a section's content lies in the file
// (validate_section_offset).
func (im *image) inside(s elf.Section64) bool {
	return s.Off+s.Size >= s.Off && s.Off+s.Size <= uint64(len(im.data))
}

// content is what a section that is inside holds, nil for one without.
func (im *image) content(s elf.Section64) []byte {
	if elf.SectionType(s.Type) == elf.SHT_NOBITS || elf.SectionType(s.Type) == elf.SHT_NULL || !im.inside(s) {
		return nil
	}
	return im.data[s.Off : s.Off+s.Size]
}

// named gives the sections called name: all of them (find_any_unique_sec), or
// only those with SHF_ALLOC, which is how find_sec looks.
func (im *image) named(name string, loaded bool) []elf.Section64 {
	var out []elf.Section64
	for i, s := range im.sections {
		if i == 0 || loaded && elf.SectionFlag(s.Flags)&elf.SHF_ALLOC == 0 || uint64(s.Name) >= uint64(len(im.names)) {
			continue
		}
		n, _, _ := bytes.Cut(im.names[s.Name:], []byte{0})
		if string(n) == name {
			out = append(out, s)
		}
	}
	return out
}

// filled reports whether the kernel finds a section that holds something.
func (im *image) filled(name string) bool {
	found := im.named(name, true)
	return len(found) > 0 && found[0].Size > 0
}

// info is get_modinfo: the first value of a tag in .modinfo.
func (im *image) info(section elf.Section64, tag string) (string, bool) {
	for _, entry := range bytes.Split(im.content(section), []byte{0}) {
		if v, ok := bytes.CutPrefix(entry, []byte(tag+"=")); ok {
			return string(v), true
		}
	}
	return "", false
}

// ofType gives the indexes of the sections of a type.
func (im *image) ofType(t elf.SectionType) []int {
	var out []int
	for i, s := range im.sections {
		if i > 0 && elf.SectionType(s.Type) == t {
			out = append(out, i)
		}
	}
	return out
}
