package suite

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"

	"github.com/kmodseal/kmodseal/e2e/secureboot/cases"
	"github.com/kmodseal/kmodseal/e2e/secureboot/fetch"
	"github.com/kmodseal/kmodseal/e2e/secureboot/truth"
)

// answers is what the boots of one kernel said.
func answers(t *Target, chain *fetch.Boot, boots []*Boot) *truth.Table {
	out := &truth.Table{Kernel: t.Kernel.Release, Packages: map[string]string{}}
	for _, packages := range []map[string]string{t.Kernel.Packages, chain.Packages} {
		maps.Copy(out.Packages, packages)
	}
	for _, b := range boots {
		if b.Target != t {
			continue
		}
		for _, c := range t.Cases.Cases {
			if b.Log.Answers[c.Name].Result != "" {
				out.Rows = append(out.Rows, row(b, c))
			}
		}
	}
	return out
}

func row(b *Boot, c cases.Case) truth.Row {
	a := b.Log.Answers[c.Name]
	return truth.Row{Scenario: b.Scenario.Name, Group: c.Group, Case: c.Name, Method: c.Method, Result: a.Result, Lines: a.Verdict()}
}

// table is the kernel's name among the truth tables.
func (t *Target) table() string {
	if t.Kernel.Arch == fetch.AMD64 {
		return t.Kernel.Series
	}
	return t.Kernel.Arch + "-" + t.Kernel.Series
}

// keepOrCompare writes a kernel's truth table, or sees whether the one that is
// there still says what the boots said.
func (o Options) keepOrCompare(t *Target, a *truth.Table) error {
	if o.Truth == "" {
		return nil
	}
	file := filepath.Join(o.Truth, "truth-"+t.table()+".tsv")
	if o.Update {
		return o.save(file, t, a)
	}
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("no truth table %s: run with -update", file)
	}
	if err != nil {
		return err
	}
	defer f.Close()
	old, err := truth.Read(f)
	if err != nil {
		return err
	}
	if old.Kernel != a.Kernel {
		fmt.Fprintf(o.Out, "%s is of %s: -update makes it that of %s\n", file, old.Kernel, a.Kernel)
		return nil
	}
	if d := old.Differences(a); len(d) > 0 {
		return fmt.Errorf("%s is stale, run with -update: %d answers differ, such as %s", file, len(d), d[0])
	}
	return nil
}

func (o Options) save(file string, t *Target, a *truth.Table) error {
	var err error
	if a.Facts, err = truth.FactsOf(t.Probes); err != nil {
		return err
	}
	config, err := os.ReadFile(t.Kernel.Config)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(o.Truth, "config-"+t.table()), []byte(truth.Config(string(config))), 0o644); err != nil {
		return err
	}
	var b bytes.Buffer
	if err := a.Write(&b); err != nil {
		return err
	}
	return os.WriteFile(file, b.Bytes(), 0o644)
}
