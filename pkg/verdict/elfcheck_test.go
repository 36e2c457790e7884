package verdict_test

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/kmodseal/kmodseal/e2e/secureboot/pki"
	"github.com/kmodseal/kmodseal/pkg/kmodtest"
	"github.com/kmodseal/kmodseal/pkg/modsig"
	"github.com/kmodseal/kmodseal/pkg/verdict"
)

// Offsets in Elf64_Ehdr and Elf64_Shdr (include/uapi/linux/elf.h).
const (
	offType, offMachine, offShoff      = 16, 18, 40
	offShentsize, offShnum, offStrndx  = 58, 60, 62
	shName, shType, shFlags, shAddr    = 0, 4, 8, 16
	shOffset, shSize, shLink, shHeader = 24, 32, 40, 64
)

// put16 and the like change a field of a little-endian file.
func put16(at int, v uint16) func([]byte) {
	return func(b []byte) { binary.LittleEndian.PutUint16(b[at:], v) }
}

// section is a change of the header of the section called name; its number is
// looked for in the unchanged file.
func section(name string, change func(header []byte)) func([]byte) {
	return func(b []byte) {
		f, err := elf.NewFile(bytes.NewReader(b))
		if err != nil {
			panic(err)
		}
		for i, s := range f.Sections {
			if s.Name == name {
				change(b[int(binary.LittleEndian.Uint64(b[offShoff:]))+i*shHeader:])
				return
			}
		}
		panic("no section " + name)
	}
}

func set32(at int, v uint32) func([]byte) {
	return func(h []byte) { binary.LittleEndian.PutUint32(h[at:], v) }
}

func set64(at int, v uint64) func([]byte) {
	return func(h []byte) { binary.LittleEndian.PutUint64(h[at:], v) }
}

// rename gives a section the name of another one, through its offset in the
// name table.
func rename(from, to string) func([]byte) {
	return func(b []byte) {
		names := 0
		section(".shstrtab", func(h []byte) { names = int(binary.LittleEndian.Uint64(h[shOffset:])) })(b)
		at := bytes.Index(b[names:], []byte(to+"\x00"))
		section(from, set32(shName, uint32(at)))(b)
	}
}

// TestELFChecks: what load_module says of files that are signed well and are
// no modules, before 6.4 and after (kernel/module/main.c).
func TestELFChecks(t *testing.T) {
	t.Parallel()
	const broken, text = uint64(1) << 40, ".text"
	both := func(line string) [2]string { return [2]string{line, line} }
	names := func(b []byte) []byte {
		var out []byte
		section(".shstrtab", func(h []byte) {
			at, n := binary.LittleEndian.Uint64(h[shOffset:]), binary.LittleEndian.Uint64(h[shSize:])
			out = b[at : at+n]
		})(b)
		return out
	}
	for name, c := range map[string]struct {
		change func([]byte)
		size   int // cut to; 0: all of it
		lines  [2]string
	}{
		"untouched":                   {change: func([]byte) {}},
		"class 32 is not looked at":   {change: func(b []byte) { b[elf.EI_CLASS] = 1 }},
		"class 0 is not looked at":    {change: func(b []byte) { b[elf.EI_CLASS] = 0 }},
		"byte order is not looked at": {change: func(b []byte) { b[elf.EI_DATA] = 2 }},
		"one byte":                    {size: 1, lines: both("Invalid ELF header len 1")},
		"a byte less than a header":   {size: 63, lines: both("Invalid ELF header len 63")},
		"a header":                    {size: 64, lines: both("Invalid ELF section header overflow")},
		"a byte less":                 {size: -1, lines: both("Invalid ELF section header overflow")},
		"short before magic":          {change: func(b []byte) { b[1] = 'X' }, size: 20, lines: both("Invalid ELF header len 20")},
		"magic before type":           {change: func(b []byte) { b[1] = 'X'; b[offType] = 2 }, lines: both("Invalid ELF header magic: != \x7fELF")},
		"program":                     {change: put16(offType, 2), lines: both("Invalid ELF header type: 2 != 1")},
		"type before machine":         {change: func(b []byte) { b[offType] = 3; b[offMachine] = 3 }, lines: both("Invalid ELF header type: 3 != 1")},
		"machine":                     {change: put16(offMachine, 183), lines: both("Invalid architecture in ELF header: 183")},
		"machine before sections":     {change: func(b []byte) { put16(offMachine, 3)(b); put16(offShentsize, 40)(b) }, lines: both("Invalid architecture in ELF header: 3")},
		"section header size":         {change: put16(offShentsize, 40), lines: both("Invalid ELF section header size")},
		"sections behind the end":     {change: set64(offShoff, broken), lines: both("Invalid ELF section header overflow")},
		"too many sections":           {change: put16(offShnum, 9999), lines: both("Invalid ELF section header overflow")},
		"no name table":               {change: put16(offStrndx, 0), lines: both("Invalid ELF section name index: 0 || e_shstrndx (0) >= e_shnum (8)")},
		"name table of a high number": {change: put16(offStrndx, 77), lines: both("Invalid ELF section name index: 77 || e_shstrndx (77) >= e_shnum (8)")},
		"name table of another type":  {change: section(".shstrtab", set32(shType, 1)), lines: [2]string{"", "Invalid ELF section name table type: 1"}},
		"name table outside": {
			change: section(".shstrtab", set64(shOffset, broken)),
			lines:  [2]string{"Invalid ELF section hdr(type 3)", "Invalid ELF section in module (section 7 type 3)"},
		},
		"name table empty":         {change: section(".shstrtab", set64(shSize, 0)), lines: both("empty section name table")},
		"name table does not end":  {change: func(b []byte) { n := names(b); n[len(n)-1] = 'x' }, lines: both("ELF Spec violation: section name table isn't null terminated")},
		"section 0 has a type":     {change: section("", set32(shType, 1)), lines: both("ELF Spec violation: section 0 type(1)!=SH_NULL or non-zero len or addr")},
		"section 0 has a size":     {change: section("", set64(shSize, 1)), lines: both("ELF Spec violation: section 0 type(0)!=SH_NULL or non-zero len or addr")},
		"section 0 has an address": {change: section("", set64(shAddr, 1)), lines: both("ELF Spec violation: section 0 type(0)!=SH_NULL or non-zero len or addr")},
		"section outside":          {change: section(text, set64(shSize, broken)), lines: both("Invalid ELF section in module (section 2 type 1)")},
		"section size wraps":       {change: section(text, set64(shSize, ^uint64(0))), lines: both("Invalid ELF section in module (section 2 type 1)")},
		"section without content":  {change: section(text, func(h []byte) { set64(shSize, broken)(h); set32(shType, 8)(h) })},
		"section name outside":     {change: section(text, set32(shName, 9999)), lines: both("Invalid ELF section name in module (section 2 type 1)")},
		"name of a section that is not loaded": {
			change: section(".strtab", set32(shName, 9999)),
			lines:  [2]string{"", "Invalid ELF section name in module (section 6 type 3)"},
		},
		"two .modinfo": {change: rename(text, ".modinfo"), lines: [2]string{"", "Only one .modinfo section must exist."}},
		"no struct module": {
			change: rename(".gnu.linkonce.this_module", text),
			lines:  [2]string{"m: No module found in object", "module m: Exactly one .gnu.linkonce.this_module section must exist."},
		},
		"two struct modules": {
			change: rename(text, ".gnu.linkonce.this_module"),
			lines:  [2]string{"", "module m: Exactly one .gnu.linkonce.this_module section must exist."},
		},
		"struct module without content": {
			change: section(".gnu.linkonce.this_module", set32(shType, 8)),
			lines:  [2]string{"", "module m: .gnu.linkonce.this_module section must have a size set"},
		},
		"struct module is not loaded": {
			change: section(".gnu.linkonce.this_module", set64(shFlags, 1)),
			lines:  [2]string{"m: No module found in object", "module m: .gnu.linkonce.this_module must occupy memory during process execution"},
		},
		"no symbol table": {change: section(".symtab", set32(shType, 1)), lines: both("m: module has no symbols (stripped?)")},
		"no symbol table and no name": {change: func(b []byte) {
			section(".symtab", set32(shType, 1))(b)
			b[bytes.Index(b, []byte("\x00name=m"))+1] = 'X'
		}, lines: both("(missing .modinfo section or name field): module has no symbols (stripped?)")},
		"symbols without string table":  {change: section(".symtab", set32(shLink, 0)), lines: both("Invalid ELF sh_link!=SHN_UNDEF(0) or (sh_link(0) >= hdr->e_shnum(8)")},
		"string table of a high number": {change: section(".symtab", set32(shLink, ^uint32(0))), lines: both("Invalid ELF sh_link!=SHN_UNDEF(-1) or (sh_link(-1) >= hdr->e_shnum(8)")},
		"string table of another type":  {change: section(".symtab", set32(shLink, 2)), lines: [2]string{"?", "Invalid ELF symbol string table type: 1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			good := pki.Make(pki.Spec{Name: "good", Key: "alpha"})
			for i, release := range []string{"6.1.0-56-amd64", rel} {
				if c.lines[i] == "?" { // the kernel reads what there is as names
					continue
				}
				body := kmodtest.Build(kmodtest.Spec{Name: "m", Release: release, Undefined: []kmodtest.Symbol{layout}})
				if c.change != nil {
					c.change(body)
				}
				if c.size != 0 {
					body = body[:(c.size+len(body))%len(body)]
				}
				v := machine(t, func(c *verdict.Config) { c.Kernel.Release = release }, good).
					One(verdict.Module{Path: "m.ko", Stored: modsig.Append(body, pki.Sign(body, good, "sha256"))})
				assert.Equal(t, c.lines[i], v.Dmesg, release)
				if c.lines[i] == "" {
					assert.Equal(t, verdict.Loads, v.State, "%s: %s", release, v.Reason)
				} else {
					assert.Equal(t, "ENOEXEC", v.Errno, release)
				}
			}
		})
	}
}
