// Package templates_test holds the GitLab components to the flags of the steps.
package templates_test

import (
	"bytes"
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
	"github.com/kmodseal/kmodseal/pkg/step/plankmods"
)

var update = flag.Bool("update", false, "write the tables of the README files")

type component struct {
	Spec struct{ Inputs map[string]input }
	Job  struct {
		Variables map[string]any
		Script    []string
	}
	text, body string
}

type input struct {
	Description, Type string
	Default           any
	Options           []string
}

// own are the inputs that are no flags; path holds the arguments.
func own() []string {
	return []string{"job-name", "stage", "image", "needs", "release", "checksum", "path"}
}

func each(t *testing.T, check func(t *testing.T, name string, c component)) {
	t.Helper()
	for name := range catalog.Jobs() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, name, load(t, name))
		})
	}
}

func load(t *testing.T, name string) component {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(name, "template.yml"))
	require.NoError(t, err)
	c := component{text: string(b)}
	d := yaml.NewDecoder(bytes.NewReader(b))
	require.NoError(t, d.Decode(&c))
	var jobs map[string]yaml.Node
	require.NoError(t, d.Decode(&jobs))
	require.Len(t, jobs, 1)
	job := jobs["$[[ inputs.job-name ]]"]
	require.NoError(t, job.Decode(&c.Job))
	_, c.body, _ = strings.Cut(c.text, "\n---\n")
	return c
}

// flags are those that the component has inputs for, each once.
func flags(t *testing.T, name string) []step.Flag {
	t.Helper()
	skip := []string{"help", "version", "output", "results-dir", "dotenv"}
	if name == "seal-image" {
		skip = append(skip, "kmods")
	}
	var all []step.Flag
	for _, cmd := range catalog.Jobs()[name] {
		fs, err := step.Flags(cmd)
		require.NoError(t, err)
		for _, f := range fs {
			if !slices.Contains(skip, f.Name) {
				skip = append(skip, f.Name)
				all = append(all, f)
			}
		}
	}
	return all
}

func TestInputsAreTheFlags(t *testing.T) {
	t.Parallel()
	// What a project has as file variables, and what fits the system.
	special := map[string]string{
		"key": "$SIGNING_KEY", "cert": "$SIGNING_CERT", "trust": "$SIGNING_CERT", "format": "gitlab", "report": "kmodseal.xml,kmodseal.codequality.json",
	}
	each(t, func(t *testing.T, name string, c component) {
		var names []string
		for _, f := range flags(t, name) {
			names = append(names, f.Name)
			in, ok := c.Spec.Inputs[f.Name]
			require.True(t, ok, "no input %s", f.Name)
			want := any(f.Default)
			switch s, ok := special[f.Name]; {
			case ok:
				want = s
			case f.Bool:
				want = "false"
			case f.Required:
				want = nil
			}
			assert.Equal(t, want, in.Default, f.Name)
			if !f.Bool {
				assert.Equal(t, f.Enum, in.Options, f.Name)
			}
			if name != "seal-image" {
				assert.Equal(t, strings.ReplaceAll(f.Help, "$${", "${"), strings.TrimSuffix(in.Description, " One a line."), f.Name)
			}
		}
		for n, in := range c.Spec.Inputs {
			assert.Contains(t, append(own(), names...), n)
			assert.NotEmpty(t, in.Description, n)
		}
	})
}

// TestEveryFlagArrives as a variable; none goes into a script, where the text
// of an input would be commands.
func TestEveryFlagArrives(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, name string, c component) {
		for _, f := range flags(t, name) {
			v := c.Job.Variables[f.Env]
			if m, ok := v.(map[string]any); ok {
				assert.Equal(t, false, m["expand"], "KMM's variables are not GitLab's")
				v = m["value"]
			}
			assert.Equal(t, "$[[ inputs."+f.Name+" ]]", v, f.Name)
		}
		assert.NotContains(t, strings.Join(c.Job.Script, "\n"), "$[[")
		for _, cmd := range catalog.Jobs()[name] {
			assert.Contains(t, strings.Join(c.Job.Script, "\n"), cmd.About().Name)
		}
	})
}

func TestInputsAreDeclaredAndUsed(t *testing.T) {
	t.Parallel()
	ref := regexp.MustCompile(`\$\[\[ inputs\.([a-z-]+) \]\]`)
	each(t, func(t *testing.T, _ string, c component) {
		used := map[string]bool{}
		for _, m := range ref.FindAllStringSubmatch(c.body, -1) {
			used[m[1]] = true
			assert.Contains(t, c.Spec.Inputs, m[1])
		}
		for n := range c.Spec.Inputs {
			assert.True(t, used[n], "input %s is unused", n)
		}
	})
}

// TestOneInstallation: a component is one file, so each repeats how it gets the binaries.
func TestOneInstallation(t *testing.T) {
	t.Parallel()
	want := load(t, "sign-kmods").Job.Script[0]
	assert.Contains(t, want, "sha256sum -c")
	each(t, func(t *testing.T, _ string, c component) { assert.Equal(t, want, c.Job.Script[0]) })
}

func TestOnlyTheSigningStepSeesTheKey(t *testing.T) {
	t.Parallel()
	for _, line := range load(t, "seal-image").Job.Script[1:] {
		assert.Equal(t, !strings.Contains(line, "sign-kmods"), strings.HasPrefix(line, "KMODSEAL_KEY= SIGNING_KEY= KBUILD_SIGN_PIN= "), line)
	}
}

// TestChildPipeline: what plan-kmods prints fits the inputs of seal-image.
func TestChildPipeline(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	code := step.Run(t.Context(), plankmods.New(), []string{
		"--source=r.example.com/d:${KERNEL_FULL_VERSION}-u", "--destination=r.example.com/d:${KERNEL_FULL_VERSION}",
		"--kernel=6.1.0-1", "--kernel=6.12.0-1", "--include=/opt/**/*.ko", "--format=gitlab",
	}, nil, nil, &out, os.Stderr)
	require.Zero(t, code)
	var child struct {
		Include []struct {
			Component string
			Inputs    map[string]string
		}
	}
	require.NoError(t, yaml.Unmarshal(out.Bytes(), &child))
	require.Len(t, child.Include, 2)
	c := load(t, "seal-image")
	for _, i := range child.Include {
		assert.Contains(t, i.Component, "/seal-image@")
		for n, v := range i.Inputs {
			in, ok := c.Spec.Inputs[n]
			require.True(t, ok, "seal-image has no input %s", n)
			if len(in.Options) > 0 {
				assert.Contains(t, in.Options, v)
			}
		}
		for n, in := range c.Spec.Inputs {
			if in.Default == nil {
				assert.Contains(t, i.Inputs, n)
			}
		}
	}
}

func TestReadmeTables(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, name string, c component) {
		file := filepath.Join(name, "README.md")
		b, err := os.ReadFile(file)
		require.NoError(t, err)
		before, rest, ok := strings.Cut(string(b), "<!-- tables -->\n")
		require.True(t, ok)
		want := before + "<!-- tables -->\n" + table(t, c)
		if *update {
			require.NoError(t, os.WriteFile(file, []byte(want), 0o644)) //nolint:gosec // documentation
			return
		}
		assert.Equal(t, want, before+"<!-- tables -->\n"+rest, "go test ./templates -update")
	})
}

func table(t *testing.T, c component) string {
	t.Helper()
	var doc struct{ Spec struct{ Inputs yaml.Node } }
	require.NoError(t, yaml.Unmarshal([]byte(c.text), &doc))
	var b strings.Builder
	b.WriteString("\n## Inputs\n\n| input | default | |\n|---|---|---|\n")
	for i, n := range doc.Spec.Inputs.Content {
		if i%2 != 0 {
			continue
		}
		in, d := c.Spec.Inputs[n.Value], "**required**"
		if in.Default != nil {
			d = ""
			if s := fmt.Sprint(in.Default); s != "" {
				d = "`" + s + "`"
			}
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", n.Value, d, strings.ReplaceAll(in.Description, "|", `\|`))
	}
	return b.String()
}
