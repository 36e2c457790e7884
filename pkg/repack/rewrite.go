package repack

import (
	"context"
	"io"

	"github.com/kmodseal/kmodseal/pkg/imagefs"
)

// rewriting collects what becomes of the layers of a view: edits by layer (an
// index into view.read) and entry.
type rewriting struct {
	view  *view
	edits map[int]map[int]edit
}

func (w *rewriting) set(p place, e edit) {
	if w.edits[p.layer] == nil {
		w.edits[p.layer] = map[int]edit{}
	}
	w.edits[p.layer][p.entry] = e
}

// addCertificate puts cert into the topmost layer that is rewritten anyway, or
// that has another file at its path, or else holds a module.
func (w *rewriting) addCertificate(cert *file, modules []passed) (top int) {
	for _, m := range modules {
		if len(w.edits) == 0 {
			top = max(top, m.now.Layer)
		}
	}
	for l := range w.edits {
		top = max(top, l)
	}
	for l := range w.view.read {
		for _, e := range w.view.read[l].Entries {
			if e.Path == cert.header.Name {
				top = max(top, l)
			}
		}
	}
	if w.edits[top] == nil {
		w.edits[top] = map[int]edit{}
	}
	for i, e := range w.view.read[top].Entries {
		if e.Path == cert.header.Name {
			w.edits[top][i] = edit{drop: true}
		}
	}
	return top
}

// rewrite gives the layers that replace those of the image, by index. cert may
// be nil.
func (g *gate) rewrite(ctx context.Context, v *view, modules []passed, cert *file) (map[int]*layer, error) {
	w := &rewriting{view: v, edits: map[int]map[int]edit{}}
	if err := w.dropShadowed(); err != nil {
		return nil, err
	}
	for i := range modules {
		if m := &modules[i]; m.changed {
			c := g.content(m)
			w.set(place{m.now.Layer, m.now.Index}, edit{with: &c})
		}
	}
	tails := map[int][]file{}
	if cert != nil {
		tails[w.addCertificate(cert, modules)] = []file{*cert}
	}
	out := map[int]*layer{}
	for l, edits := range w.edits {
		n := l + v.lowest
		media, err := v.layers[n].MediaType()
		if err != nil {
			return nil, err
		}
		f := &filter{edits: edits, tail: tails[l]}
		if out[n], err = newLayer(ctx, media, v.codecs[n], dense, v.filtered(n, f)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// filtered is layer n through f. Each pass checks the layer's digest again.
func (v *view) filtered(n int, f *filter) tarball {
	return func(ctx context.Context, w io.Writer) error {
		r, err := imagefs.Blob(ctx, v.layers[n])
		if err != nil {
			return err
		}
		defer r.Close()
		return f.copy(ctx, w, r)
	}
}
