package templates_test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// undeclared lists inputs that a pipeline gives to components which do not
// declare them, and required ones that it lacks; GitLab refuses both,
// gitlab-ci-local does not see the first.
func undeclared(t *testing.T, pipeline []byte) (wrong []string) {
	t.Helper()
	var p struct {
		Include []struct {
			Component, Local string
			Inputs           map[string]any
		}
	}
	require.NoError(t, yaml.Unmarshal(pipeline, &p))
	ours := regexp.MustCompile(`(?:kmodseal/kmodseal|\$CI_PROJECT_PATH|templates)/([a-z-]+)`)
	for _, i := range p.Include {
		m := ours.FindStringSubmatch(i.Component + i.Local)
		require.NotNil(t, m, i)
		c := load(t, m[1])
		for n := range i.Inputs {
			if _, ok := c.Spec.Inputs[n]; !ok {
				wrong = append(wrong, n)
			}
		}
		for n, in := range c.Spec.Inputs {
			if _, given := i.Inputs[n]; in.Default == nil && !given {
				wrong = append(wrong, n)
			}
		}
	}
	return wrong
}

func TestMisspeltInputsAreFound(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		inputs string
		want   []string
	}{
		"right":    {"{source: a}", nil},
		"misspelt": {"{source: a, kernal: x}", []string{"kernal"}},
		"missing":  {"{kernel: x}", []string{"source"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := "include:\n  - component: $CI_SERVER_FQDN/kmodseal/kmodseal/extract-kmods@1\n    inputs: " + c.inputs + "\n"
			assert.Equal(t, c.want, undeclared(t, []byte(p)))
		})
	}
}

// TestExamples: every pipeline of ours gives declared inputs only.
func TestExamples(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../e2e/gitlab/pipelines/*.yml")
	require.NoError(t, err)
	for _, f := range files {
		b, err := os.ReadFile(f)
		require.NoError(t, err)
		assert.Empty(t, undeclared(t, b), f)
	}
	docs, err := filepath.Glob("*/README.md")
	require.NoError(t, err)
	fence := regexp.MustCompile("(?s)```yaml\n(include:.*?)```")
	n := 0
	for _, f := range append(docs, "../docs/gitlab.md") {
		b, err := os.ReadFile(f)
		require.NoError(t, err)
		for _, m := range fence.FindAllSubmatch(b, -1) {
			assert.Empty(t, undeclared(t, m[1]), f)
			n++
		}
	}
	assert.Greater(t, n, len(docs))
}
