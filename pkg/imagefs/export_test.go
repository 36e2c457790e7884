package imagefs

import "archive/tar"

// Dump lists the view: path to "dir", "link TARGET", "file LAYER/ENTRY" or "other".
func (t *Tree) Dump(file func(layer, entry int) string) map[string]string {
	out := map[string]string{}
	_ = t.each(func(p string, n *node) error {
		switch n.inode.typ {
		case tar.TypeDir:
			out[p] = "dir"
		case tar.TypeSymlink:
			out[p] = "link " + n.inode.link
		case tar.TypeReg:
			out[p] = "file " + file(n.inode.layer, n.inode.entry)
		default:
			out[p] = "other"
		}
		return nil
	})
	return out
}

// The decoders, for fuzzing.
var (
	DecodeIndex   = decodeIndex
	DecodeEntries = decodeEntries
)

// RoomOf has room for n bytes.
func RoomOf(n int64) *Room {
	r := new(Room)
	r.left.Store(n)
	return r
}
