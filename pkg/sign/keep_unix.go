//go:build unix

package sign

import (
	"io/fs"
	"os"
	"syscall"
)

// identity is what all hard links of a file have in common.
type identity struct{ dev, ino uint64 }

// inode gives a file's identity and how many names it has.
func inode(fi fs.FileInfo) (id identity, links uint64, ok bool) {
	s, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return identity{}, 1, false
	}
	return identity{uint64(s.Dev), uint64(s.Ino)}, uint64(s.Nlink), true //nolint:unconvert // their types differ by system
}

// keepOwner gives n the owner and group that fi has.
func keepOwner(n *os.File, fi fs.FileInfo) error {
	want, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	is, err := n.Stat()
	if err != nil {
		return err
	}
	if have, ok := is.Sys().(*syscall.Stat_t); ok && have.Uid == want.Uid && have.Gid == want.Gid {
		return nil
	}
	return n.Chown(int(want.Uid), int(want.Gid))
}
