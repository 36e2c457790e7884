package kmm

import (
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"sort"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kmodseal/kmodseal/pkg/fault"
)

// PlanSchema is the version of the JSON form.
const PlanSchema = "kmodseal.plan/v1"

// Plan is the signing jobs of some modules for some kernels.
type Plan struct {
	Schema string `json:"schema"`
	Jobs   []Job  `json:"jobs"` // sorted by module, then kernel
	// Idle are the pairs of module and kernel for which KMM would sign nothing.
	Idle []Pair `json:"idle,omitempty"`
	// Release is that of the component in a child pipeline.
	Release string `json:"-"`
}

// Pair is a module and a kernel release.
type Pair struct {
	Module string `json:"module"`
	Kernel string `json:"kernel"`
}

// Make resolves every module for every kernel. No job at all, and two jobs that
// would write the same image, are faults of class Input.
func Make(modules []Module, kernels []string) (*Plan, error) {
	p := &Plan{Schema: PlanSchema, Jobs: []Job{}}
	if kernels = distinct(kernels); len(kernels) == 0 && len(modules) == 1 && modules[0].Line == 0 {
		kernels = []string{""}
	}
	for i := range modules {
		for _, k := range kernels {
			j, err := modules[i].Job(k)
			if err != nil {
				return nil, err
			}
			if j == nil {
				p.Idle = append(p.Idle, Pair{modules[i].Name, k})
				continue
			}
			p.Jobs = append(p.Jobs, *j)
		}
	}
	if len(p.Jobs) == 0 {
		return nil, fault.New(fault.Input, "no kernel mapping with a sign section matches %s", strings.Join(kernels, ", ")).
			Hint("KMM takes the first mapping whose literal equals the release or whose regexp matches in it")
	}
	sort.SliceStable(p.Jobs, func(a, b int) bool {
		return p.Jobs[a].Module+"\x00"+p.Jobs[a].Kernel < p.Jobs[b].Module+"\x00"+p.Jobs[b].Kernel
	})
	return p, p.collisions()
}

// Template is a Module made of image templates instead of a resource: every
// kernel matches, also none (""), where there are no variables, and paths in the
// image are not bound to a folder.
func Template(name, source, destination string, include []string) Module {
	sign := &Sign{UnsignedImage: text{string: source}}
	for _, f := range include {
		sign.Files = append(sign.Files, text{string: f})
	}
	return Module{Name: name, Container: Container{
		Modprobe: Modprobe{RawArgs: &rawArgs{}, DirName: text{string: "/"}},
		Mappings: []Mapping{{re: regexp.MustCompile(""), Image: text{string: destination}, Sign: sign}},
	}}
}

func distinct(kernels []string) []string {
	seen := map[string]bool{}
	var out []string
	for _, k := range kernels {
		if k = strings.TrimSpace(k); k != "" && !seen[k] {
			seen[k] = true
			out = append(out, k)
		}
	}
	sort.Strings(out)
	return out
}

// collisions refuses a tag for several kernels: the last job would win, and
// the nodes of the other kernels would pull modules that they cannot load.
func (p *Plan) collisions() error {
	by := map[string]*Job{}
	for i := range p.Jobs {
		j := &p.Jobs[i]
		if o := by[j.Destination]; o != nil {
			return fault.New(fault.Input, "%smodule %s for %s and module %s for %s would both write %s",
				j.at, o.Module, o.Kernel, j.Module, j.Kernel, j.Destination).
				Hint("put ${KERNEL_FULL_VERSION} into containerImage")
		}
		by[j.Destination] = j
	}
	return nil
}

// The forms that Write knows.
const (
	FormatJSON   = "json"
	FormatTekton = "tekton" // an array of kernel releases for a matrix
	FormatJob    = "job"    // the only job
	FormatGitHub = "github" // a strategy.matrix
	FormatGitLab = "gitlab" // a child pipeline
)

// Write puts p out in the given form.
func (p *Plan) Write(w io.Writer, format string) error {
	switch format {
	case FormatJob:
		j, err := p.Only()
		if err != nil {
			return err
		}
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(j)
	case FormatTekton:
		return json.NewEncoder(w).Encode(p.kernels())
	case FormatGitHub:
		return json.NewEncoder(w).Encode(map[string]any{"include": p.matrix()})
	case FormatGitLab:
		return p.childPipeline(w)
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(p)
}

// Only is the job of a plan that has one; more are a fault of class Input.
func (p *Plan) Only() (*Job, error) {
	if len(p.Jobs) != 1 {
		a, b := &p.Jobs[0], &p.Jobs[1]
		return nil, fault.New(fault.Input, "%d jobs where one is wanted: module %s for %s, module %s for %s",
			len(p.Jobs), a.Module, a.Kernel, b.Module, b.Kernel).Hint("give one --kernel, and --module-name where there are several modules")
	}
	return &p.Jobs[0], nil
}

// kernels lists each release once: a Tekton matrix fans out over it, and each
// TaskRun resolves its own job.
func (p *Plan) kernels() []string {
	var all []string
	for i := range p.Jobs {
		all = append(all, p.Jobs[i].Kernel)
	}
	return distinct(all)
}

// matrix gives one flat object of strings a job, with the names of the flags
// and inputs that it fills.
func (p *Plan) matrix() []map[string]string {
	out := make([]map[string]string, 0, len(p.Jobs))
	for i := range p.Jobs {
		j := &p.Jobs[i]
		out = append(out, map[string]string{
			"module": j.Module, "kernel": j.Kernel, "source": j.Source, "destination": j.Destination,
			"include": strings.Join(j.Include, "\n"), "require": strings.Join(j.Require, "\n"), "in-place": fmt.Sprint(j.InPlace),
			"insecure":                 fmt.Sprint(j.SourceTLS.Insecure || j.TLS.Insecure),
			"insecure-skip-tls-verify": fmt.Sprint(j.SourceTLS.SkipVerify || j.TLS.SkipVerify),
		})
	}
	return out
}

// childPipeline includes the seal-image component once a job, by a tag: GitLab knows
// the latest of a project only if that is in its catalog, and a mirror is not.
func (p *Plan) childPipeline(w io.Writer) error {
	type include struct {
		Component string            `yaml:"component"`
		Inputs    map[string]string `yaml:"inputs"`
	}
	var doc struct {
		Include []include `yaml:"include"`
	}
	for _, m := range p.matrix() {
		inputs := map[string]string{"job-name": "seal-" + m["module"] + "-" + Normalize(m["kernel"])}
		for k, v := range m {
			if k != "module" {
				inputs[k] = v
			}
		}
		doc.Include = append(doc.Include, include{"$CI_SERVER_FQDN/kmodseal/kmodseal/seal-image@" + p.Release, inputs})
	}
	e := yaml.NewEncoder(w)
	e.SetIndent(2)
	return e.Encode(doc)
}
