// Package truth keeps what booted kernels said of the test's modules, so that a
// predictor can be checked against it without a boot.
package truth

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Row is one kernel's answer to one case.
type Row struct {
	Scenario, Group, Case, Method string
	Result                        string   // OK, the errno's name, FAIL
	Lines                         []string // why, as dmesg has it; empty: nothing
}

// Table is all answers of one kernel.
type Table struct {
	Kernel   string
	Packages map[string]string // name to version
	Facts    Facts
	Rows     []Row
}

const lineSeparator = " | "

// Write writes the table sorted, with the packages in front.
func (t *Table) Write(w io.Writer) error {
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "# kernel\t%s\n", t.Kernel)
	for _, p := range sortedKeys(t.Packages) {
		fmt.Fprintf(out, "# package\t%s\t%s\n", p, t.Packages[p])
	}
	for _, l := range t.Facts.lines() {
		fmt.Fprintln(out, l)
	}
	fmt.Fprintln(out, "# scenario\tgroup\tcase\tmethod\tresult\tdmesg")
	slices.SortStableFunc(t.Rows, func(a, b Row) int { return cmp.Compare(a.Scenario, b.Scenario) })
	for _, r := range t.Rows {
		fmt.Fprintln(out, strings.Join([]string{r.Scenario, r.Group, r.Case, r.Method, r.Result, strings.Join(r.Lines, lineSeparator)}, "\t"))
	}
	return out.Flush()
}

// Read reads what Write wrote.
func Read(r io.Reader) (*Table, error) {
	t := &Table{Packages: map[string]string{}, Facts: Facts{CRCs: map[string]uint32{}}}
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		f := strings.Split(sc.Text(), "\t")
		switch {
		case f[0] == "# kernel" && len(f) == 2:
			t.Kernel = f[1]
		case f[0] == "# package" && len(f) == 3:
			t.Packages[f[1]] = f[2]
		case strings.HasPrefix(f[0], "#"):
			t.Facts.line(f)
		case len(f) != 6:
			return nil, fmt.Errorf("truth table: %d fields in %q", len(f), sc.Text())
		default:
			t.Rows = append(t.Rows, Row{f[0], f[1], f[2], f[3], f[4], lines(f[5])})
		}
	}
	return t, sc.Err()
}

func lines(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, lineSeparator)
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// Differences are the answers of later that t does not have so, and those that
// later does not have any more, one line each. Of scenarios that later is not
// about nothing is said. Neither are lines compared that differ from boot to
// boot: lockdown's, which the kernel leaves out when there are many, and the
// hash of a file.
func (t *Table) Differences(later *Table) []string {
	type key struct{ scenario, name string }
	was, about := map[key]string{}, map[string]bool{}
	for _, r := range t.Rows {
		was[key{r.Scenario, r.Case}] = r.essence()
	}
	var out []string
	for _, r := range later.Rows {
		about[r.Scenario] = true
		k := key{r.Scenario, r.Case}
		if have, ok := was[k]; !ok || have != r.essence() {
			out = append(out, fmt.Sprintf("%s %s: %q was %q", r.Scenario, r.Case, r.essence(), have))
		}
		delete(was, k)
	}
	for _, r := range t.Rows {
		if k := (key{r.Scenario, r.Case}); about[r.Scenario] && was[k] != "" {
			out = append(out, fmt.Sprintf("%s %s: no answer any more", r.Scenario, r.Case))
		}
	}
	return out
}

func (r Row) essence() string {
	out := []string{r.Method, r.Result}
	for _, l := range r.Lines {
		if strings.HasPrefix(l, "Module hash ") {
			l = "Module hash"
		}
		if !strings.HasPrefix(l, "Lockdown: ") {
			out = append(out, l)
		}
	}
	return strings.Join(out, lineSeparator)
}
