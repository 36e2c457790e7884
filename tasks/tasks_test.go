// Package tasks_test holds the YAML to the steps' flags, to its own references,
// to the rules of Tekton's catalog and to the README of each Task. What Tekton's
// own validation says of it is asked in e2e/tekton/pipelines, a module of its own.
package tasks_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/kmodseal/kmodseal/pkg/ci"
	"github.com/kmodseal/kmodseal/pkg/step"
	"github.com/kmodseal/kmodseal/pkg/step/catalog"
)

type object struct {
	Kind     string
	Metadata struct {
		Name                string
		Labels, Annotations map[string]string
	}
	Spec struct {
		Description  string
		Params       []named
		Workspaces   []named
		Results      []named
		Steps        []stepSpec
		Tasks        []pipelineTask
		StepTemplate map[string]any
		stepSpec
	}
}

type named struct {
	Name, Description, Type string
	Workspace               string // that a Pipeline hands on
	Default                 *string
	Optional                bool
	Value                   any
	Properties              map[string]map[string]string
}

type pipelineTask struct {
	Name               string
	TaskRef            struct{ Name string }
	Params, Workspaces []named
	Matrix             struct{ Params []named }
}

type stepSpec struct {
	Name            string
	Image           string
	Command, Args   []string
	Script          string
	Env             []struct{ Name, Value string }
	Workspaces      []named
	Results         []named
	SecurityContext map[string]any
	Resources       map[string]any `json:"computeResources"`
}

func load(t *testing.T, path string) (*object, string) {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	var o object
	require.NoError(t, yaml.Unmarshal(b, &o), path)
	return &o, string(b)
}

func all(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("*/*.yaml")
	require.NoError(t, err)
	require.Len(t, files, 13)
	return files
}

// noParam are the flags that no param stands for.
func noParam() map[string]string {
	return map[string]string{
		"help": "for people", "version": "for people", "quiet": "a pod's log has room", "output": "a pod's log is for people",
		"results-dir": "set to Tekton's folder", "dotenv": "GitLab's", "format": "fixed by the Task",
		"kmods": "workspace kmods", "key": "workspace signing-key", "cert": "workspace certificate", "trust": "workspace certificate",
		"registry-auth": "workspace registry-auth", "module": "workspace module",
	}
}

func names(list []named) []string {
	var out []string
	for _, n := range list {
		out = append(out, n.Name)
	}
	return out
}

func TestParamsAreFlags(t *testing.T) {
	t.Parallel()
	for _, cmd := range catalog.Steps() {
		name := cmd.About().Name
		flags, err := step.Flags(cmd)
		require.NoError(t, err)
		task, _ := load(t, name+"/"+name+".yaml")
		action, _ := load(t, name+"/stepaction.yaml")
		var want, common []string
		for _, f := range flags {
			if _, skip := noParam()[f.Name]; skip {
				if f.Group != "common" && f.Group != "results" && f.Name != "format" {
					common = append(common, f.Name)
				}
				continue
			}
			want = append(want, f.Name)
			for _, p := range task.Spec.Params {
				if p.Name != f.Name || p.Default == nil {
					continue
				}
				if def := f.Default; f.Bool {
					assert.Equal(t, "false", *p.Default, f.Name)
				} else {
					assert.Equal(t, def, *p.Default, "%s --%s", name, f.Name)
				}
			}
		}
		want = append(want, "log-format")
		slices.Sort(want)
		want = slices.Compact(want)
		have := names(task.Spec.Params)
		slices.Sort(have)
		assert.Equal(t, want, have, name)
		have = names(action.Spec.Params)
		assert.ElementsMatch(t, append(want, common...), have, "%s StepAction", name)
	}
}

func TestSealImageParams(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, cmd := range catalog.Steps() {
		flags, err := step.Flags(cmd)
		require.NoError(t, err)
		for _, f := range flags {
			known[f.Name] = true
		}
	}
	task, _ := load(t, "seal-image/seal-image.yaml")
	for _, p := range names(task.Spec.Params) {
		assert.True(t, known[p], p)
	}
	// What the Pipeline does not hand on: one file for all kernels would be overwritten, and kernel is the matrix.
	apart := []string{"report", "base", "cache", "kernel"}
	pipeline, _ := load(t, "seal-driver/seal-driver.yaml")
	for _, pt := range pipeline.Spec.Tasks {
		if pt.Name != "seal" {
			continue
		}
		assert.ElementsMatch(t, names(task.Spec.Params), append(names(pt.Params), apart...))
	}
}

var reference = regexp.MustCompile(`\$\((params|workspaces|results|step\.results|(?:steps|tasks)\.[\w-]+\.results)\.([\w-]+)`)

func TestReferences(t *testing.T) {
	t.Parallel()
	for _, file := range all(t) {
		o, text := load(t, file)
		used := map[string]bool{}
		for _, m := range reference.FindAllStringSubmatch(text, -1) {
			used[m[1]+"."+m[2]] = true
			switch m[1] {
			case "params":
				assert.Contains(t, names(o.Spec.Params), m[2], file)
			case "workspaces":
				assert.Contains(t, names(o.Spec.Workspaces), m[2], file)
			default:
				assert.Contains(t, results(t, o, m[1]), m[2], "%s: %s", file, m[1])
			}
		}
		for _, p := range o.Spec.Params {
			assert.True(t, used["params."+p.Name], "%s: param %s is not used", file, p.Name)
			assert.NotEmpty(t, p.Description, p.Name)
		}
		if o.Kind == "Task" {
			for _, w := range o.Spec.Workspaces {
				assert.True(t, used["workspaces."+w.Name], "%s: workspace %s is not used", file, w.Name)
			}
		}
	}
}

// results are the names that a reference to results may have.
func results(t *testing.T, o *object, of string) []string {
	t.Helper()
	var out []string
	of, _, _ = strings.Cut(of+".", "results")
	kind, name, _ := strings.Cut(strings.TrimSuffix(of, "."), ".")
	switch kind {
	case "": // of the Task, or of the StepAction
		return names(o.Spec.Results)
	case "step", "steps":
		for _, s := range o.Spec.Steps {
			if name == "" || s.Name == name {
				out = append(out, names(s.Results)...)
			}
		}
		if o.Kind == "StepAction" {
			out = names(o.Spec.Results)
		}
	case "tasks":
		for _, pt := range o.Spec.Tasks {
			if pt.Name == name {
				task, _ := load(t, pt.TaskRef.Name+"/"+pt.TaskRef.Name+".yaml")
				out = names(task.Spec.Results)
			}
		}
	}
	return out
}

// TestPipelineHandsOn: what the Pipeline gives to a Task is declared there, what the Task needs is
// given, and every workspace of the Pipeline gets somewhere.
func TestPipelineHandsOn(t *testing.T) {
	t.Parallel()
	pipeline, _ := load(t, "seal-driver/seal-driver.yaml")
	used := map[string]bool{}
	for _, pt := range pipeline.Spec.Tasks {
		task, _ := load(t, pt.TaskRef.Name+"/"+pt.TaskRef.Name+".yaml")
		given := append(names(pt.Params), names(pt.Matrix.Params)...)
		assert.Subset(t, names(task.Spec.Params), given, pt.Name)
		for _, p := range task.Spec.Params {
			assert.True(t, p.Default != nil || slices.Contains(given, p.Name), "%s needs param %s", pt.Name, p.Name)
		}
		assert.Subset(t, names(task.Spec.Workspaces), names(pt.Workspaces), pt.Name)
		for _, w := range task.Spec.Workspaces {
			assert.True(t, w.Optional || slices.Contains(names(pt.Workspaces), w.Name), "%s needs workspace %s", pt.Name, w.Name)
		}
		for _, w := range pt.Workspaces {
			assert.Contains(t, names(pipeline.Spec.Workspaces), w.Workspace, pt.Name)
			used[w.Workspace] = true
		}
	}
	for _, w := range names(pipeline.Spec.Workspaces) {
		assert.True(t, used[w], "workspace %s is not used", w)
	}
}

// TestCatalogRules: what the catalog's linter would refuse (tektoncd/catlin pkg/validator).
func TestCatalogRules(t *testing.T) {
	t.Parallel()
	for _, file := range all(t) {
		o, text := load(t, file)
		assert.NotEmpty(t, o.Metadata.Labels["app.kubernetes.io/version"], file)
		for _, a := range []string{"pipelines.minVersion", "categories", "tags", "displayName", "platforms"} {
			assert.NotEmpty(t, o.Metadata.Annotations["tekton.dev/"+a], file)
		}
		assert.NotEmpty(t, o.Spec.Description, file)
		assert.NotContains(t, text, ":latest", file)
		assert.NotContains(t, text, "secretKeyRef", file)
		steps := o.Spec.Steps
		if o.Kind == "StepAction" {
			steps = []stepSpec{o.Spec.stepSpec}
		}
		for _, s := range steps {
			assert.Regexp(t, `^ghcr\.io/kmodseal/[a-z-]+:v[\w.-]+(@sha256:[0-9a-f]{64})?$`, s.Image, file)
			assert.Empty(t, s.Script, file)
			assert.Len(t, s.Command, 1, file)
			ctx := s.SecurityContext
			if ctx == nil {
				ctx, _ = o.Spec.StepTemplate["securityContext"].(map[string]any)
			}
			assert.Equal(t, map[string]any{
				"allowPrivilegeEscalation": false, "capabilities": map[string]any{"drop": []any{"ALL"}},
				"readOnlyRootFilesystem": true, "runAsNonRoot": true, "seccompProfile": map[string]any{"type": "RuntimeDefault"},
			}, ctx, file)
			if o.Kind == "Task" {
				assert.Len(t, s.Resources, 2, file)
			}
		}
	}
}

// TestKeyIsApart: the key's Secret in the signing step alone, credentials in two.
func TestKeyIsApart(t *testing.T) {
	t.Parallel()
	o, _ := load(t, "seal-image/seal-image.yaml")
	has := map[string][]string{}
	for _, s := range o.Spec.Steps {
		for _, w := range s.Workspaces {
			has[w.Name] = append(has[w.Name], s.Name)
		}
	}
	assert.Equal(t, []string{"sign"}, has["signing-key"])
	assert.Equal(t, []string{"extract", "repack"}, has["registry-auth"])
}

// TestSummaryParams: the summary plans as the plan did, or it would look for other images.
func TestSummaryParams(t *testing.T) {
	t.Parallel()
	plan, _ := load(t, "plan-kmods/plan-kmods.yaml")
	summary, _ := load(t, "seal-summary/seal-summary.yaml")
	assert.ElementsMatch(t, append(names(plan.Spec.Params), "images"), names(summary.Spec.Params))
	pipeline, _ := load(t, "seal-driver/seal-driver.yaml")
	given := map[string]map[string]any{}
	for _, pt := range pipeline.Spec.Tasks {
		given[pt.Name] = map[string]any{}
		for _, p := range pt.Params {
			given[pt.Name][p.Name] = p.Value
		}
	}
	for name, value := range given["plan"] {
		assert.Equal(t, value, given["summary"][name], name)
	}
	assert.Equal(t, "$(tasks.seal.results.image-ref[*])", given["summary"]["images"])
}

// TestChains: the shapes of results that Tekton Chains looks for, in the Tasks that publish
// (chains docs/slsa-provenance.md, type hinting).
func TestChains(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"repack-image/repack-image.yaml", "repack-image/stepaction.yaml", "seal-image/seal-image.yaml"} {
		o, _ := load(t, file)
		by := map[string]named{}
		for _, r := range o.Spec.Results {
			by[r.Name] = r
		}
		for _, name := range []string{"IMAGE_URL", "IMAGE_DIGEST"} {
			assert.Contains(t, by, name, file)
			assert.Empty(t, by[name].Type, "%s: a string", name)
		}
		text := map[string]string{"type": "string"}
		assert.Equal(t, "object", by[ci.SourceInput].Type, file)
		assert.Equal(t, map[string]map[string]string{"uri": text, "digest": text}, by[ci.SourceInput].Properties, file)
		for name := range by {
			assert.NotRegexp(t, `.IMAGE_(URL|DIGEST)$|ARTIFACT_(OUTPUTS|URI|DIGEST)$|^IMAGES$`, name, "%s: Chains would take it for an artifact", file)
		}
	}
}
