// Package kmod reads kernel modules: the codec they are stored in, and the
// ELF file inside.
package kmod

import (
	"bytes"
	"strings"
)

// Codec is how a module is stored; told by content, not by name.
type Codec string

// The codecs that kmod and the kernel know.
const (
	None Codec = "none"
	Gzip Codec = "gzip"
	XZ   Codec = "xz"
	Zstd Codec = "zstd"
)

// What the files of each codec begin with: RFC 1952 section 2.3.1, the .xz
// file format section 2.1.1.1, RFC 8878 section 3.1.1.
const (
	gzipMagic = "\x1f\x8b"
	xzMagic   = "\xfd7zXZ\x00"
	zstdMagic = "\x28\xb5\x2f\xfd"
)

// IsName reports whether a file's base name is that of a module: *.ko,
// *.ko.gz, *.ko.xz, *.ko.zst. A *.ko.debug holds symbols, not a module.
func IsName(base string) bool {
	for _, suffix := range []string{".ko", ".ko.gz", ".ko.xz", ".ko.zst"} {
		if len(base) > len(suffix) && strings.HasSuffix(base, suffix) {
			return true
		}
	}
	return false
}

// Sniff tells the codec from a file's first bytes (six are enough). What it
// does not know is None: Parse says whether that is a module.
func Sniff(head []byte) Codec {
	switch {
	case bytes.HasPrefix(head, []byte(gzipMagic)):
		return Gzip
	case bytes.HasPrefix(head, []byte(xzMagic)):
		return XZ
	case bytes.HasPrefix(head, []byte(zstdMagic)), isSkippable(head):
		return Zstd
	}
	return None
}
