package repack

import (
	"archive/tar"
	"context"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/kmodseal/kmodseal/pkg/imagefs"
)

// place is a tar entry: layer is an index into view.read, entry one into its entries.
type place struct{ layer, entry int }

// rewriting collects what becomes of the layers of a view.
type rewriting struct {
	view  *view
	live  map[place]bool  // contents that the flattened view shows
	shown map[string]bool // paths that it shows
	edits map[int]map[int]edit
}

func newRewriting(v *view) (*rewriting, error) {
	w := &rewriting{view: v, live: map[place]bool{}, shown: map[string]bool{}, edits: map[int]map[int]edit{}}
	files, err := v.tree.Files(func(string) bool { return true })
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		w.live[v.place(&f)] = true
		w.shown[f.Path] = true
		for _, l := range f.HardLinks {
			w.shown[l] = true
		}
	}
	return w, nil
}

// place finds the entry that brought f's content.
func (v *view) place(f *imagefs.File) place {
	entries := v.read[f.Layer].Entries
	for i := range entries {
		if &entries[i] == f.Entry {
			return place{f.Layer, i}
		}
	}
	return place{f.Layer, -1}
}

func (w *rewriting) set(p place, e edit) {
	if w.edits[p.layer] == nil {
		w.edits[p.layer] = map[int]edit{}
	}
	w.edits[p.layer][p.entry] = e
}

// dropShadowed takes out every copy of a module that the flattened view does
// not show, under all its names. Whiteouts stay: they may hide more.
func (w *rewriting) dropShadowed() {
	at := map[string]place{} // the content that a path names at this point
	names := map[place][]place{}
	modules := map[place]bool{}
	for l := range w.view.read {
		for i, e := range w.view.read[l].Entries {
			here := place{l, i}
			of, ok := here, e.Type == tar.TypeReg && !strings.HasPrefix(path.Base(e.Path), ".wh.")
			if e.Type == tar.TypeLink {
				if of, ok = at[e.Link]; !ok && (isModule(e.Path) || isModule(e.Link)) && !w.shown[e.Path] {
					w.set(here, edit{drop: true}) // its target may go
				}
			}
			if delete(at, e.Path); !ok {
				continue
			}
			at[e.Path] = of
			names[of] = append(names[of], here)
			modules[of] = modules[of] || isModule(e.Path)
		}
	}
	for of, places := range names {
		if modules[of] && !w.live[of] {
			for _, p := range places {
				w.set(p, edit{drop: true})
			}
		}
	}
}

// addCertificate puts cert into the topmost layer that is rewritten anyway, or
// that shows another file at its path, or else holds a module.
func (w *rewriting) addCertificate(cert *file, modules []passed) (top int) {
	for _, m := range modules {
		if len(w.edits) == 0 {
			top = max(top, m.now.File.Layer)
		}
	}
	for l := range w.edits {
		top = max(top, l)
	}
	name := cert.header.Name
	for l := range w.view.read {
		if w.shown[name] && slices.ContainsFunc(w.view.read[l].Entries, func(e imagefs.Entry) bool { return e.Path == name }) {
			top = max(top, l)
		}
	}
	for i, e := range w.view.read[top].Entries {
		if e.Path == name {
			w.set(place{top, i}, edit{drop: true})
		}
	}
	if w.edits[top] == nil {
		w.edits[top] = map[int]edit{}
	}
	return top
}

// rewrite gives the layers that replace those of the image, by index. cert may
// be nil.
func (g *gate) rewrite(ctx context.Context, v *view, modules []passed, cert *file) (map[int]*layer, error) {
	w, err := newRewriting(v)
	if err != nil {
		return nil, err
	}
	w.dropShadowed()
	for i := range modules {
		if m := &modules[i]; m.changed {
			c := g.content(m)
			w.set(v.place(&m.now.File), edit{with: &c})
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
		if out[n], err = newLayer(ctx, media, v.codecs[n], v.filtered(n, f)); err != nil {
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
