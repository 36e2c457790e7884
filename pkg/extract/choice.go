package extract

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/imagefs"
)

// choice is --include and --exclude.
type choice struct{ include, exclude []*pattern }

// pattern is a doublestar glob on a path without leading slash.
type pattern struct {
	text string // as given
	glob string
	hit  bool
}

func newChoice(include, exclude []string) (*choice, error) {
	c := &choice{}
	for _, l := range []struct {
		flag string
		from []string
		to   *[]*pattern
	}{{"include", include, &c.include}, {"exclude", exclude, &c.exclude}} {
		for _, text := range l.from {
			glob := strings.TrimLeft(text, "/")
			if glob == "" || !doublestar.ValidatePattern(glob) {
				return nil, fault.New(fault.Usage, "--%s %q is no valid pattern", l.flag, text).
					Hint("patterns know * ? [a-z] {a,b} and ** for any folders; a backslash takes a character as it is")
			}
			*l.to = append(*l.to, &pattern{text: text, glob: glob})
		}
	}
	return c, nil
}

func (p *pattern) matches(name string) bool {
	return doublestar.MatchUnvalidated(p.glob, name)
}

// path says whether the patterns take a module of that name.
func (c *choice) path(name string) bool {
	is := func(p *pattern) bool { return p.matches(name) }
	return (len(c.include) == 0 || slices.ContainsFunc(c.include, is)) && !slices.ContainsFunc(c.exclude, is)
}

// takes says whether the patterns take f by one of its names, and notes which
// patterns matched. The name that its entry has in the layer is another
// spelling of the path: the two differ where a link is among the folders.
func (c *choice) takes(f imagefs.File) bool {
	names := [][]string{{f.Path}}
	if e := f.Entry.Path; path.Base(e) == path.Base(f.Path) {
		names[0] = append(names[0], e)
	}
	for _, n := range slices.Concat(f.HardLinks, f.Symlinks) {
		names = append(names, []string{n})
	}
	taken := false
	for _, spellings := range names {
		if !isModule(spellings[0]) && !isModule(spellings[len(spellings)-1]) {
			continue
		}
		in := mark(c.include, spellings) || len(c.include) == 0
		out := mark(c.exclude, spellings)
		taken = taken || in && !out
	}
	return taken
}

// mark notes every pattern that matches a spelling, and says whether one did.
func mark(patterns []*pattern, spellings []string) bool {
	any := false
	for _, p := range patterns {
		if slices.ContainsFunc(spellings, p.matches) {
			p.hit, any = true, true
		}
	}
	return any
}

// unmatched refuses a pattern that matched nothing of found: a misspelt
// include would leave modules unsigned, a misspelt exclude sign what was not meant.
func (c *choice) unmatched(found []string) error {
	for _, p := range slices.Concat(c.include, c.exclude) {
		if !p.hit {
			return p.explain(found)
		}
	}
	return nil
}

func (p *pattern) explain(found []string) error {
	err := fault.New(fault.Input, "pattern %q matches no module", p.text)
	plus := func(n string) bool { return p.matches(strings.ReplaceAll(n, "+", "_")) }
	if i := slices.IndexFunc(found, plus); i >= 0 {
		err = err.Hint("the path in the image has + where the pattern has _: %q", found[i])
	}
	if !strings.Contains(p.glob, "/") {
		err = err.Hint("a pattern is compared with the whole path: **/%s matches in every folder", p.glob)
	}
	if len(found) == 0 {
		return err.Hint("the source has no module at all")
	}
	return err.Hint("modules found: %s", few(found))
}

// few quotes the first of list.
func few(list []string) string {
	const most = 5
	var b strings.Builder
	for i, s := range list[:min(len(list), most)] {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%q", s)
	}
	if len(list) > most {
		fmt.Fprintf(&b, " and %d more", len(list)-most)
	}
	return b.String()
}

func sortedKeys(m map[string]bool) []string { return slices.Sorted(maps.Keys(m)) }
