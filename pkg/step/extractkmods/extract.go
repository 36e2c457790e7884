// Package extractkmods is the step that takes the modules out of an image.
package extractkmods

import (
	"context"
	"strings"

	"github.com/kmodseal/kmodseal/pkg/ci"
	"github.com/kmodseal/kmodseal/pkg/extract"
	"github.com/kmodseal/kmodseal/pkg/imagefs"
	"github.com/kmodseal/kmodseal/pkg/report"
	"github.com/kmodseal/kmodseal/pkg/step"
	"github.com/kmodseal/kmodseal/pkg/step/image"
)

type command struct {
	Source        string    `name:"source" required:"" placeholder:"SRC" help:"Image or folder: REF, docker://REF, oci:DIR[:TAG], oci-archive:FILE, docker-archive:FILE or dir:PATH." group:"input"`
	Include       []string  `name:"include" sep:"none" placeholder:"GLOB" help:"Take only modules whose path in the image matches; ** and {a,b} work. Default: every module." group:"input"`
	Exclude       []string  `name:"exclude" sep:"none" placeholder:"GLOB" help:"Leave out modules whose path in the image matches." group:"input"`
	Kernel        string    `name:"kernel" placeholder:"RELEASE" help:"Take only modules built for this kernel release. Default: every one." group:"input"`
	Kmods         string    `name:"kmods" default:"kmods" placeholder:"DIR" help:"The kmods folder to write; what it holds is replaced." group:"output"`
	Cache         string    `name:"cache" placeholder:"DIR" help:"Remember what each layer holds in DIR, so that the next run on the same base skips it." group:"output"`
	MaxEntries    int       `name:"max-entries" default:"0" placeholder:"N" help:"Refuse a layer with more entries. 0: a built-in limit." group:"limits"`
	MaxLayerSize  step.Size `name:"max-layer-size" default:"0" placeholder:"SIZE" help:"Refuse a layer that inflates to more bytes (K, M, G). 0: a built-in limit." group:"limits"`
	MaxModuleSize step.Size `name:"max-module-size" default:"0" placeholder:"SIZE" help:"Refuse a larger module (K, M, G). 0: a built-in limit." group:"limits"`
	image.Flags
	step.Common
}

// New gives the step.
func New() step.Command { return &command{} }

// About implements step.Command.
func (c *command) About() step.About {
	return step.About{
		Name:    "extract-kmods",
		Summary: "take the kernel modules out of an image",
		Long: `Reads an image, or a folder, once and writes every kernel module that its file system shows
(the last layer wins, deleted files are gone, links are followed inside the image) to the kmods folder,
together with kmods.json, which says where each came from. Needs no root, no container engine and no key.`,
		Usage: []string{"--source SRC [--kmods DIR] [--include GLOB ...] [flags]"},
		Examples: []step.Example{
			{Text: "every module of an image", Line: "extract-kmods --source registry.example.com/driver:1.0-6.1.0-56-amd64"},
			{Text: "one folder of a local OCI layout", Line: "extract-kmods --source oci:build:latest --include 'opt/lib/modules/**' --kmods out"},
			{Text: "what a build left in a folder", Line: "extract-kmods --source dir:./build"},
		},
		Codes: []int{3, 9},
	}
}

// Run implements step.Command.
func (c *command) Run(ctx context.Context, s *step.Session) error {
	o := c.Options(s)
	src, err := image.Open(ctx, "source", c.Source, o)
	if err != nil {
		return err
	}
	defer src.Close() //nolint:errcheck // only read from
	m, err := extract.Run(ctx, src, extract.Options{
		Kmods: c.Kmods, Include: c.Include, Exclude: c.Exclude, Kernel: c.Kernel, Platforms: o.Platforms, Cache: c.Cache,
		Limits:   imagefs.Limits{Entries: c.MaxEntries, LayerBytes: int64(c.MaxLayerSize), FileBytes: int64(c.MaxModuleSize)},
		Progress: s.Progress, Warn: s.Warn,
	})
	if err != nil {
		return err
	}
	s.Report = report.FromManifest(c.About().Name, m)
	s.Results.Set(ci.SourceDigest, m.Source.Digest)
	s.Results.Set(ci.KernelReleases, strings.Join(s.Report.Kernels(), ","))
	s.Count(ci.ModuleCount, len(m.Modules))
	return nil
}
