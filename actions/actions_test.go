// Package actions_test holds the actions to the flags of the steps.
package actions_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/kmodseal/kmodseal/pkg/step"
	"github.com/kmodseal/kmodseal/pkg/step/catalog"
)

var update = flag.Bool("update", false, "write the tables of the README files")

// action is an action.yml, as far as it is looked at.
type action struct {
	Name, Description, Author string
	Branding                  struct{ Icon, Color string }
	Inputs                    map[string]input
	Outputs                   map[string]struct{ Description, Value string }
	Runs                      struct {
		Using string
		Steps []struct {
			ID, Shell, Run, Uses string
			Env                  map[string]string
		}
	}
}

type input struct {
	Description string
	Required    bool
	Default     *string
}

// notInputs are flags that have no use in an action.
func notInputs() []string { return []string{"help", "version", "output", "results-dir", "dotenv"} }

func load(t *testing.T, name string) (a action, text string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(name, "action.yml"))
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(b, &a))
	return a, string(b)
}

func each(t *testing.T, check func(t *testing.T, name string, a action, text string)) {
	t.Helper()
	for name := range catalog.Jobs() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, text := load(t, name)
			check(t, name, a, text)
		})
	}
}

func TestEveryStepHasAnAction(t *testing.T) {
	t.Parallel()
	dirs, err := filepath.Glob("*/action.yml")
	require.NoError(t, err)
	assert.Len(t, dirs, len(catalog.Jobs()))
	binaries, err := os.ReadDir("../steps")
	require.NoError(t, err)
	for _, b := range binaries {
		assert.Contains(t, catalog.Jobs(), b.Name())
	}
}

// wanted gives the inputs by the flags: name to default, nil where required.
func wanted(t *testing.T, name string) map[string]*string {
	t.Helper()
	want := map[string]*string{}
	for _, cmd := range catalog.Jobs()[name] {
		flags, err := step.Flags(cmd)
		require.NoError(t, err)
		for _, f := range flags {
			if slices.Contains(notInputs(), f.Name) || name == "seal-image" && f.Name == "kmods" {
				continue
			}
			d := &f.Default
			switch {
			case f.Bool:
				d = ptr("false")
			case f.Name == "key":
				d = ptr("env:SIGNING_KEY")
			case f.Name == "format":
				d = ptr("github")
			case f.Required && name == "seal-image" && f.Name == "trust":
				d = ptr("") // the input cert stands in
			case f.Required:
				d = nil
			}
			if _, ok := want[f.Name]; !ok {
				want[f.Name] = d
			}
		}
	}
	if name == "sign-kmods" || name == "verify-kmods" {
		want["path"] = ptr("") // the arguments
	}
	return want
}

func ptr(s string) *string { return &s }

func TestInputsAreTheFlags(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, name string, a action, _ string) {
		got := map[string]*string{}
		for n, i := range a.Inputs {
			got[n] = i.Default
			assert.Equal(t, i.Default == nil, i.Required, "%s: required or a default, not both", n)
			assert.NotEmpty(t, i.Description, n)
		}
		assert.Equal(t, wanted(t, name), got)
	})
}

func TestDescriptionsAreTheFlags(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, name string, a action, _ string) {
		if name == "seal-image" {
			t.Skip("its inputs stand for several steps")
		}
		flags, err := step.Flags(catalog.Jobs()[name][0])
		require.NoError(t, err)
		for _, f := range flags {
			if i, ok := a.Inputs[f.Name]; ok {
				assert.Equal(t, strings.ReplaceAll(f.Help, "$${", "${"), strings.TrimSuffix(i.Description, " One a line."), f.Name)
				assert.Equal(t, f.Repeatable, strings.HasSuffix(i.Description, " One a line."), f.Name)
			}
		}
	})
}

// TestEveryFlagArrives: the step that has a flag gets the input of its name
// as KMODSEAL_<FLAG>, and no step gets what it has no flag for.
func TestEveryFlagArrives(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, name string, a action, _ string) {
		ran := a.Runs.Steps[1:]
		require.Len(t, ran, len(catalog.Jobs()[name]))
		for i, cmd := range catalog.Jobs()[name] {
			flags, err := step.Flags(cmd)
			require.NoError(t, err)
			want := []string{"BIN"}
			for _, f := range flags {
				if !slices.Contains(notInputs(), f.Name) && !left(name, cmd.About().Name, f.Name) {
					want = append(want, f.Env)
				}
			}
			var got []string
			for k, v := range ran[i].Env {
				if k != "ARGUMENTS" && v != "" {
					got = append(got, k)
				}
				if f, ok := strings.CutPrefix(k, "KMODSEAL_"); ok && f != "KMODS" {
					assert.Contains(t, v, "inputs."+strings.ToLower(strings.ReplaceAll(f, "_", "-")), k)
				}
			}
			assert.ElementsMatch(t, want, got, cmd.About().Name)
			assert.Contains(t, ran[i].Run, "run.sh\" "+cmd.About().Name)
		}
	})
}

// left are the flags of a step that seal-image leaves alone: its kernel is
// checked, not picked out, and it checks the kmods folder, not the source.
func left(action, cmd, flag string) bool {
	return action == "seal-image" && (cmd == "extract-kmods" && flag == "kernel" || cmd == "verify-kmods" && flag == "source")
}

func TestInputsAndOutputsAreDeclaredAndUsed(t *testing.T) {
	t.Parallel()
	ref := regexp.MustCompile(`\b(inputs|steps)\.([a-z-]+)`)
	each(t, func(t *testing.T, _ string, a action, text string) {
		used := map[string]bool{}
		for _, m := range ref.FindAllStringSubmatch(text, -1) {
			if m[1] == "inputs" {
				used[m[2]] = true
				assert.Contains(t, a.Inputs, m[2])
				continue
			}
			assert.True(t, slices.ContainsFunc(a.Runs.Steps, func(s struct {
				ID, Shell, Run, Uses string
				Env                  map[string]string
			},
			) bool {
				return s.ID == m[2]
			}), m[0])
		}
		for n := range a.Inputs {
			assert.True(t, used[n], "input %s is unused", n)
		}
		for n, o := range a.Outputs {
			assert.Regexp(t, `^\$\{\{ steps\.[a-z]+\.outputs\.`+n+` \}\}$`, o.Value)
			assert.NotEmpty(t, o.Description)
		}
	})
}

// TestScripts: actionlint sees neither a missing shell in a composite action
// nor an expression in its script.
func TestScripts(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, name string, a action, text string) {
		assert.Equal(t, "composite", a.Runs.Using)
		assert.Equal(t, "kmodseal "+name, a.Name)
		assert.NotEmpty(t, a.Branding.Icon)
		assert.NotEmpty(t, a.Branding.Color)
		assert.NotContains(t, text, "secrets.")
		for _, s := range a.Runs.Steps {
			assert.Empty(t, s.Uses, "no third parties")
			assert.Equal(t, "bash", s.Shell)
			assert.NotContains(t, s.Run, "${{")
		}
	})
}

// TestOnlyTheSigningStepSeesTheKey: the environment of the caller reaches
// every step of a composite action.
func TestOnlyTheSigningStepSeesTheKey(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, _ string, a action, _ string) {
		for _, s := range a.Runs.Steps {
			for _, secret := range []string{"SIGNING_KEY", "KBUILD_SIGN_PIN"} {
				v, blank := s.Env[secret]
				assert.Empty(t, v)
				assert.Equal(t, !strings.Contains(s.Run, "run.sh\" sign-kmods"), blank, "%s in %s", secret, s.ID)
			}
		}
	})
}

func TestReadmeTables(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, name string, a action, text string) {
		file := filepath.Join(name, "README.md")
		b, err := os.ReadFile(file)
		require.NoError(t, err)
		before, rest, ok := strings.Cut(string(b), "<!-- tables -->\n")
		require.True(t, ok)
		want := before + "<!-- tables -->\n" + tables(t, a, text)
		if *update {
			require.NoError(t, os.WriteFile(file, []byte(want), 0o644)) //nolint:gosec // documentation
			return
		}
		assert.Equal(t, want, before+"<!-- tables -->\n"+rest, "go test ./actions -update")
	})
}

// tables are the inputs and outputs in the order of the file.
func tables(t *testing.T, a action, text string) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("\n## Inputs\n\n| input | default | |\n|---|---|---|\n")
	for _, n := range order(t, text, "inputs") {
		d := "**required**"
		if i := a.Inputs[n]; i.Default != nil {
			d = ""
			if *i.Default != "" {
				d = "`" + *i.Default + "`"
			}
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", n, d, strings.ReplaceAll(a.Inputs[n].Description, "|", `\|`))
	}
	b.WriteString("\n## Outputs\n\n| output | |\n|---|---|\n")
	for _, n := range order(t, text, "outputs") {
		fmt.Fprintf(&b, "| `%s` | %s |\n", n, a.Outputs[n].Description)
	}
	return b.String()
}

func order(t *testing.T, text, key string) []string {
	t.Helper()
	var doc map[string]yaml.Node
	require.NoError(t, yaml.Unmarshal([]byte(text), &doc))
	var names []string
	for i, n := range doc[key].Content {
		if i%2 == 0 {
			names = append(names, n.Value)
		}
	}
	return names
}
