//go:build !linux

package extract

import (
	"archive/tar"
	"io/fs"
	"os"
)

// inodeOf knows no hard links on this system: each name counts as a file.
func inodeOf(fs.FileInfo) (id any, several bool) { return nil, false }

// ownerAndXattrs leaves the owner at root, without extended attributes.
func ownerAndXattrs(*tar.Header, *os.File, fs.FileInfo) error { return nil }
