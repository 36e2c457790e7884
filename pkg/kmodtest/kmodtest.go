// Package kmodtest makes kernel modules for tests and for the demo, without a
// compiler or kernel headers: relocatable ELF files with the sections that
// modinfo, depmod and this project read. They hold no code that could run.
package kmodtest

import (
	"bytes"
	"fmt"
	"strings"
)

// Spec says what module to make. The zero value of every field but Machine
// has a default, so that Spec{Name: "a", Machine: "amd64"} is a module.
type Spec struct {
	Name     string   // .modinfo name=; default "sample"
	Release  string   // first word of vermagic; default "6.1.0-test"
	Vermagic string   // whole vermagic; default made from Release
	Machine  string   // GOARCH word, see Machines; default "amd64"
	Depends  []string // modules
	Pad      int      // bytes of filler in .text
	ImportNS []string // namespaces
	Info     []string // further "key=value" of .modinfo

	Undefined []Symbol // symbols that the module wants
	Exports   []Symbol // symbols that it gives

	Relocations []uint32 // types, in .rela.text; 64-bit machines only

	ModuleSize int // bytes of struct module, at least 80; default 128

	ExportFlags bool // exports' kind in __kflagstab instead of a table of its own: Linux 7
	AbsoluteCRC bool // exports' CRCs as absolute symbols: kernels before 5.19
	ExtVersions bool // __version_ext_names and _crcs beside __versions: 6.14 on
	Stripped    bool // no symbol table
}

// Symbol is a name with its CRC.
type Symbol struct {
	Name      string
	CRC       uint32 // 0: none is written
	Weak      bool
	GPL       bool   // of an export
	Namespace string // of an export
}

// Build makes the module's bytes; the same Spec gives the same bytes. It
// panics on a Machine that it does not know, as only tests call it.
func Build(s Spec) []byte {
	a, ok := machines()[s.machine()]
	if !ok {
		panic(fmt.Sprintf("kmodtest: unknown machine %q", s.Machine))
	}
	f := &file{arch: a}
	f.add(section{name: ".modinfo", typ: progbits, flags: alloc, align: 1, data: s.modinfo()})
	f.add(section{name: ".text", typ: progbits, flags: alloc | exec, align: 1, data: bytes.Repeat([]byte{0x90}, s.Pad)})
	f.add(section{name: ".gnu.linkonce.this_module", typ: progbits, flags: alloc | write, align: 8, data: s.thisModule(a)})
	f.addRelocations(s)
	f.addVersions(s)
	f.addExports(s)
	if !s.Stripped {
		f.addSymbols(s)
	}
	return f.bytes()
}

func (s Spec) machine() string {
	if s.Machine == "" {
		return "amd64"
	}
	return s.Machine
}

func (s Spec) name() string {
	if s.Name == "" {
		return "sample"
	}
	return s.Name
}

func (s Spec) vermagic() string {
	if s.Vermagic != "" {
		return s.Vermagic
	}
	r := s.Release
	if r == "" {
		r = "6.1.0-test"
	}
	if len(s.Undefined) > 0 {
		return r + " SMP mod_unload modversions "
	}
	return r + " SMP mod_unload "
}

// modinfo is the section's content: key=value strings that end in NUL.
func (s Spec) modinfo() []byte {
	info := []string{"license=GPL", "author=kmodseal tests", "description=sample module"}
	info = append(info, s.Info...)
	for _, ns := range s.ImportNS {
		info = append(info, "import_ns="+ns)
	}
	info = append(info, "depends="+strings.Join(s.Depends, ","), "name="+s.name(), "vermagic="+s.vermagic())
	return []byte(strings.Join(info, "\x00") + "\x00")
}

// thisModule stands for struct module, of which only the name is filled in
// (include/linux/module.h: it follows the state and a list head).
func (s Spec) thisModule(a arch) []byte {
	size := s.ModuleSize
	if size == 0 {
		size = 128
	}
	data := make([]byte, size)
	at := 12
	if a.is64 {
		at = 24
	}
	copy(data[at:at+55], s.name())
	return data
}
