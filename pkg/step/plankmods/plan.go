// Package plankmods is the step that says which images are to be signed.
package plankmods

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/kmodseal/kmodseal/pkg/atomicfile"
	"github.com/kmodseal/kmodseal/pkg/ci"
	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/kmm"
	"github.com/kmodseal/kmodseal/pkg/step"
)

type command struct {
	Module      string   `name:"module" placeholder:"FILE" help:"YAML with KMM Module or ManagedClusterModule resources, a file or a folder of *.yaml; other kinds are passed over." group:"input"`
	ModuleName  string   `name:"module-name" placeholder:"NAME" help:"Take only the Module of this name." group:"input"`
	Kernel      []string `name:"kernel" sep:"none" placeholder:"RELEASE" help:"Kernel release, as uname -r prints it." group:"input"`
	KernelsFile string   `name:"kernels-file" placeholder:"FILE" help:"File with a kernel release on each line." group:"input"`
	Source      string   `name:"source" placeholder:"TEMPLATE" help:"Without --module: the unsigned image, with variables as KMM has them, such as $${KERNEL_FULL_VERSION}." group:"input"`
	Destination string   `name:"destination" placeholder:"TEMPLATE" help:"Without --module: the signed image." group:"input"`
	Include     []string `name:"include" sep:"none" placeholder:"TEMPLATE" help:"Without --module: glob on the path of the modules to sign. Default: every module." group:"input"`
	InPlace     bool     `name:"in-place" help:"Let every job write to its source's own name." group:"jobs"`
	Insecure    bool     `name:"insecure" help:"Let every job talk plain HTTP to the registry." group:"jobs"`
	SkipVerify  bool     `name:"insecure-skip-tls-verify" help:"Let no job check the registry's TLS certificate." group:"jobs"`
	Format      string   `name:"format" default:"json" enum:"json,job,tekton,github,gitlab" help:"What to print: json (all of it), job (the only job, with its flags as results), tekton (an array of kernels for a matrix), github (a strategy.matrix), gitlab (a child pipeline)." group:"output"`
	Index       string   `name:"index" placeholder:"FILE" help:"Write the whole plan as JSON to FILE, too." group:"output"`
	Signed      []string `arg:"" optional:"" name:"image" help:"Signed images as NAME@sha256:HEX: which job became which image."`
	step.Common
}

// New gives the step.
func New() step.Command { return &command{} }

// About implements step.Command.
func (c *command) About() step.About {
	return step.About{
		Name:    "plan-kmods",
		Summary: "say which images are to be signed for which kernels",
		Long: `Reads the sign sections of Kernel Module Management resources and prints the signing jobs that KMM would run for the
given kernels: source, destination, globs, Secrets. Where KMM goes wrong (an unknown variable becomes empty, a + in
a kernel release becomes _ in paths, one tag serves several kernels) the plan has a warning or there is an error with the line.
Prints a list for a Tekton matrix, a GitHub matrix or a GitLab child pipeline.
With the signed images (NAME@sha256:HEX) it prints the index of what came of the plan; a job without an image, and an
image without a job, are errors.`,
		Usage: []string{
			"--module FILE --kernel RELEASE ... [flags] [IMAGE@DIGEST ...]",
			"--source TEMPLATE --destination TEMPLATE [--kernels-file FILE] [flags] [IMAGE@DIGEST ...]",
		},
		Examples: []step.Example{
			{Text: "what KMM would sign for two kernels", Line: "plan-kmods --module module.yaml --kernel 6.1.0-56-amd64 --kernel 6.12.117+deb12-amd64"},
			{Text: "a GitHub matrix without KMM", Line: "plan-kmods --source 'r.example.com/drv:${KERNEL_VERSION}-unsigned' --destination 'r.example.com/drv:${KERNEL_VERSION}' --kernels-file kernels --format github"},
		},
		Codes: []int{3},
	}
}

// Run implements step.Command.
func (c *command) Run(_ context.Context, s *step.Session) error {
	modules, err := c.modules()
	if err != nil {
		return err
	}
	kernels, err := c.kernels()
	if err != nil {
		return err
	}
	plan, err := kmm.Make(modules, kernels)
	if err != nil {
		return err
	}
	plan.Release = step.Release("v1")
	c.override(plan)
	tell(s, plan)
	if len(c.Signed) > 0 {
		if err := plan.Settle(c.Signed); err != nil {
			return err
		}
	}
	if err := c.index(plan); err != nil {
		return err
	}
	var out bytes.Buffer
	if err := plan.Write(&out, c.Format); err != nil {
		return err
	}
	s.Body = out.Bytes()
	switch c.Format {
	case kmm.FormatTekton, kmm.FormatGitHub:
		s.Results.Set(ci.Matrix, strings.TrimSpace(out.String()))
	case kmm.FormatJob:
		publish(s, &plan.Jobs[0])
	}
	s.Count(ci.JobCount, len(plan.Jobs))
	return nil
}

// override turns on in every job what the flags turn on.
func (c *command) override(p *kmm.Plan) {
	for i := range p.Jobs {
		j := &p.Jobs[i]
		j.InPlace = j.InPlace || c.InPlace
		j.TLS.Insecure = j.TLS.Insecure || c.Insecure
		j.TLS.SkipVerify = j.TLS.SkipVerify || c.SkipVerify
	}
}

func tell(s *step.Session, plan *kmm.Plan) {
	for _, idle := range plan.Idle {
		s.Warn("module %s: nothing to sign for kernel %s", idle.Module, idle.Kernel)
	}
	for i := range plan.Jobs {
		for _, w := range plan.Jobs[i].Warnings {
			s.Warn("module %s for %s: %s", plan.Jobs[i].Module, plan.Jobs[i].Kernel, w)
		}
	}
}

// index writes the file of --index.
func (c *command) index(plan *kmm.Plan) error {
	if c.Index == "" {
		return nil
	}
	var b bytes.Buffer
	if err := plan.Write(&b, kmm.FormatJSON); err != nil {
		return err
	}
	return atomicfile.Write(c.Index, b.Bytes())
}

// publish gives one job as results for the arguments of the steps that follow.
// Globs and names come as arrays of whole flags, which Tekton puts in place as
// they are.
func publish(s *step.Session, j *kmm.Job) {
	for _, r := range []struct{ name, value string }{
		{"source", j.Source},
		{"destination", j.Destination},
		{"in-place", strconv.FormatBool(j.InPlace)},
		{"insecure", strconv.FormatBool(j.TLS.Insecure || j.SourceTLS.Insecure)},
		{"insecure-skip-tls-verify", strconv.FormatBool(j.TLS.SkipVerify || j.SourceTLS.SkipVerify)},
		{"include-flags", flags("include", j.Include)},
		{"require-flags", flags("require", j.Require)},
	} {
		s.Results.Set(r.name, r.value)
	}
}

// flags is a JSON array of --name=value; a single empty value, which counts as
// none, stands for no value, for an empty array would become an empty argument.
func flags(name string, values []string) string {
	if len(values) == 0 {
		values = []string{""}
	}
	all := make([]string, len(values))
	for i, v := range values {
		all[i] = "--" + name + "=" + v
	}
	b, _ := json.Marshal(all) //nolint:errcheck,errchkjson // strings
	return string(b)
}

// modules come from the resource, or are made of the templates.
func (c *command) modules() ([]kmm.Module, error) {
	templates := c.Source != "" || c.Destination != "" || len(c.Include) > 0
	switch {
	case c.Module != "" && templates:
		return nil, fault.New(fault.Usage, "--module goes without --source, --destination and --include")
	case c.Module == "" && (c.Source == "" || c.Destination == ""):
		return nil, fault.New(fault.Usage, "give --module, or --source and --destination")
	case c.Module == "":
		return []kmm.Module{kmm.Template("driver", c.Source, c.Destination, c.Include)}, nil
	}
	all, err := load(c.Module)
	if err != nil || c.ModuleName == "" {
		return all, err
	}
	named := slices.DeleteFunc(slices.Clone(all), func(m kmm.Module) bool { return m.Name != c.ModuleName })
	if len(named) == 0 {
		var names []string
		for i := range all {
			names = append(names, all[i].Name)
		}
		return nil, fault.New(fault.Input, "%s: no Module named %q", c.Module, c.ModuleName).Hint("it has: %q", names)
	}
	return named, nil
}

func (c *command) kernels() ([]string, error) {
	kernels := c.Kernel
	if c.KernelsFile != "" {
		b, err := os.ReadFile(c.KernelsFile)
		if err != nil {
			return nil, fault.New(fault.Input, "read kernels: %w", err)
		}
		kernels = append(kernels, strings.Split(string(b), "\n")...)
	}
	if c.Module != "" && strings.TrimSpace(strings.Join(kernels, "")) == "" {
		return nil, fault.New(fault.Usage, "no kernel: give --kernel or --kernels-file")
	}
	return kernels, nil
}
