package actions_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// undeclared walks a workflow for uses of our actions and of the reusable
// workflow and lists inputs that these do not declare, and required ones that
// are missing. actionlint looks at local actions only.
func undeclared(t *testing.T, node any) (wrong []string) {
	t.Helper()
	switch n := node.(type) {
	case []any:
		for _, c := range n {
			wrong = append(wrong, undeclared(t, c)...)
		}
	case map[string]any:
		for _, c := range n {
			wrong = append(wrong, undeclared(t, c)...)
		}
		uses, _ := n["uses"].(string)
		m := regexp.MustCompile(`kmodseal/actions/([a-z-]+)@|(seal-driver)\.yml`).FindStringSubmatch(uses)
		if m == nil {
			break
		}
		with, _ := n["with"].(map[string]any)
		inputs := declared(t, m[1])
		for k := range with {
			if _, ok := inputs[k]; !ok {
				wrong = append(wrong, k)
			}
		}
		for k, required := range inputs {
			if _, ok := with[k]; required && !ok {
				wrong = append(wrong, k)
			}
		}
	}
	return wrong
}

// declared are the inputs of an action, or of the reusable workflow (""), and
// whether they are required.
func declared(t *testing.T, name string) map[string]bool {
	t.Helper()
	inputs := map[string]bool{}
	if name != "" {
		a, _ := load(t, name)
		for n, i := range a.Inputs {
			inputs[n] = i.Required
		}
		return inputs
	}
	b, err := os.ReadFile("../.github/workflows/seal-driver.yml")
	require.NoError(t, err)
	var w struct {
		On struct {
			WorkflowCall struct {
				Inputs map[string]struct{ Required bool }
			} `yaml:"workflow_call"`
		}
	}
	require.NoError(t, yaml.Unmarshal(b, &w))
	for n, i := range w.On.WorkflowCall.Inputs {
		inputs[n] = i.Required
	}
	return inputs
}

func parse(t *testing.T, text []byte) (doc any) {
	t.Helper()
	require.NoError(t, yaml.Unmarshal(text, &doc), string(text))
	return doc
}

func TestMisspeltInputsAreFound(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		step string
		want []string
	}{
		"right":    {"{uses: kmodseal/kmodseal/actions/extract-kmods@v1, with: {source: a}}", nil},
		"misspelt": {"{uses: kmodseal/kmodseal/actions/extract-kmods@v1, with: {source: a, kernal: b}}", []string{"kernal"}},
		"missing":  {"{uses: kmodseal/kmodseal/actions/extract-kmods@v1}", []string{"source"}},
		"workflow": {"{uses: kmodseal/kmodseal/.github/workflows/seal-driver.yml@v1, with: {kernal: b}}", []string{"kernal", "cert"}},
		"others":   {"{uses: actions/checkout@v4, with: {kernal: b}}", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, c.want, undeclared(t, parse(t, []byte("- "+c.step))))
		})
	}
}

// TestWorkflows: ours, those of the tests and the examples of the pages give
// declared inputs only.
func TestWorkflows(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{"../.github/workflows/*.yml", "../e2e/github/workflows/*.yml"} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		require.NotEmpty(t, files)
		for _, f := range files {
			b, err := os.ReadFile(f)
			require.NoError(t, err)
			assert.Empty(t, undeclared(t, parse(t, b)), f)
		}
	}
	pages, err := filepath.Glob("*/README.md")
	require.NoError(t, err)
	fence := regexp.MustCompile("(?s)```yaml\n(.*?)```")
	for _, f := range append(pages, "../docs/github.md") {
		b, err := os.ReadFile(f)
		require.NoError(t, err)
		blocks := fence.FindAllSubmatch(b, -1)
		assert.NotEmpty(t, blocks, f)
		for _, m := range blocks {
			assert.Empty(t, undeclared(t, parse(t, m[1])), f)
		}
	}
}

// TestThirdPartiesArePinned by a commit.
func TestThirdPartiesArePinned(t *testing.T) {
	t.Parallel()
	uses := regexp.MustCompile(`(?m)uses: *(\S+)`)
	pinned := regexp.MustCompile(`^(\./|kmodseal/kmodseal/)|@[0-9a-f]{40}$`)
	for _, pattern := range []string{"../.github/workflows/*.yml", "../e2e/github/workflows/*.yml", "*/action.yml"} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, f := range files {
			b, err := os.ReadFile(f)
			require.NoError(t, err)
			for _, m := range uses.FindAllSubmatch(b, -1) {
				assert.Regexp(t, pinned, string(m[1]), f)
			}
		}
	}
}

// TestProjectCI: the jobs of the project's own workflow make what .ci/run makes.
func TestProjectCI(t *testing.T) {
	t.Parallel()
	script, err := os.ReadFile("../.ci/run")
	require.NoError(t, err)
	b, err := os.ReadFile("../.github/workflows/ci.yml")
	require.NoError(t, err)
	var w struct {
		Jobs struct {
			Make struct {
				Strategy struct {
					Matrix struct{ Include []struct{ Targets string } }
				}
			}
		}
	}
	require.NoError(t, yaml.Unmarshal(b, &w))
	made := map[string]bool{}
	for _, job := range w.Jobs.Make.Strategy.Matrix.Include {
		for _, target := range strings.Fields(job.Targets) {
			made[target] = true
		}
	}
	targets := regexp.MustCompile(`(?m)^make ([a-z0-9-]+)`).FindAllStringSubmatch(string(script), -1)
	require.NotEmpty(t, targets)
	for _, m := range targets {
		assert.True(t, made[m[1]], "no job makes %s", m[1])
	}
}

// TestPermissions: every workflow says what its token may do, and no token may
// do everything.
func TestPermissions(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../.github/workflows/*.yml")
	require.NoError(t, err)
	for _, f := range files {
		b, err := os.ReadFile(f)
		require.NoError(t, err)
		var w struct{ Permissions map[string]string }
		require.NoError(t, yaml.Unmarshal(b, &w), f)
		require.NotNil(t, w.Permissions, f)
		for what, level := range w.Permissions {
			assert.Equal(t, "read", level, "%s: %s for all jobs", f, what)
		}
		assert.NotContains(t, string(b), "write-all", f)
	}
}
