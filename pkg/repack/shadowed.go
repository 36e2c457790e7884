package repack

import (
	"archive/tar"
	"errors"
	"path"
	"slices"
	"strings"

	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/imagefs"
)

// place is a tar entry: layer is an index into view.read, entry one into its
// entries. The place of a file's content stands for its inode.
type place struct{ layer, entry int }

// copies are the contents in layers that have the name of a module, at least
// one of several, with all the entries that name them.
type copies struct {
	entries map[place][]place
	bases   map[string]bool // last elements of their names
}

// copiesOf walks the entries in the order in which a runtime unpacks them.
func copiesOf(layers []imagefs.Layer) copies {
	at := map[string]place{} // the content that a path names at this point
	c := copies{entries: map[place][]place{}, bases: map[string]bool{}}
	modules := map[place]bool{}
	for l := range layers {
		for i, e := range layers[l].Entries {
			here := place{l, i}
			of, ok := here, e.Type == tar.TypeReg && !strings.HasPrefix(path.Base(e.Path), ".wh.")
			if e.Type == tar.TypeLink {
				of, ok = at[e.Link]
			}
			if delete(at, e.Path); ok {
				at[e.Path] = of
				c.entries[of] = append(c.entries[of], here)
				modules[of] = modules[of] || isModule(e.Path)
			}
		}
	}
	for of, places := range c.entries {
		if !modules[of] {
			delete(c.entries, of)
			continue
		}
		for _, p := range places {
			c.bases[path.Base(layers[p.layer].Entries[p.entry].Path)] = true
		}
	}
	return c
}

// dropShadowed takes out every copy of a module that the flattened view does
// not show, under all its names. Whiteouts stay: they may hide more.
func (w *rewriting) dropShadowed() error {
	c := copiesOf(w.view.read)
	named := func(p string) bool { return c.bases[path.Base(p)] }
	before, err := w.view.tree.Files(named)
	if err != nil {
		return err
	}
	live := map[place]bool{}
	for _, f := range before {
		live[place{f.Layer, f.Index}] = true
	}
	for of, places := range c.entries {
		for _, p := range places {
			if !live[of] {
				w.set(p, edit{drop: true})
			}
		}
	}
	return w.unseen(before, named)
}

// unseen makes sure that nobody can see that entries were dropped: the layers
// that remain have to add up to the same files.
func (w *rewriting) unseen(before []imagefs.File, named func(string) bool) error {
	less := make([]imagefs.Layer, len(w.view.read))
	old := make([][]int, len(less)) // indices before
	for l, layer := range w.view.read {
		less[l].Digest = layer.Digest
		for i, e := range layer.Entries {
			if !w.edits[l][i].drop {
				less[l].Entries = append(less[l].Entries, e)
				old[l] = append(old[l], i)
			}
		}
	}
	tree, err := imagefs.Flatten(less)
	if err != nil {
		return entangled(err)
	}
	after, err := tree.Files(named)
	if err != nil {
		return err
	}
	same := slices.EqualFunc(before, after, func(a, b imagefs.File) bool {
		return a.Path == b.Path && a.Layer == b.Layer && a.Index == old[b.Layer][b.Index] &&
			slices.Equal(a.HardLinks, b.HardLinks) && slices.Equal(a.Symlinks, b.Symlinks)
	})
	if !same {
		return entangled(errors.New("other files would show"))
	}
	return nil
}

func entangled(err error) error {
	return fault.New(fault.Input, "take out copies of modules that later layers replace: %w", err).
		Hint("use --mode append for this image")
}
