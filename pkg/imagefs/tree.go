package imagefs

import (
	"archive/tar"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/kmodseal/kmodseal/pkg/fault"
)

// Bounds of the view. Small tar names can make huge trees: each may name 2,000
// folders that nothing else mentions, or lead deeper through a symbolic link.
const (
	maxNodes = 2_000_000
	maxDepth = 2048
	maxHops  = 40 // symbolic links in one path (Linux: MAXSYMLINKS)
	// maxSteps bounds the names that are looked up, some 50 ns each: an entry of
	// 30 bytes can cost 80,000 where its path leads through links.
	maxSteps = 1 << 28
)

var (
	errNotExist = errors.New("no such file or folder")
	errNotDir   = errors.New("not a folder")
	errLoop     = errors.New("too many levels of symbolic links")
)

// Tree is the flattened view.
type Tree struct {
	layers []Layer
	root   *node
	nodes  int
	left   int // steps, of maxSteps
}

// node is a name in the view.
type node struct {
	name     string
	parent   *node // of the root: nil
	depth    int
	children map[string]*node // of a folder only
	inode    *inode
	layer    int // the last one that brought the node or something below it
}

// inode is what hard links share.
type inode struct {
	typ   byte
	link  string // of a symbolic link
	home  *node  // the name under which the entry brought it
	layer int
	entry int
}

func newTree(layers []Layer) *Tree {
	return &Tree{layers: layers, root: &node{inode: &inode{typ: tar.TypeDir}}, nodes: 1, left: maxSteps}
}

// tired is the error of a view that takes too many steps. One walk is bounded,
// so to ask between walks will do.
func (t *Tree) tired() error {
	if t.left > 0 {
		return nil
	}
	return fault.New(fault.Input, "the links and whiteouts of the view take more than %d steps to follow", maxSteps)
}

func (n *node) isDir() bool { return n.inode.typ == tar.TypeDir }

// place puts a node with inode i at dir/name, instead of whatever is there.
func (t *Tree) place(dir *node, name string, i *inode, layer int) (*node, error) {
	if old := dir.children[name]; old != nil {
		t.remove(old)
	}
	if t.nodes >= maxNodes || dir.depth >= maxDepth {
		return nil, fmt.Errorf("the view has more than %d names or %d levels", maxNodes, maxDepth)
	}
	if dir.children == nil {
		dir.children = map[string]*node{}
	}
	n := &node{name: name, parent: dir, depth: dir.depth + 1, inode: i, layer: layer}
	dir.children[name] = n
	t.nodes++
	dir.touch(layer)
	return n, nil
}

func (t *Tree) remove(n *node) {
	t.nodes -= n.count()
	delete(n.parent.children, n.name)
}

func (n *node) count() int {
	c := 1
	for _, k := range n.children {
		c += k.count()
	}
	return c
}

// touch notes that layer has a part in n, and so in all folders above.
func (n *node) touch(layer int) {
	for ; n != nil && n.layer != layer; n = n.parent {
		n.layer = layer
	}
}

// purge removes what layers below layer brought at and below n.
func (t *Tree) purge(n *node, layer int) {
	if n.layer != layer {
		t.remove(n)
		return
	}
	t.purgeBelow(n, layer)
}

func (t *Tree) purgeBelow(n *node, layer int) {
	t.left -= len(n.children)
	for _, k := range n.children {
		t.purge(k, layer)
	}
}

// walk follows p from the root as a process in a chroot would: symbolic links
// lead on inside the root, also the last one, and .. stays at the root; climbed
// says that it tried to leave. With create missing folders are made for layer.
func (t *Tree) walk(from *node, p string, create bool, layer int) (n *node, climbed bool, err error) {
	n, hops := from, 0
	if strings.HasPrefix(p, "/") {
		n = t.root
	}
	for p != "" {
		var name string
		name, p, _ = strings.Cut(p, "/")
		t.left--
		switch name {
		case "", ".":
			continue
		case "..":
			climbed = climbed || n == t.root
			if n.parent != nil {
				n = n.parent
			}
			continue
		}
		k := n.children[name]
		switch {
		case k == nil && !create:
			return nil, climbed, errNotExist
		case k == nil:
			if k, err = t.place(n, name, &inode{typ: tar.TypeDir}, layer); err != nil {
				return nil, climbed, err
			}
		case k.inode.typ == tar.TypeSymlink:
			if hops++; hops > maxHops || len(p) > 2*maxName {
				return nil, climbed, errLoop
			}
			if k.inode.link == "" {
				return nil, climbed, errNotExist
			}
			if path.IsAbs(k.inode.link) {
				n = t.root
			}
			p = k.inode.link + "/" + p
			continue
		case !k.isDir() && strings.Trim(p, "/") != "":
			return nil, climbed, errNotDir
		}
		n = k
	}
	return n, climbed, nil
}
