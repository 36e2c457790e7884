package truth

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Place is one prediction: a case, or BASE/INDEX of a mutation, on a kernel in a scenario.
type Place struct{ Kernel, Scenario, Case string }

// String is the place as the list of open differences has it.
func (p Place) String() string { return p.Kernel + "\t" + p.Scenario + "\t" + p.Case }

// Open are the predictions that are known to be wrong. The list may shrink, not grow.
type Open map[Place]bool

// ReadOpen reads the list: kernel, scenario and case, separated by tabs, one a
// line; # starts a comment.
func ReadOpen(r io.Reader) (Open, error) {
	o := Open{}
	sc := bufio.NewScanner(r)
	for sc.Scan() {
		if sc.Text() == "" || strings.HasPrefix(sc.Text(), "#") {
			continue
		}
		f := strings.Split(sc.Text(), "\t")
		if len(f) != 3 {
			return nil, fmt.Errorf("open differences: %d fields in %q", len(f), sc.Text())
		}
		p := Place{f[0], f[1], f[2]}
		if o[p] {
			return nil, fmt.Errorf("open differences: %q twice", sc.Text())
		}
		o[p] = true
	}
	return o, sc.Err()
}

// Ratchet holds what was compared against the list.
type Ratchet struct {
	Listed        Open
	Still         int     // wrong, and on the list
	Added, Closed []Place // wrong and not on the list; on the list and right
}

// Note takes one comparison.
func (r *Ratchet) Note(p Place, agrees bool) {
	switch {
	case agrees && r.Listed[p]:
		r.Closed = append(r.Closed, p)
	case !agrees && r.Listed[p]:
		r.Still++
	case !agrees:
		r.Added = append(r.Added, p)
	}
}

// Err names what is not as the list has it, in the list's own form.
func (r *Ratchet) Err() error {
	if len(r.Added)+len(r.Closed) == 0 {
		return nil
	}
	return fmt.Errorf("%d wrong predictions that are not in open-differences.txt:\n%s%d predictions in open-differences.txt that are right, take them out:\n%s",
		len(r.Added), list(r.Added), len(r.Closed), list(r.Closed))
}

func list(places []Place) string {
	var lines []string
	for _, p := range places {
		lines = append(lines, p.String()+"\n")
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}
