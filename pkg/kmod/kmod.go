// Package kmod reads kernel modules: the codec they are stored in, and the
// ELF file inside.
package kmod

import "io"

// Codec is how a module is stored; told by content, not by name.
type Codec string

// The codecs that kmod and the kernel know.
const (
	None Codec = "none"
	Gzip Codec = "gzip"
	XZ   Codec = "xz"
	Zstd Codec = "zstd"
)

// IsName reports whether a file's base name is that of a module: *.ko, *.ko.gz, *.ko.xz, *.ko.zst.
func IsName(base string) bool { panic("stub") }

// Sniff tells the codec from the first bytes.
func Sniff(head []byte) Codec { panic("stub") }

// Decode gives the plain module, at most limit bytes (0: DefaultLimit); a bigger one is refused.
func Decode(stored []byte, limit int64) (plain []byte, c Codec, err error) { panic("stub") }

// Encode stores plain in codec c within what the kernel's own decompressor takes
// (kernel/module/decompress.c). Same input, same bytes.
func Encode(w io.Writer, plain []byte, c Codec) error { panic("stub") }

// DefaultLimit bounds a plain module, in bytes.
const DefaultLimit = 512 << 20

// Module is what the ELF file says of itself.
type Module struct {
	Machine    string // GOARCH word
	Name       string
	Vermagic   string
	Depends    []string
	Info       map[string][]string // every .modinfo key
	Undefined  []Symbol            // symbols to be resolved at load, with their CRC from __versions
	Exports    []Symbol
	Namespaces []string // import_ns
}

// Symbol is a name with its CRC.
type Symbol struct {
	Name      string
	CRC       uint32
	HasCRC    bool
	Weak      bool
	Namespace string
}

// Parse reads a plain module with or without appended signature. It insists on an ELF relocatable
// file with a .modinfo section; errors are of fault class Input.
func Parse(plain []byte) (*Module, error) { panic("stub") }
