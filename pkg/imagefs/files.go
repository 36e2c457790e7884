package imagefs

import (
	"archive/tar"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/manifest"
)

// File is one regular file of the view.
type File struct {
	// Path is the name in the view of the entry that brought the content, with
	// links among its folders resolved, so it can differ from Entry.Path; where
	// that name is gone, the first of the hard links.
	Path      string
	Entry     *Entry
	Layer     int      // index into the layers
	Index     int      // of Entry in its layer
	HardLinks []string // other paths of the same file, sorted
	Symlinks  []string // links for which match says yes and that lead to it, sorted
}

// Files gives the files that match says yes to, by a name of theirs or a link
// to them, sorted by path. A matching link that climbs out of the root is
// refused, and so is a name that manifest.CheckPath refuses (class Input).
func (t *Tree) Files(match func(path string) bool) ([]File, error) {
	picked := map[*inode]*File{}
	pick := func(i *inode) *File {
		if picked[i] == nil {
			picked[i] = &File{Entry: &t.layers[i.layer].Entries[i.entry], Layer: i.layer, Index: i.entry}
		}
		return picked[i]
	}
	err := t.each(func(p string, n *node) error {
		if n.isDir() || !match(p) {
			return nil
		}
		to, err := t.follow(p, n)
		if err != nil || to == nil {
			return err
		}
		f := pick(to.inode)
		if n.inode.typ == tar.TypeSymlink {
			f.Symlinks = append(f.Symlinks, p)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return t.named(picked)
}

// named fills in the paths of picked files, which may be any.
func (t *Tree) named(picked map[*inode]*File) ([]File, error) {
	err := t.each(func(p string, n *node) error {
		f := picked[n.inode]
		switch {
		case f == nil:
			return nil
		case n.inode.home == n:
			f.Path = p
		default:
			f.HardLinks = append(f.HardLinks, p)
		}
		return checkName(p)
	})
	if err != nil {
		return nil, err
	}
	files := make([]File, 0, len(picked))
	for _, f := range picked {
		slices.Sort(f.HardLinks)
		slices.Sort(f.Symlinks)
		if f.Path == "" {
			f.Path, f.HardLinks = f.HardLinks[0], f.HardLinks[1:]
		}
		files = append(files, *f)
	}
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return files, nil
}

// Fits refuses a path where a runtime could not put a file, or would take a
// folder away for it.
func (t *Tree) Fits(p string) error {
	dir, _, err := t.walk(t.root, path.Dir(p), false, 0)
	switch {
	case errors.Is(err, errNotExist):
		return nil // folders are made on the way
	case err != nil:
		return fmt.Errorf("parent folder: %w", err)
	case !dir.isDir():
		return fmt.Errorf("parent folder: %w", errNotDir)
	}
	if k := dir.children[path.Base(p)]; k != nil && k.isDir() {
		return errors.New("is a folder")
	}
	return nil
}

// Dangling gives the symbolic links that match says yes to and that lead to no
// regular file, sorted.
func (t *Tree) Dangling(match func(path string) bool) ([]string, error) {
	var links []string
	err := t.each(func(p string, n *node) error {
		if n.inode.typ != tar.TypeSymlink || !match(p) {
			return nil
		}
		to, err := t.follow(p, n)
		if err == nil && to == nil {
			links = append(links, p)
		}
		return err
	})
	slices.Sort(links)
	return links, err
}

// follow gives the regular file at n or at the end of the link n, nil where
// there is none.
func (t *Tree) follow(p string, n *node) (*node, error) {
	if err := checkName(p); err != nil {
		return nil, err
	}
	if n.inode.typ == tar.TypeSymlink {
		to, climbed, err := t.walk(n.parent, n.inode.link, false, 0)
		if climbed {
			return nil, fault.New(fault.Input, "symbolic link %q leaves the root: it leads to %q", p, n.inode.link).Hint(mendBuild)
		}
		if tired := t.tired(); tired != nil {
			return nil, tired
		}
		if err != nil {
			return nil, nil //nolint:nilerr,nilnil // dangling is a result
		}
		n = to
	}
	if n.inode.typ != tar.TypeReg {
		return nil, nil //nolint:nilnil // no regular file is a result
	}
	return n, nil
}

func checkName(p string) error {
	if err := manifest.CheckPath(p); err != nil {
		return fault.New(fault.Input, "%w", err).Hint(mendBuild)
	}
	return nil
}

// each calls f for every node but the root, in the order of their names.
func (t *Tree) each(f func(p string, n *node) error) error {
	var below func(prefix string, n *node) error
	below = func(prefix string, n *node) error {
		for _, name := range slices.Sorted(maps.Keys(n.children)) {
			k := n.children[name]
			if err := f(prefix+name, k); err != nil {
				return err
			}
			if err := below(prefix+name+"/", k); err != nil {
				return err
			}
		}
		return nil
	}
	return below("", t.root)
}

// Copy is a regular file in a layer's tar.
type Copy struct {
	Path  string // as in the tar
	Layer int    // index into the layers
}

// Shadowed gives the regular files that match says yes to by their name in the
// tar and that the view has under no name, sorted by path, then layer.
func (t *Tree) Shadowed(match func(path string) bool) []Copy {
	type place struct{ layer, entry int }
	live := map[place]bool{}
	_ = t.each(func(_ string, n *node) error { // never fails
		if n.inode.typ == tar.TypeReg { // a folder made in passing has no entry
			live[place{n.inode.layer, n.inode.entry}] = true
		}
		return nil
	})
	var copies []Copy
	for l, layer := range t.layers {
		for i, e := range layer.Entries {
			if wantable(e) && e.Type == tar.TypeReg && !live[place{l, i}] && match(e.Path) {
				copies = append(copies, Copy{e.Path, l})
			}
		}
	}
	slices.SortFunc(copies, func(a, b Copy) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), a.Layer-b.Layer)
	})
	return slices.Compact(copies)
}
