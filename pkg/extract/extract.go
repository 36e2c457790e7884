// Package extract writes the kmods folder of a source: the modules that its
// flattened view shows, with all that later steps must know of them.
package extract

import (
	"context"
	"path"
	"runtime"
	"slices"

	"github.com/kmodseal/kmodseal/pkg/imagefs"
	"github.com/kmodseal/kmodseal/pkg/kmod"
	"github.com/kmodseal/kmodseal/pkg/manifest"
	"github.com/kmodseal/kmodseal/pkg/source"
)

// defaultMaxModules bounds the modules of one source: three distribution
// kernels for each of eight platforms.
const defaultMaxModules = 200_000

// Options of Run.
type Options struct {
	Kmods     string   // the kmods folder to write
	Include   []string // globs on the path in the image; empty: every module
	Exclude   []string
	Kernel    string   // release; empty: every one
	Platforms []string // for a folder source, at most one; images carry their own
	Cache     string   // folder of layer indexes (imagefs.Cache); empty: none
	Limits    imagefs.Limits
	// MaxModules bounds the modules taken; 0: defaultMaxModules.
	MaxModules int
	Jobs       int // 0: two
	// Lenient takes files with a module's name that cannot be read as modules,
	// without facts, for a step that judges them itself.
	Lenient  bool
	Progress func(phase string, done, total int64) // nil: none; calls do not overlap
	Warn     func(format string, args ...any)      // nil: discard
}

func (o Options) withDefaults() Options {
	if o.Jobs <= 0 {
		o.Jobs = min(2, runtime.GOMAXPROCS(0))
	}
	if o.MaxModules <= 0 {
		o.MaxModules = defaultMaxModules
	}
	if o.Limits.FileBytes <= 0 {
		o.Limits.FileBytes = imagefs.DefaultFileBytes
	}
	if o.Warn == nil {
		o.Warn = func(string, ...any) {}
	}
	return o
}

// job is one Run.
type job struct {
	Options
	choice *choice
	stage  *stage
	spool  *spool
}

// view is one platform of the source.
type view struct {
	manifest.Platform // its name is empty where each module tells its own
	tree              *imagefs.Tree
	keys              []string // of the layers, for the spool
	picked            []picked
}

// picked is a module that Include and Exclude leave.
type picked struct {
	imagefs.File
	spooled *spooled
}

// names are all paths of p in the view; the first is its own.
func (p *picked) names() []string {
	return slices.Concat([]string{p.Path}, p.HardLinks, p.Symlinks)
}

// Run reads src once and replaces the kmods folder by what it holds. On any error the
// folder is as it was. Refused are: a pattern in Include that matches nothing, a
// Kernel without modules, no module at all, a file with a module's name that is
// none (class Input), a module with bytes behind its compressed form (Damaged),
// and a Kmods that is in use for something else (Usage).
func Run(ctx context.Context, src *source.Source, o Options) (*manifest.Manifest, error) {
	j := &job{Options: o.withDefaults()}
	var err error
	if j.choice, err = newChoice(o.Include, o.Exclude); err != nil {
		return nil, err
	}
	if j.stage, err = newStage(o.Kmods); err != nil {
		return nil, err
	}
	defer j.stage.discard()
	j.spool = &spool{root: j.stage.root, max: j.MaxModules}
	m, err := j.run(ctx, src)
	if err != nil {
		return nil, err
	}
	if err := j.stage.commit(m); err != nil {
		return nil, err
	}
	return m, nil
}

func (j *job) run(ctx context.Context, src *source.Source) (*manifest.Manifest, error) {
	m := &manifest.Manifest{Schema: manifest.Schema, Source: manifest.Source{
		Name: src.Ref.String(), Kind: string(src.Ref.Kind), Digest: src.Digest.String(), Index: src.Index != nil,
	}}
	views, err := j.read(ctx, src, m)
	if err != nil {
		return nil, err
	}
	if err := j.describe(ctx, views); err != nil {
		return nil, err
	}
	if err := j.keepKernel(views); err != nil {
		return nil, err
	}
	for _, v := range views {
		if err := j.place(m, v); err != nil {
			return nil, err
		}
	}
	return m, ctx.Err()
}

// read gives the views of src with the modules that were asked for, spooled.
func (j *job) read(ctx context.Context, src *source.Source, m *manifest.Manifest) ([]*view, error) {
	if src.Ref.Kind == source.Dir {
		return j.readFolder(ctx, src.Ref.Name, m)
	}
	r, err := newReader(j, src)
	if err != nil {
		return nil, err
	}
	if err := r.first(ctx); err != nil {
		return nil, err
	}
	if err := j.pick(r.views); err != nil {
		return nil, err
	}
	return r.views, r.second(ctx)
}

func isModule(p string) bool { return kmod.IsName(path.Base(p)) }
