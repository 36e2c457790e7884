package report

import (
	"fmt"
	"slices"
)

// aside is a warning, or what could not be checked, with the modules that it is about.
type aside struct {
	kind    string
	text    string
	modules []string
}

// asides gathers warnings and what was not checked: most of it is about the
// target kernel or the signer, and so the same for every module.
func asides(r *Report) []string {
	var all []*aside
	add := func(kind string, m *Module, texts []string) {
		for _, text := range texts {
			i := slices.IndexFunc(all, func(a *aside) bool { return a.kind == kind && a.text == text })
			if i < 0 {
				i, all = len(all), append(all, &aside{kind: kind, text: text})
			}
			all[i].modules = append(all[i].modules, m.Path)
		}
	}
	for i := range r.Modules {
		add("warning", &r.Modules[i], r.Modules[i].Warnings)
	}
	for i := range r.Modules {
		add("not checked", &r.Modules[i], r.Modules[i].Unchecked)
	}
	lines := make([]string, 0, len(all))
	for i, a := range all {
		if i == notesShown {
			return append(lines, "... and more: --report FILE or --output json has all")
		}
		lines = append(lines, fmt.Sprintf("%s%s: %s", a.kind, a.of(len(r.Modules)), Plain(a.text)))
	}
	return lines
}

// of says which modules an aside is about, nothing where it is about all.
func (a *aside) of(all int) string {
	switch len(a.modules) {
	case all:
		return ""
	case 1:
		return " (" + Plain(a.modules[0]) + ")"
	}
	return fmt.Sprintf(" (%d of %d modules)", len(a.modules), all)
}

// kernelLine is what the kernel says of a module that does not load.
func kernelLine(m *Module) string {
	switch {
	case m.Dmesg != "" && m.Errno != "":
		return Plain(m.Dmesg) + " (" + m.Errno + ")"
	case m.Errno != "":
		return "no line in its log (" + m.Errno + ")"
	}
	return Plain(m.Dmesg)
}
