package offline

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/e2e/secureboot/cases"
	"github.com/kmodseal/kmodseal/e2e/secureboot/predict"
	"github.com/kmodseal/kmodseal/e2e/secureboot/suite"
	"github.com/kmodseal/kmodseal/e2e/secureboot/truth"
	"github.com/kmodseal/kmodseal/pkg/verdict"
)

// Every answer of the booted kernels is what the judge says of the same case,
// but for those that are open. A new difference fails, and so does one that is
// listed and gone: the list can only shrink.
func TestTruth(t *testing.T) {
	t.Parallel()
	tables, err := filepath.Glob("../testdata/truth-*.tsv")
	require.NoError(t, err)
	require.NotEmpty(t, tables)
	trust := cases.NewTrust()
	list, err := os.Open("../testdata/open-differences.txt")
	require.NoError(t, err)
	defer list.Close()
	open, err := truth.ReadOpen(list)
	require.NoError(t, err)
	for _, file := range tables {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			checkTable(t, file, trust, open)
		})
	}
}

func checkTable(t *testing.T, file string, trust *cases.Trust, open truth.Open) {
	t.Helper()
	f, err := os.Open(file)
	require.NoError(t, err)
	defer f.Close()
	table, err := truth.Read(f)
	require.NoError(t, err)
	config, err := os.ReadFile(strings.TrimSuffix(strings.Replace(file, "truth-", "config-", 1), ".tsv"))
	require.NoError(t, err)
	kconfig, err := verdict.ParseConfig(strings.NewReader(string(config)))
	require.NoError(t, err)
	symbols := &verdict.Symvers{Symbols: map[string]verdict.Export{}}
	for name, crc := range table.Facts.CRCs {
		symbols.Symbols[name] = verdict.Export{CRC: crc, Module: "vmlinux"}
	}
	kernel := &verdict.Kernel{Release: table.Kernel, Vermagic: table.Facts.Vermagic, Machine: Machine(table.Facts), Config: kconfig, Symvers: symbols}
	set := cases.Make(Input(table.Facts), trust)
	predictors := map[string]*predict.Predictor{}
	ratchet := truth.Ratchet{Listed: open}
	checked := 0
	for _, row := range table.Rows {
		if !comparable(row) {
			continue
		}
		p := predictors[row.Scenario]
		if p == nil {
			p = newPredictor(t, row.Scenario, kernel, set)
			predictors[row.Scenario] = p
		}
		c := set.Case(row.Case)
		if c.Unpredictable != "" {
			continue
		}
		got := suite.One(p, set, c)
		got.Lines, row.Lines = mask(got.Lines), mask(row.Lines)
		agrees := got.Agrees(row.Result, row.Lines)
		ratchet.Note(truth.Place{Kernel: table.Kernel, Scenario: row.Scenario, Case: row.Case}, agrees)
		if !agrees {
			t.Logf("%s %s: predicted %s %q by %s, the kernel said %s %q", row.Scenario, row.Case, got.Result(), got.Log(), got.Rule, row.Result, row.Lines)
		}
		checked++
	}
	t.Logf("%s: %d of %d answers checked, %d open", table.Kernel, checked, len(table.Rows), ratchet.Still)
	assert.Empty(t, ratchet.Added, "predicted wrongly and not listed")
	assert.Empty(t, ratchet.Closed, "predicted rightly and still listed: take the lines out")
	require.Greater(t, checked, len(table.Rows)*7/10)
}

func newPredictor(t *testing.T, scenario string, k *verdict.Kernel, set *cases.Set) *predict.Predictor {
	t.Helper()
	s, err := suite.Named([]string{scenario})
	require.NoError(t, err)
	p, err := predict.New(s[0].Machine(k, nil, set))
	require.NoError(t, err)
	return p
}

// comparable leaves out what needs a module that a compiler made: the
// distribution's own ones, and damage whose effect depends on the layout.
func comparable(r truth.Row) bool {
	if r.Group == "distro" || r.Group == "product" || r.Group == "driver" || strings.HasPrefix(r.Case, "kernel-other") {
		return false
	}
	switch r.Case {
	case "class-32", "elf-cut", "elf-header-only", "sections-behind-end", "tampered-cut", "inkernel-xz-two-streams":
		return false
	}
	return true
}

// mask hides the hash of a file that is not the same here.
func mask(lines []string) []string {
	sum := regexp.MustCompile(`\b[0-9a-f]{64}\b`)
	var out []string
	for _, l := range lines {
		out = append(out, sum.ReplaceAllString(l, "HASH"))
	}
	return out
}
