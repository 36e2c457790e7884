// Package plankmods is the step that says which images are to be signed.
package plankmods

import (
	"bytes"
	"context"
	"os"
	"strings"

	"github.com/kmodseal/kmodseal/pkg/ci"
	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/kmm"
	"github.com/kmodseal/kmodseal/pkg/step"
)

type command struct {
	Module      string   `name:"module" placeholder:"FILE" help:"YAML with KMM Module or ManagedClusterModule resources; other kinds are passed over." group:"input"`
	Kernel      []string `name:"kernel" sep:"none" placeholder:"RELEASE" help:"Kernel release, as uname -r prints it." group:"input"`
	KernelsFile string   `name:"kernels-file" placeholder:"FILE" help:"File with a kernel release on each line." group:"input"`
	Source      string   `name:"source" placeholder:"TEMPLATE" help:"Without --module: the unsigned image, with variables as KMM has them, such as $${KERNEL_FULL_VERSION}." group:"input"`
	Destination string   `name:"destination" placeholder:"TEMPLATE" help:"Without --module: the signed image." group:"input"`
	Include     []string `name:"include" sep:"none" placeholder:"TEMPLATE" help:"Without --module: glob on the path of the modules to sign. Default: every module." group:"input"`
	Format      string   `name:"format" default:"json" enum:"json,tekton,github,gitlab" help:"What to print: json (all of it), tekton (an array of kernels for a matrix), github (a strategy.matrix), gitlab (a child pipeline)." group:"output"`
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
Prints a list for a Tekton matrix, a GitHub matrix or a GitLab child pipeline.`,
		Usage: []string{
			"--module FILE --kernel RELEASE ... [flags]",
			"--source TEMPLATE --destination TEMPLATE --kernels-file FILE [flags]",
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
	for _, idle := range plan.Idle {
		s.Warn("module %s: nothing to sign for kernel %s", idle.Module, idle.Kernel)
	}
	for i := range plan.Jobs {
		for _, w := range plan.Jobs[i].Warnings {
			s.Warn("module %s for %s: %s", plan.Jobs[i].Module, plan.Jobs[i].Kernel, w)
		}
	}
	var out bytes.Buffer
	if err := plan.Write(&out, c.Format); err != nil {
		return err
	}
	s.Body = out.Bytes()
	if c.Format == kmm.FormatTekton || c.Format == kmm.FormatGitHub {
		s.Results.Set(ci.Matrix, strings.TrimSpace(out.String()))
	}
	s.Count(ci.JobCount, len(plan.Jobs))
	return nil
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
	f, err := os.Open(c.Module)
	if err != nil {
		return nil, fault.New(fault.Input, "open module: %w", err)
	}
	defer f.Close()
	return kmm.Load(f, c.Module)
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
	if strings.TrimSpace(strings.Join(kernels, "")) == "" {
		return nil, fault.New(fault.Usage, "no kernel: give --kernel or --kernels-file")
	}
	return kernels, nil
}
