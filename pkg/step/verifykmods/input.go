package verifykmods

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/kmodseal/kmodseal/pkg/extract"
	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/kmod"
	"github.com/kmodseal/kmodseal/pkg/manifest"
	"github.com/kmodseal/kmodseal/pkg/report"
	"github.com/kmodseal/kmodseal/pkg/step"
	"github.com/kmodseal/kmodseal/pkg/step/image"
	"github.com/kmodseal/kmodseal/pkg/verdict"
)

// input is what is judged: modules of a kmods folder, or bare files.
type input struct {
	source manifest.Source // zero for bare files
	items  []item
	close  func()
}

type item struct{ file, path, platform string }

// open finds the modules; none at all is a fault of class Input.
func (c *command) open(ctx context.Context, s *step.Session) (*input, error) {
	var in *input
	var err error
	switch {
	case c.Source != "":
		in, err = c.extracted(ctx, s)
	case len(c.Paths) > 0:
		in, err = files(c.Paths)
	default:
		in, err = folder(c.Kmods, nil)
	}
	if err != nil {
		return nil, err
	}
	if len(in.items) == 0 {
		in.close()
		return nil, fault.New(fault.Input, "no module found").Hint("modules are files named *.ko, *.ko.gz, *.ko.xz or *.ko.zst")
	}
	return in, nil
}

// extracted reads --source into a temporary kmods folder that close removes.
func (c *command) extracted(ctx context.Context, s *step.Session) (in *input, err error) {
	dir, err := os.MkdirTemp("", "verify-kmods-")
	if err != nil {
		return nil, err
	}
	remove := func() { os.RemoveAll(dir) } //nolint:errcheck // a temporary folder
	defer func() {
		if err != nil {
			remove()
		}
	}()
	o := c.Options(s)
	src, err := image.Open(ctx, "source", c.Source, o)
	if err != nil {
		return nil, err
	}
	defer src.Close() //nolint:errcheck // only read from
	kmods := filepath.Join(dir, "kmods")
	if _, err = extract.Run(ctx, src, extract.Options{
		Kmods: kmods, Platforms: o.Platforms, Progress: s.Progress, Warn: s.Warn,
		Lenient: true, // what is no module gets a verdict, too
	}); err != nil {
		return nil, err
	}
	return folder(kmods, remove)
}

func folder(dir string, remove func()) (*input, error) {
	m, err := manifest.Load(dir)
	if err != nil {
		return nil, err
	}
	in := &input{source: m.Source, close: func() {}}
	if remove != nil {
		in.close = remove
	}
	for i := range m.Modules {
		e := &m.Modules[i]
		in.items = append(in.items, item{filepath.Join(dir, filepath.FromSlash(e.File)), e.Path, e.Platform})
	}
	return in, nil
}

// files takes files as they are named, and from folders what has a module's
// name, links to files such as those of weak-updates included: modprobe follows
// them. A file that several of these lead to is taken once.
func files(paths []string) (*input, error) {
	f := &finder{input: &input{close: func() {}}, seen: map[string]bool{}}
	for _, p := range paths {
		if err := f.argument(p); err != nil {
			return nil, fault.New(fault.Input, "%w", err).Hint(nameModules)
		}
	}
	for _, l := range f.links { // last, so that a file is shown by its own name
		info, err := os.Stat(l)
		if err == nil && !info.IsDir() {
			err = f.add(l)
		}
		if err != nil {
			return nil, fault.New(fault.Input, "%w", err).Hint(nameModules)
		}
	}
	return f.input, nil
}

type finder struct {
	*input
	seen  map[string]bool // files, links resolved
	links []string        // with a module's name, below folders
}

func (f *finder) argument(p string) error {
	info, err := os.Stat(p)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return f.add(p)
	}
	return filepath.WalkDir(p, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || d.IsDir() || !kmod.IsName(d.Name()):
			return err
		case d.Type()&fs.ModeSymlink != 0:
			f.links = append(f.links, name)
			return nil
		}
		return f.add(name)
	})
}

func (f *finder) add(name string) error {
	real, err := filepath.Abs(name)
	if err == nil {
		real, err = filepath.EvalSymlinks(real)
	}
	if err == nil && !f.seen[real] {
		f.seen[real] = true
		f.items = append(f.items, item{file: name, path: name})
	}
	return err
}

// judge reads and examines the modules, several at a time, holds them against
// each other, and reports in their order.
func (in *input) judge(ctx context.Context, name string, j *verdict.Judge, progress func(string, int64, int64)) (*report.Report, error) {
	r := &report.Report{
		Schema: report.Schema, Step: name, Source: in.source.Name, SourceDigest: in.source.Digest,
	}
	found := make([]*verdict.Finding, len(in.items))
	var done atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, it := range in.items {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			stored, err := read(it.file)
			if err != nil {
				return fault.New(fault.ClassOf(err), "%w", err).Hint(nameModules)
			}
			found[i] = j.Examine(verdict.Module{Path: it.path, Platform: it.platform, Stored: stored})
			progress("check modules", done.Add(1), int64(len(in.items)))
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for _, v := range j.Conclude(found) {
		r.Modules = append(r.Modules, report.FromVerdict(&v))
	}
	return r.Count(), nil
}

const nameModules = "name module files, or folders with files called *.ko, *.ko.gz, *.ko.xz or *.ko.zst"

// read refuses what is no regular file, and what is larger than any module.
func read(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, fault.New(fault.Input, "%w", err)
	}
	if !info.Mode().IsRegular() || info.Size() > kmod.DefaultLimit {
		return nil, fault.New(fault.Input, "read %s: not a regular file of at most %d bytes", file, int64(kmod.DefaultLimit))
	}
	return os.ReadFile(file)
}
