package kmm

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// check refuses what KMM's webhook would (KMM: internal/webhook/module.go), and
// compiles the regular expressions. What the webhook refuses but a signing job
// does not depend on is a note, which becomes a warning of every job.
func (m *Module) check() error {
	c := &m.Container
	if err := m.modprobe(&c.Modprobe); err != nil {
		return err
	}
	if c.InTree != nil && c.InTreeOne.string != "" {
		m.note(c.InTreeOne.line, "inTreeModuleToRemove and inTreeModulesToRemove exclude each other")
	}
	if n := len(m.Name + m.Namespace); n > maxName && !m.hub {
		m.note(m.Line, "KMM's webhook refuses a name and namespace of more than %d characters together, these have %d", maxName, n)
	}
	m.signs(c.Sign)
	for i := range c.Mappings {
		mp := &c.Mappings[i]
		if (mp.Literal.string == "") == (mp.Regexp.string == "") {
			return m.refuse(mp.line, errors.New("a kernel mapping has exactly one of literal and regexp"))
		}
		if mp.InTree != nil && (mp.InTreeOne.string != "" || c.InTreeOne.string != "") || mp.InTreeOne.string != "" && c.InTree != nil {
			m.note(mp.line, "inTreeModuleToRemove and inTreeModulesToRemove exclude each other")
		}
		m.signs(mp.Sign)
		if image := cmp.Or(mp.Image.string, c.Image.string); !strings.ContainsAny(image, ":@") {
			m.note(mp.line, "KMM's webhook refuses a mapping whose containerImage has neither tag nor digest: %q", image)
		}
		if mp.Regexp.string == "" {
			continue
		}
		re, err := regexp.Compile(mp.Regexp.string)
		if err != nil {
			return m.refuse(mp.Regexp.line, err)
		}
		mp.re = re
	}
	return nil
}

// maxName is what KMM leaves of a label for a Module's name and namespace.
const maxName = 41

// signs notes what the webhook wants of each sign section by itself.
func (m *Module) signs(s *Sign) {
	if s == nil {
		return
	}
	if len(s.Files) == 0 {
		m.note(s.line, "KMM's webhook refuses a sign section without filesToSign")
	}
	dir := "/opt"
	if d := m.Container.Modprobe.DirName; d.line > 0 {
		dir = d.string
	}
	for _, f := range s.Files {
		if !strings.HasPrefix(f.string, dir+"/") {
			m.note(f.line, "KMM's webhook refuses file %q: it does not begin with dirName and a slash, %q", f.string, dir+"/")
		}
	}
	if s.KeySecret.Name.string == "" || s.CertSecret.Name.string == "" {
		m.note(s.line, "KMM wants keySecret and certSecret in every sign section")
	}
}

// modprobe holds the section to the rules on what is loaded in which order.
func (m *Module) modprobe(p *Modprobe) error {
	name := p.ModuleName
	raw := p.RawArgs != nil && (len(p.RawArgs.Load) > 0 || len(p.RawArgs.Unload) > 0)
	switch {
	case name.string == "" && p.RawArgs == nil:
		return m.refuse(cmp.Or(p.line, m.Line), errors.New("modprobe has neither moduleName nor rawArgs"))
	case name.string == "" && (len(p.RawArgs.Load) == 0 || len(p.RawArgs.Unload) == 0):
		return m.refuse(cmp.Or(p.line, m.Line), errors.New("modprobe without moduleName wants load and unload in rawArgs"))
	case name.string != "" && raw:
		return m.refuse(name.line, errors.New("modprobe has both moduleName and rawArgs"))
	case p.Order == nil:
		return m.loadable(name)
	case len(p.Order) < 2:
		return m.refuse(cmp.Or(p.line, m.Line), errors.New("modulesLoadingOrder wants at least two modules"))
	case p.Order[0].string != name.string || name.string == "":
		return m.refuse(p.Order[0].line, fmt.Errorf("modulesLoadingOrder begins with %q, not with moduleName %q", p.Order[0].string, name.string))
	}
	seen := map[string]bool{}
	for _, t := range p.Order {
		if seen[t.string] {
			return m.refuse(t.line, fmt.Errorf("modulesLoadingOrder names %q twice", t.string))
		}
		seen[t.string] = true
		if err := m.loadable(t); err != nil {
			return err
		}
	}
	return nil
}

// loadable refuses what cannot be the name of a module: a path, a placeholder, nothing.
func (m *Module) loadable(t text) error {
	if m.Container.Modprobe.RawArgs == nil && (t.string == "" || strings.ContainsAny(t.string, "/<>${}* \t\n")) {
		return m.refuse(t.line, fmt.Errorf("%q is not the name of a module", t.string))
	}
	return nil
}

func (m *Module) note(line int, format string, args ...any) {
	m.notes = append(m.notes, m.at(line)+fmt.Sprintf(format, args...))
}
