package verdict

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kmodseal/kmodseal/pkg/kmod"
)

// One judges a module that has no others beside it.
func (j *Judge) One(m Module) Verdict { return j.Set([]Module{m})[0] }

// Set judges modules that are installed together: a symbol may come from
// another module of the set, and a module that does not load takes those down
// that need it. Verdicts are in the order of ms; Verdict.Order is the order
// in which the modules would be loaded.
func (j *Judge) Set(ms []Module) []Verdict {
	found := make([]*Finding, len(ms))
	for i, m := range ms {
		found[i] = j.Examine(m)
	}
	return j.Conclude(found)
}

// Finding is what a module by itself shows. It does not hold the module's
// bytes.
type Finding struct{ m *member }

// Examine does what a set's modules need not wait for each other for. It may
// run in several goroutines.
func (j *Judge) Examine(m Module) *Finding {
	g, o := j.judge(m)
	return &Finding{&member{judging: g, outcome: o}}
}

// Conclude gives the verdicts on a set, each in the place of its finding. A
// finding serves once.
func (j *Judge) Conclude(found []*Finding) []Verdict {
	s := &set{judge: j, exporter: map[string]int{}, byName: map[string]int{}}
	for i, f := range found {
		s.members = append(s.members, f.m)
		s.enter(i)
	}
	for i := range s.members {
		s.load(i)
	}
	out := make([]Verdict, len(found))
	for i, m := range s.members {
		m.finish(m.outcome)
		out[i] = *m.v
	}
	return out
}

// member is a module of a set.
type member struct {
	*judging
	outcome outcome
	state   progress
}

// taint is module_augment_kernel_taints; the kernel says it once since it started.
func (m *member) taint() {
	if m.tainted {
		m.outcome.line = m.sayLine("%s: module verification failed: signature and/or required key missing - tainting kernel", m.elf.Name)
	}
}

type progress int

const (
	untouched progress = iota
	loading
	done
)

// set resolves what its members need.
type set struct {
	judge    *Judge
	members  []*member
	exporter map[string]int // scope and symbol -> member
	byName   map[string]int // scope and module name -> member
	loaded   int
}

// scope keeps modules of several platforms and kernels apart.
func (m *member) scope() string {
	return m.v.Platform + "\x00" + m.v.Machine + "\x00" + m.v.Vermagic + "\x00"
}

// enter makes a member known; of two with one name the first counts.
func (s *set) enter(i int) {
	m := s.members[i]
	if m.elf == nil {
		return
	}
	first := func(in map[string]int, key string) {
		if _, ok := in[key]; !ok {
			in[key] = i
		}
	}
	first(s.byName, m.scope()+moduleName(m.elf.Name))
	for _, e := range m.elf.Exports {
		first(s.exporter, m.scope()+e.Name)
	}
}

// moduleName is how the kernel writes it: file names may have dashes.
func moduleName(name string) string { return strings.ReplaceAll(name, "-", "_") }

// load goes through what member i needs first, then through its own symbols.
func (s *set) load(i int) {
	m := s.members[i]
	if m.state != untouched {
		return
	}
	m.state = loading
	defer func() { m.state = done }()
	if m.outcome.state != Loads || m.elf == nil {
		return
	}
	if o := s.dependencies(m, i); o.state != Loads {
		m.outcome = o
		return
	}
	m.taint()
	if o := s.symbols(m); o.state != Loads {
		m.outcome = o
		return
	}
	s.loaded++
	m.v.Order = s.loaded
}

// dependencies loads the modules of the set that m needs, by depends and by
// symbol.
func (s *set) dependencies(m *member, self int) outcome {
	var need []int
	for _, d := range m.elf.Depends {
		p, ok := s.byName[m.scope()+moduleName(d)]
		if !ok {
			if o := s.outside(m, d); o.state != Loads {
				return o
			}
			continue
		}
		need = append(need, p)
	}
	for _, u := range m.elf.Undefined {
		if p, ok := s.exporter[m.scope()+u.Name]; ok && !slices.Contains(need, p) {
			need = append(need, p)
		}
	}
	for _, p := range need {
		if p == self {
			continue
		}
		if o := s.require(m, s.members[p], p); o.state != Loads {
			return o
		}
	}
	return fine()
}

func (s *set) require(m, other *member, p int) outcome {
	o := outcome{state: MissingDependency, rule: ruleDepends}
	if other.state == loading {
		o.errno, o.why = eNOENT, fmt.Sprintf("%s and %s need each other", m.elf.Name, other.elf.Name)
		return o
	}
	s.load(p)
	if other.outcome.state == Loads {
		return fine()
	}
	o.errno = other.outcome.errno
	o.why = fmt.Sprintf("it needs %s, which does not load (%s)", other.elf.Name, other.outcome.state)
	return o
}

// outside judges a dependency that is not in the set.
func (s *set) outside(m *member, name string) outcome {
	f := &m.facts
	if f.Symvers == nil {
		m.note("module " + name + ", which it depends on: not in the set, and no Module.symvers")
		return fine()
	}
	if m.modules[moduleName(name)] && s.comes(m, name) {
		return fine()
	}
	if s.judge.config.Load != LoadAuto { // nobody looks at depends: the symbols decide
		return fine()
	}
	return outcome{MissingDependency, eNOENT, "", ruleDepends, "it depends on module " + name + ", which is neither in the set nor of this kernel"}
}

// comes: is a module of the kernel there when m is loaded? modprobe loads it;
// insmod does not.
func (s *set) comes(m *member, name string) bool {
	return s.judge.config.Load == LoadAuto || slices.ContainsFunc(m.facts.Loaded, func(l string) bool {
		return moduleName(l) == moduleName(name)
	})
}

// symbols is simplify_symbols: every undefined symbol in the order of the
// file's symbol table; the last failure gives the errno.
func (s *set) symbols(m *member) outcome {
	result := fine()
	unknown := 0
	for _, u := range m.wanted {
		p, ok := s.exporter[m.scope()+u.Name]
		var e Export
		var inKernel bool
		var owner *judging
		switch {
		case ok && s.members[p].outcome.state == Loads:
			owner = s.members[p].judging
			e, inKernel = exportOf(owner.elf, u.Name), true
		case m.facts.Symvers == nil:
			unknown++
			continue
		default:
			e, inKernel = m.facts.Symvers.Symbols[u.Name]
			inKernel = inKernel && (e.builtin() || s.comes(m, e.moduleName()))
		}
		if o := m.resolve(u, e, inKernel, owner); o.state != Loads {
			result = o
		}
	}
	if unknown > 0 {
		m.note(fmt.Sprintf("%d symbols that it needs: no Module.symvers", unknown))
	}
	for _, check := range []func() outcome{m.relocations, m.duplicates} {
		if result.state == Loads {
			result = check()
		}
	}
	return result
}

func exportOf(m *kmod.Module, name string) Export {
	for _, e := range m.Exports {
		if e.Name == name {
			return Export{CRC: e.CRC, Module: m.Name, GPL: e.GPL, Namespace: e.Namespace}
		}
	}
	return Export{}
}

func (e Export) builtin() bool { return e.Module == "vmlinux" }

func (e Export) moduleName() string {
	return moduleName(e.Module[strings.LastIndexByte(e.Module, '/')+1:])
}

// moduleSet are the modules of the kernel that export something.
func (s *Symvers) moduleSet() map[string]bool {
	out := map[string]bool{}
	if s == nil {
		return out
	}
	for _, e := range s.Symbols {
		out[e.moduleName()] = true
	}
	return out
}
