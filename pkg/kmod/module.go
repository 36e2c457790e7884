package kmod

import (
	"strings"

	"github.com/kmodseal/kmodseal/pkg/fault"
)

// Module is what the ELF file says of itself. Its strings come from the file
// as they are: they may hold any byte but NUL.
type Module struct {
	Machine    string              // GOARCH word, or the ELF machine's own name where Go has none
	Name       string              // .modinfo name=; empty before Linux 4.13
	Vermagic   string              // .modinfo vermagic=
	Depends    []string            // .modinfo depends=
	Info       map[string][]string // every .modinfo key, values in the file's order
	Undefined  []Symbol            // what the kernel resolves or checks at load, sorted by name
	Exports    []Symbol            // what it gives to other modules, sorted by name
	Namespaces []string            // .modinfo import_ns=
}

// Bounds on what is kept in memory of one module, far above what is real.
const (
	maxInfo    = 4 << 20 // bytes of .modinfo
	maxSymbols = 1 << 20 // in one table
)

// Symbol is a name with its CRC (CONFIG_MODVERSIONS).
type Symbol struct {
	Name      string
	CRC       uint32
	HasCRC    bool
	Weak      bool   // may stay undefined
	GPL       bool   // of an export: for modules under the GPL only
	Namespace string // of an export
}

// Parse reads a plain module with or without appended signature. It insists on
// what the kernel insists on before it looks at anything else (elf_validity_check
// in kernel/module/main.c): an ELF relocatable file whose sections lie inside
// it; and on a .modinfo section. Errors are of fault class Input.
//
// Undefined also holds the names that only the version tables have, such as
// module_layout, whose CRC the kernel checks.
func Parse(plain []byte) (*Module, error) {
	f, err := readELF(plain)
	if err != nil {
		return nil, fault.New(fault.Input, "not a kernel module: %w", err).Hint(whatIs)
	}
	info, ok := f.section(".modinfo")
	if !ok || len(info) == 0 {
		return nil, fault.New(fault.Input, "not a kernel module: no .modinfo section").
			Hint("a .ko.debug file holds debug symbols only, a .o file is a module before its last link")
	}
	if len(info) > maxInfo {
		return nil, fault.New(fault.Input, "not a kernel module: .modinfo of %d bytes", len(info)).Hint(whatIs)
	}
	m := &Module{Machine: f.goarch(), Info: modinfo(info)}
	m.Name = first(m.Info["name"])
	m.Vermagic = first(m.Info["vermagic"])
	m.Depends = list(first(m.Info["depends"]))
	m.Namespaces = m.Info["import_ns"]
	if m.Undefined, m.Exports, err = f.readSymbols(); err != nil {
		return nil, fault.New(fault.Input, "not a kernel module: %w", err).Hint(whatIs)
	}
	return m, nil
}

const whatIs = "a module is a relocatable ELF file with a .modinfo section, as kbuild makes it: look at where the file comes from"

// modinfo splits the section into its key=value strings, as the kernel's
// get_next_modinfo does.
func modinfo(section []byte) map[string][]string {
	info := map[string][]string{}
	for _, s := range strings.Split(string(section), "\x00") {
		if key, value, ok := strings.Cut(s, "="); ok {
			info[key] = append(info[key], value)
		}
	}
	return info
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

func list(commas string) []string {
	return strings.FieldsFunc(commas, func(r rune) bool { return r == ',' })
}

// goarch names the machine as Go does. The kernel compares the machine, not
// the word; this is for people and for os/arch platforms.
func (f *elfFile) goarch() string {
	if word := machineWords()[f.machine].word(f.Layout); word != "" {
		return word
	}
	return f.machine.String()
}
