package imagefs

import (
	"archive/tar"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/kmodseal/kmodseal/pkg/fault"
)

// Flatten applies layers, lowest first, entry by entry, as container runtimes
// unpack them: the last one wins; a whiteout and an opaque mark hide what lower
// layers brought, wherever in the layer they stand; symbolic links among the
// parent folders are followed inside the root; a hard link shares its target's
// file, a replaced name does not (OCI image-spec layer.md). What a runtime
// cannot unpack is refused with class Input. The tree refers to layers.
func Flatten(layers []Layer) (*Tree, error) {
	return newTree(layers).fill(true)
}

// Folder is the view of a plain folder, whose files named .wh.* hide nothing.
func Folder(entries []Entry) (*Tree, error) {
	return newTree([]Layer{{Entries: entries}}).fill(false)
}

func (t *Tree) fill(whiteouts bool) (*Tree, error) {
	t.root.layer = -1
	for l := range t.layers {
		for i := range t.layers[l].Entries {
			e := &t.layers[l].Entries[i]
			var err error
			if whiteouts && strings.HasPrefix(path.Base(e.Path), whiteout) {
				err = t.hide(e.Path, l)
			} else {
				err = t.add(e, l, i)
			}
			if err == nil {
				err = t.tired()
			}
			if err != nil {
				return nil, fault.New(fault.Input, "layer %s: entry %q: %w", t.layers[l].Digest, e.Path, err).Hint(mendBuild)
			}
		}
	}
	return t, nil
}

// hide applies a whiteout: dir/.wh.NAME, or dir/.wh..wh..opq.
func (t *Tree) hide(p string, layer int) error {
	name := strings.TrimPrefix(path.Base(p), whiteout)
	if name == "" || name == "." || name == ".." {
		return errors.New("a whiteout must name a file")
	}
	dir, _, err := t.walk(t.root, path.Dir(p), false, layer)
	if err != nil || !dir.isDir() {
		return nil //nolint:nilerr // nothing to hide
	}
	switch k := dir.children[name]; {
	case path.Base(p) == opaque:
		t.purgeBelow(dir, layer)
	case strings.HasPrefix(name, whiteout): // other marks of AUFS mean nothing
	case k != nil:
		t.purge(k, layer)
	}
	return nil
}

// add applies any other entry.
func (t *Tree) add(e *Entry, layer, entry int) error {
	if e.Path == "." {
		if e.Type != tar.TypeDir {
			return errors.New("the root is not a folder")
		}
		return nil
	}
	dir, _, err := t.walk(t.root, path.Dir(e.Path), true, layer)
	if err != nil {
		return fmt.Errorf("parent folder: %w", err)
	}
	if !dir.isDir() {
		return fmt.Errorf("parent folder: %w", errNotDir)
	}
	name := path.Base(e.Path)
	switch e.Type {
	case tar.TypeDir:
		if k := dir.children[name]; k != nil && k.isDir() {
			k.touch(layer)
			return nil
		}
	case tar.TypeLink:
		return t.hardLink(dir, name, e.Link, layer)
	}
	i := &inode{typ: e.Type, link: e.Link, layer: layer, entry: entry}
	i.home, err = t.place(dir, name, i, layer)
	return err
}

// hardLink gives the file at target one more name. As link(2) does, it follows
// no symbolic link at target itself. The old name goes first, as in runtimes: a
// link to itself finds nothing.
func (t *Tree) hardLink(dir *node, name, target string, layer int) error {
	from, _, err := t.walk(t.root, path.Dir(target), false, layer)
	if err != nil || !from.isDir() {
		return fmt.Errorf("hard link to %q: %w", target, errNotExist)
	}
	if old := dir.children[name]; old != nil {
		t.remove(old)
	}
	k := from.children[path.Base(target)]
	if k == nil || !attached(from, t.root) {
		return fmt.Errorf("hard link to %q: %w", target, errNotExist)
	}
	if k.isDir() {
		return fmt.Errorf("hard link to %q: it is a folder", target)
	}
	_, err = t.place(dir, name, k.inode, layer)
	return err
}

// attached reports whether n can still be reached from root.
func attached(n, root *node) bool {
	for ; n != root; n = n.parent {
		if n.parent.children[n.name] != n {
			return false
		}
	}
	return true
}
