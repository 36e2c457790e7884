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

// Every answer of the booted kernels is what the judge says of the same case.
func TestTruth(t *testing.T) {
	t.Parallel()
	tables, err := filepath.Glob("../testdata/truth-*.tsv")
	require.NoError(t, err)
	require.NotEmpty(t, tables)
	trust := cases.NewTrust()
	for _, file := range tables {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			checkTable(t, file, trust)
		})
	}
}

func checkTable(t *testing.T, file string, trust *cases.Trust) {
	t.Helper()
	table, kernel := readTable(t, file)
	set := cases.Make(Input(table.Facts), trust)
	known := map[string]bool{}
	for _, c := range set.Cases {
		known[c.Name] = true
	}
	stale := missing(table, set)
	assert.Empty(t, stale[:min(5, len(stale))], "cases without answer: boot again with -update")
	predictors := map[string]*predict.Predictor{}
	checked, apart, elsewhere := 0, 0, 0
	for _, row := range table.Rows {
		if needsPackages(row.Group) {
			elsewhere++
			continue
		}
		if !assert.True(t, known[row.Case], "%s has answers to %s, which is no case any more", file, row.Case) {
			continue
		}
		c := set.Case(row.Case)
		if c.Unpredictable != "" {
			apart++
			continue
		}
		p := predictors[row.Scenario]
		if p == nil {
			p = newPredictor(t, row.Scenario, kernel, set)
			predictors[row.Scenario] = p
		}
		got := suite.One(p, set, c)
		got.Lines, row.Lines = mask(got.Lines), mask(row.Lines)
		assert.True(t, got.Agrees(row.Result, row.Lines), "%s %s: predicted %s %q by %s, the kernel said %s %q",
			row.Scenario, row.Case, got.Result(), got.Log(), got.Rule, row.Result, row.Lines)
		checked++
	}
	t.Logf("%s: %d answers: %d checked, %d without prediction, %d to files of packages", table.Kernel, len(table.Rows), checked, apart, elsewhere)
	require.Greater(t, checked, len(table.Rows)*7/10)
}

// missing are the cases that a table has no answer to, in the scenarios that it is about.
func missing(table *truth.Table, set *cases.Set) []string {
	answered := map[string]map[string]bool{}
	for _, row := range table.Rows {
		if answered[row.Scenario] == nil {
			answered[row.Scenario] = map[string]bool{}
		}
		answered[row.Scenario][row.Case] = true
	}
	var out []string
	for scenario, names := range answered {
		for _, c := range set.Cases {
			if !needsPackages(c.Group) && !names[c.Name] {
				out = append(out, scenario+" "+c.Name)
			}
		}
	}
	return out
}

// The tables of Debian's kernels are about every scenario of the full test,
// with 120 predicted cases at least in each.
func TestTablesAreWhole(t *testing.T) {
	t.Parallel()
	for _, series := range []string{"6.1", "6.12", "7.3"} {
		table, _ := readTable(t, "../testdata/truth-"+series+".tsv")
		predicted := map[string]int{}
		set := cases.Make(Input(table.Facts), cases.NewTrust())
		for _, row := range table.Rows {
			if needsPackages(row.Group) || set.Case(row.Case).Unpredictable == "" {
				predicted[row.Scenario]++
			}
		}
		for _, s := range suite.Scenarios() {
			assert.GreaterOrEqual(t, predicted[s.Name], 120, "%s, %s", series, s.Name)
		}
	}
	assert.GreaterOrEqual(t, suite.Mutations, 1000)
}

// readTable reads a truth table with the kernel that it is of.
func readTable(t *testing.T, file string) (*truth.Table, *verdict.Kernel) {
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
	return table, &verdict.Kernel{
		Release: table.Kernel, Vermagic: table.Facts.Vermagic, Machine: Machine(table.Facts),
		Config: kconfig, Symvers: symbols, ModuleSize: ModuleSize,
	}
}

func newPredictor(t *testing.T, scenario string, k *verdict.Kernel, set *cases.Set) *predict.Predictor {
	t.Helper()
	s, err := suite.Named([]string{scenario})
	require.NoError(t, err)
	p, err := predict.New(s[0].Machine(k, nil, set))
	require.NoError(t, err)
	return p
}

// needsPackages: groups whose modules come out of a distribution's packages, a
// driver's build or the project's own steps. A boot compares them, or a replay.
func needsPackages(group string) bool {
	return group == "distro" || group == "product" || group == "driver"
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
