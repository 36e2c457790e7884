// Package imagefs is the file system that an image's layers add up to, learnt
// from one pass over each layer.
package imagefs

import (
	"archive/tar"
	"sync/atomic"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Entry is what one tar entry of a layer does to the file system.
type Entry struct {
	Path   string      // clean, slash-separated, no leading slash
	Type   byte        // tar.TypeReg, TypeDir, TypeLink, TypeSymlink, other: as in the tar
	Link   string      // target of a hard link (clean path) or a symbolic link (as is)
	Header *tar.Header // of modules only, else nil
}

// Layer is one layer's entries in tar order.
type Layer struct {
	Digest  v1.Hash
	Entries []Entry
}

// Limits of one scan; zero fields take defaults.
type Limits struct {
	Entries    int   // tar entries a layer
	LayerBytes int64 // bytes a layer inflates to
	FileBytes  int64 // bytes of one module
	Room       *Room // for the entries of all layers scanned with it; nil: one of its own
}

// Room is the memory that entries may take together, in bytes. It may be shared
// by scans at the same time.
type Room struct{ left atomic.Int64 }

// NewRoom has room for some three million entries.
func NewRoom() *Room {
	r := new(Room)
	r.left.Store(maxRoom)
	return r
}

// take is false where there is not enough.
func (r *Room) take(n int) bool { return r.left.Add(-int64(n)) >= 0 }

// size is about what e takes in memory, in bytes, its header apart.
func (e *Entry) size() int { return 96 + len(e.Path) + len(e.Link) }

// whiteout is how the base name of a file begins that hides another one, and
// opaque the name that hides what lower layers have in its folder (OCI
// image-spec layer.md, "Whiteouts").
const (
	whiteout = ".wh."
	opaque   = ".wh..wh..opq"
)
