package extract

import (
	"archive/tar"
	"context"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/imagefs"
	"github.com/kmodseal/kmodseal/pkg/manifest"
	"github.com/kmodseal/kmodseal/pkg/progress"
	"github.com/kmodseal/kmodseal/pkg/source"
)

// reader reads the layers of all images of a source, each once.
type reader struct {
	*job
	views  []*view
	stacks [][]*layer // of the views, lowest first
	layers []*layer   // each digest once
}

// layer is one layer, whatever the number of images that have it.
type layer struct {
	v1.Layer
	digest  v1.Hash
	size    int64
	entries []imagefs.Entry
}

func newReader(j *job, src *source.Source) (*reader, error) {
	r := &reader{job: j}
	known := map[v1.Hash]*layer{}
	for _, img := range src.Images {
		m, err := img.Manifest()
		if err != nil {
			return nil, fmt.Errorf("read manifest of %s: %w", img.Platform, err)
		}
		layers, err := img.Layers()
		if err != nil {
			return nil, fmt.Errorf("read layers of %s: %w", img.Platform, err)
		}
		if len(layers) != len(m.Layers) {
			return nil, fault.New(fault.Input, "%s: manifest lists %d layers, the image has %d", img.Platform, len(m.Layers), len(layers))
		}
		v := &view{Platform: manifest.Platform{Platform: img.Platform, Digest: img.Descriptor.Digest.String()}}
		var stack []*layer
		for i, d := range m.Layers {
			if known[d.Digest] == nil {
				known[d.Digest] = &layer{Layer: layers[i], digest: d.Digest, size: d.Size}
				r.layers = append(r.layers, known[d.Digest])
			}
			v.Layers = append(v.Layers, d.Digest.String())
			stack = append(stack, known[d.Digest])
		}
		v.keys = v.Layers
		r.views, r.stacks = append(r.views, v), append(r.stacks, stack)
	}
	return r, nil
}

// first learns what every layer holds, from the cache or by reading it, spools
// the modules on the way, and flattens.
func (r *reader) first(ctx context.Context) error {
	var missing []*layer
	r.Limits.Room = imagefs.NewRoom()
	cache := imagefs.Cache{Dir: r.Cache}
	for _, l := range r.layers {
		var ok bool
		if r.Cache != "" {
			l.entries, ok = cache.Load(l.digest, r.Limits)
		}
		if !ok {
			missing = append(missing, l)
		}
	}
	want := func(p string) bool { return isModule(p) && r.choice.path(p) }
	err := r.scanAll(ctx, "read layers", missing, func(*layer) func(string) bool { return want })
	if err != nil {
		return err
	}
	for _, l := range missing {
		if r.Cache == "" {
			break
		}
		if err := cache.Save(l.digest, l.entries); err != nil {
			r.Warn("%v", err)
		}
	}
	return r.flatten()
}

func (r *reader) flatten() error {
	for i, v := range r.views {
		layers := make([]imagefs.Layer, len(r.stacks[i]))
		for n, l := range r.stacks[i] {
			layers[n] = imagefs.Layer{Digest: l.digest, Entries: l.entries}
		}
		var err error
		if v.tree, err = imagefs.Flatten(layers); err != nil {
			return r.of(v, err)
		}
	}
	return nil
}

// second reads layers again, or for the first time where the cache knew them,
// for the modules that are not spooled yet.
func (r *reader) second(ctx context.Context) error {
	need := map[string]map[string]bool{} // layer to paths
	for _, v := range r.views {
		for _, p := range v.picked {
			k := v.key(p.File)
			if r.spool.get(k) == nil {
				if need[k.layer] == nil {
					need[k.layer] = map[string]bool{}
				}
				need[k.layer][p.Entry.Path] = true
			}
		}
	}
	var again []*layer
	for _, l := range r.layers {
		if need[l.digest.String()] != nil {
			again = append(again, l)
		}
	}
	r.Limits.Room = imagefs.NewRoom() // the first pass' entries stay, these are dropped layer by layer
	err := r.scanAll(ctx, "read modules", again, func(l *layer) func(string) bool {
		paths := need[l.digest.String()]
		return func(p string) bool { return paths[p] }
	})
	if err != nil {
		return err
	}
	return r.collect(r.views)
}

func (v *view) key(f imagefs.File) spoolKey { return spoolKey{v.keys[f.Layer], f.Index} }

// collect joins the picked modules with their spooled content.
func (j *job) collect(views []*view) error {
	for _, v := range views {
		for i := range v.picked {
			p := &v.picked[i]
			if p.spooled = j.spool.get(v.key(p.File)); p.spooled == nil {
				return fault.New(fault.Input, "%s%q: not found again in layer %s", v.prefix(), p.Path, v.keys[p.Layer])
			}
		}
	}
	return nil
}

// scanAll reads layers in parallel.
func (r *reader) scanAll(ctx context.Context, phase string, layers []*layer, want func(*layer) func(string) bool) error {
	m := &progress.Meter{Phase: phase, Tell: r.Progress}
	for _, l := range layers {
		m.Total += l.size
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(r.Jobs)
	for _, l := range layers {
		g.Go(func() error { return r.scan(ctx, l, m, want(l)) })
	}
	return g.Wait()
}

// scan reads one layer and spools what want says yes to.
func (r *reader) scan(ctx context.Context, l *layer, m *progress.Meter, want func(string) bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	files := map[*tar.Header]*spooled{}
	entries, err := imagefs.ScanLayer(ctx, metered{l.Layer, m}, r.Limits, want, func(h *tar.Header, _ string, content io.Reader) error {
		f, err := r.spool.write(h, content)
		files[h] = f
		return err
	})
	if err != nil {
		return err
	}
	for i := range entries {
		if h := entries[i].Header; h != nil {
			r.spool.put(spoolKey{l.digest.String(), i}, files[h])
			entries[i].Header = nil // held by the spool
		}
	}
	if l.entries == nil {
		l.entries = entries
	}
	return nil
}
