package step_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/ci"
	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/report"
	"github.com/kmodseal/kmodseal/pkg/step"
)

// fake is a step whose flags are of every kind.
type fake struct {
	Source string    `name:"source" required:"" placeholder:"SRC" help:"Where from." group:"input"`
	Glob   []string  `name:"glob" sep:"none" help:"Which." group:"input"`
	Mode   string    `name:"mode" enum:"a,b" default:"a" help:"How." group:"output"`
	Off    string    `name:"off-path" default:"/x" emptyenv:"" help:"Empty means off." group:"output"`
	Max    step.Size `name:"max" default:"1K" help:"How much." group:"output"`
	Force  bool      `name:"force" help:"Even so." group:"output"`
	Paths  []string  `arg:"" optional:"" name:"path" help:"Files."`
	step.Common

	run func(context.Context, *step.Session) error
}

func (f *fake) About() step.About {
	return step.About{
		Name: "fake-step", Summary: "does nothing", Long: "Does nothing at length.", Usage: []string{"--source SRC [flags]"},
		Examples: []step.Example{{Text: "an example", Line: "fake-step --source x"}}, Codes: []int{3},
	}
}

func (f *fake) Run(ctx context.Context, s *step.Session) error {
	if f.run == nil {
		return nil
	}
	return f.run(ctx, s)
}

type result struct {
	code           int
	stdout, stderr string
}

func run(t *testing.T, f *fake, env []string, args ...string) result {
	t.Helper()
	return runIn(t.Context(), f, env, args...)
}

func runIn(ctx context.Context, f *fake, env []string, args ...string) result {
	var out, errs bytes.Buffer
	code := step.Run(ctx, f, args, env, strings.NewReader(""), &out, &errs)
	return result{code, out.String(), errs.String()}
}

func TestPrecedence(t *testing.T) {
	t.Parallel()
	env := []string{"KMODSEAL_SOURCE=env", "KMODSEAL_MODE=b", "KMODSEAL_GLOB=a,{b}\n\n c d \n", "KMODSEAL_FORCE=true", "KMODSEAL_MAX=2M"}
	f := &fake{}
	assert.Equal(t, 0, run(t, f, env).code)
	assert.Equal(t, "env", f.Source)
	assert.Equal(t, "b", f.Mode)
	assert.Equal(t, []string{"a,{b}", "c d"}, f.Glob, "lines are items, commas are not")
	assert.True(t, f.Force)
	assert.Equal(t, step.Size(2<<20), f.Max)

	f = &fake{}
	assert.Equal(t, 0, run(t, f, env, "--source", "flag", "--mode=a", "--glob", "x,y", "--glob=z", "--force=false", "p", "q").code)
	assert.Equal(t, "flag", f.Source)
	assert.Equal(t, "a", f.Mode)
	assert.Equal(t, []string{"x,y", "z"}, f.Glob)
	assert.False(t, f.Force)
	assert.Equal(t, []string{"p", "q"}, f.Paths)

	f = &fake{}
	assert.Equal(t, 0, run(t, f, nil, "--source=x").code)
	assert.Equal(t, "a", f.Mode)
	assert.Equal(t, step.Size(1024), f.Max)
}

func TestEmptyValues(t *testing.T) {
	t.Parallel()
	f := &fake{}
	r := run(t, f, []string{"KMODSEAL_MODE=", "KMODSEAL_OFF_PATH=", "KMODSEAL_GLOB="}, "--source=x", "--glob=")
	assert.Equal(t, 0, r.code, r.stderr)
	assert.Equal(t, "a", f.Mode, "an unset input of a CI system")
	assert.Empty(t, f.Off, "where empty means off")
	assert.Empty(t, f.Glob)
}

func TestUsageErrors(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		env  []string
		args []string
		want string
	}{
		"required flag missing":     {nil, nil, "missing flags: --source"},
		"required flag empty":       {nil, []string{"--source", ""}, "--source must not be empty"},
		"required variable empty":   {[]string{"KMODSEAL_SOURCE="}, nil, "missing flags: --source"},
		"unknown flag":              {nil, []string{"--sorce=x"}, `unknown flag --sorce, did you mean`},
		"not one of the words":      {nil, []string{"--source=x", "--mode=c"}, "--mode"},
		"variable not of the words": {[]string{"KMODSEAL_MODE=c"}, []string{"--source=x"}, "--mode"},
		"value missing":             {nil, []string{"--source"}, "--source"},
		"no size":                   {nil, []string{"--source=x", "--max=12Q"}, "no size"},
		"no boolean":                {[]string{"KMODSEAL_FORCE=maybe"}, []string{"--source=x"}, "bool"},
		"control characters":        {nil, []string{"--source=x", "--\x1b[31m\n"}, `\x1b[31m\x0a`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := run(t, &fake{run: func(context.Context, *step.Session) error { t.Error("it ran"); return nil }}, c.env, c.args...)
			assert.Equal(t, 2, r.code)
			assert.Empty(t, r.stdout)
			lines := strings.Split(strings.TrimSpace(r.stderr), "\n")
			require.Len(t, lines, 3)
			assert.Contains(t, lines[0], c.want)
			assert.Equal(t, "usage: fake-step --source SRC [flags]", lines[1])
			assert.Equal(t, "hint: fake-step --help lists the flags", lines[2])
		})
	}
}

func TestHelpAndVersion(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--help"}, {"-h"}, {"--help", "--source"}} {
		r := run(t, &fake{}, nil, args[:1]...)
		assert.Equal(t, 0, r.code)
		for _, want := range []string{"--source SRC\n", "--glob GLOB ...", "--mode a|b", "Input:", "Output:", "Examples:", "Exit codes:", "3  input refused", "docs"} {
			assert.Contains(t, r.stdout, want)
		}
		for _, line := range strings.Split(r.stdout, "\n") {
			assert.LessOrEqual(t, len(line), 100)
		}
	}
	r := run(t, &fake{}, nil, "--version")
	assert.Equal(t, 0, r.code)
	assert.Regexp(t, `^fake-step \S+\n$`, r.stdout)
}

func TestFlagsDescribeThemselves(t *testing.T) {
	t.Parallel()
	flags, err := step.Flags(&fake{})
	require.NoError(t, err)
	byName := map[string]step.Flag{}
	for _, f := range flags {
		byName[f.Name] = f
		assert.NotEmpty(t, f.Help, f.Name)
		assert.NotEmpty(t, f.Group, f.Name)
	}
	assert.Equal(t, step.Flag{Name: "source", Env: "KMODSEAL_SOURCE", Help: "Where from.", Group: "input", Placeholder: "SRC", Required: true}, byName["source"])
	assert.True(t, byName["glob"].Repeatable)
	assert.True(t, byName["force"].Bool)
	assert.Equal(t, "a", byName["mode"].Default)
	assert.Equal(t, []string{"a", "b"}, byName["mode"].Enum)
	assert.Empty(t, byName["help"].Env)
}

func TestErrors(t *testing.T) {
	t.Parallel()
	refused := fault.New(fault.Key, "key \x1b[2J%s: %w", "a\nb", os.ErrNotExist).Hint("do\tthis").Hint("or that")
	fail := func(context.Context, *step.Session) error { return refused }

	r := run(t, &fake{run: fail}, nil, "--source=x")
	assert.Equal(t, 4, r.code)
	assert.Equal(t, "fake-step: key \\x1b[2Ja\\x0ab: file does not exist\nhint: do\\x09this\nhint: or that\n", r.stderr)

	r = run(t, &fake{run: fail}, nil, "--source=x", "--log-format=json")
	var o struct {
		Level, Msg, Step string
		ExitCode         int
		Hints            []string
	}
	require.NoError(t, json.Unmarshal([]byte(r.stderr), &o))
	assert.Equal(t, "ERROR", o.Level)
	assert.Equal(t, 4, o.ExitCode)
	assert.Len(t, o.Hints, 2)

	for _, system := range []error{syscall.ENOSPC, fs.ErrPermission} {
		r = run(t, &fake{run: func(context.Context, *step.Session) error { return fmt.Errorf("write x: %w", system) }}, nil, "--source=x")
		assert.Equal(t, 1, r.code)
		assert.Contains(t, r.stderr, "\nhint: ", system)
	}

	r = run(t, &fake{}, nil, "--log-format", "json", "--nope")
	require.NoError(t, json.Unmarshal([]byte(r.stderr), &o), r.stderr)
	assert.Equal(t, 2, o.ExitCode)

	r = run(t, &fake{run: func(context.Context, *step.Session) error { return errors.New("disk full") }}, nil, "--source=x")
	assert.Equal(t, result{1, "", "fake-step: disk full\n"}, r)
}

func TestPanicTellsNothingOfTheData(t *testing.T) {
	t.Parallel()
	for name, bug := range map[string]func(){
		"index":  func() { _ = []int{}[len(os.Args)] },
		"string": func() { panic("secret bytes") },
		"error":  func() { panic(errors.New("secret bytes")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := run(t, &fake{run: func(context.Context, *step.Session) error { bug(); return nil }}, nil, "--source=x")
			assert.Equal(t, 1, r.code)
			assert.Contains(t, r.stderr, "fake-step: bug: ")
			assert.Contains(t, r.stderr, "step_test.go:")
			assert.NotContains(t, r.stderr, "secret")
			assert.Len(t, strings.Split(strings.TrimSpace(r.stderr), "\n"), 2)
		})
	}
}

func TestInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	r := runIn(ctx, &fake{run: func(ctx context.Context, _ *step.Session) error {
		cancel()
		return ctx.Err()
	}}, nil, "--source=x")
	assert.Equal(t, result{1, "", "fake-step: interrupted\n"}, r)
}

func TestMessages(t *testing.T) {
	t.Parallel()
	work := func(_ context.Context, s *step.Session) error {
		for i := range int64(5) {
			s.Progress("read layers", i, 5)
		}
		s.Progress("write", 1, 1)
		s.Warn("odd name %s", "x\n")
		return nil
	}
	r := run(t, &fake{run: work}, nil, "--source=x")
	assert.Equal(t, "read layers\nwrite\nwarning: odd name x\\x0a\n", r.stderr)
	r = run(t, &fake{run: work}, nil, "--source=x", "--quiet")
	assert.Empty(t, r.stderr)
	r = run(t, &fake{run: work}, nil, "--source=x", "--log-format=json")
	for _, line := range strings.Split(strings.TrimSpace(r.stderr), "\n") {
		assert.True(t, json.Valid([]byte(line)), line)
	}
	r = run(t, &fake{run: work}, []string{"GITHUB_ACTIONS=true"}, "--source=x")
	assert.Contains(t, r.stderr, "::warning::odd name x\\x0a\n")
}

// judged leaves a report and results, and fails.
func judged(_ context.Context, s *step.Session) error {
	s.Report = &report.Report{Schema: report.Schema, Step: "fake-step", Modules: []report.Module{
		{Path: "a.ko", Verdict: "unsigned", Reason: "no signature", Hint: "sign it"}, {Path: "b.ko", Verdict: "loads"},
	}}
	s.Report.Count()
	s.Results.Set(ci.Verdict, s.Report.Verdict)
	s.Count(ci.ModuleCount, 2)
	return fault.New(fault.Unsigned, "1 of 2 would not load")
}

func TestFailureKeepsReportAndResults(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	out, summary := filepath.Join(dir, "out"), filepath.Join(dir, "summary")
	env := []string{"GITHUB_ACTIONS=true", "GITHUB_OUTPUT=" + out, "GITHUB_STEP_SUMMARY=" + summary}
	r := run(t, &fake{run: judged}, env, "--source=x", "--results-dir", filepath.Join(dir, "results"), "--dotenv", filepath.Join(dir, "env"), "--output=json")
	assert.Equal(t, 5, r.code)
	var doc report.Report
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &doc))
	assert.Equal(t, 5, doc.ExitCode)
	assert.Contains(t, r.stderr, "::error file=a.ko,title=unsigned::no signature%0Ahint: sign it\n")
	assert.Contains(t, r.stderr, "::error title=fake-step::1 of 2 would not load\n")
	for file, want := range map[string]string{
		out: "verdict<<", summary: "| a&#46;ko |", filepath.Join(dir, "results", "verdict"): "unsigned", filepath.Join(dir, "env"): "VERDICT=unsigned\nMODULE_COUNT=2\n",
	} {
		b, err := os.ReadFile(file)
		require.NoError(t, err)
		assert.Contains(t, strings.ReplaceAll(string(b), "| a.ko |", "| a&#46;ko |"), want)
	}
}

// TestUsageErrorsAreAnnotated: GitHub shows which input is wrong, before anything runs.
func TestUsageErrorsAreAnnotated(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		env  []string
		args []string
		want string
	}{
		"missing flag":    {nil, nil, "::error title=fake-step::missing flags: --source=SRC"},
		"wrong value":     {[]string{"KMODSEAL_SOURCE=x", "KMODSEAL_MODE=::error::c"}, nil, "::error title=fake-step::"},
		"unknown flag":    {nil, []string{"--sauce=x"}, "::error title=fake-step::unknown flag --sauce"},
		"a flag to forge": {nil, []string{"--x\n::add-mask::y"}, "::error title=fake-step::"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := run(t, &fake{}, append(c.env, "GITHUB_ACTIONS=true"), c.args...)
			assert.Equal(t, 2, r.code)
			lines := strings.Split(r.stderr, "\n")
			assert.True(t, strings.HasPrefix(lines[0], c.want), r.stderr)
			for _, l := range lines[1:] {
				assert.False(t, strings.HasPrefix(l, "::"), r.stderr)
			}
			assert.NotContains(t, run(t, &fake{}, c.env, c.args...).stderr, "\n::error title")
		})
	}
	assert.NotContains(t, run(t, &fake{}, []string{"GITHUB_ACTIONS=true"}, "--help").stderr, "::error")
}

func TestQuietPrintsNoTable(t *testing.T) {
	t.Parallel()
	assert.Empty(t, run(t, &fake{run: judged}, nil, "--source=x", "-q").stdout)
	assert.Contains(t, run(t, &fake{run: judged}, nil, "--source=x").stdout, "a.ko")
	assert.NotEmpty(t, run(t, &fake{run: judged}, nil, "--source=x", "-q", "--output=json").stdout)
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestStdoutThatFails(t *testing.T) {
	t.Parallel()
	var errs bytes.Buffer
	ok := func(_ context.Context, s *step.Session) error { s.Report = &report.Report{}; return nil }
	assert.Equal(t, 1, step.Run(t.Context(), &fake{run: ok}, []string{"--source=x"}, nil, nil, fullDisk{}, &errs))
	assert.Contains(t, errs.String(), "no space left")
}

func TestSize(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]step.Size{"0": 0, "17": 17, "512K": 512 << 10, "3MiB": 3 << 20, "2g": 2 << 30, "1T": 1 << 40, "5B": 5} {
		var s step.Size
		require.NoError(t, s.UnmarshalText([]byte(in)), in)
		assert.Equal(t, want, s, in)
	}
	for _, in := range []string{"", "-1", "K", "1.5M", "1KM", "9999999999T", "0x10", "1 K", "99999999999999999999"} {
		var s step.Size
		assert.Error(t, s.UnmarshalText([]byte(in)), in)
	}
}
