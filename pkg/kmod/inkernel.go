package kmod

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// KernelError is why a kernel that decompresses modules by itself
// (CONFIG_MODULE_DECOMPRESS, finit_module with MODULE_INIT_COMPRESSED_FILE)
// does not get the module out of a stored file. kmod in user space may still.
type KernelError struct {
	Dmesg  string // what the kernel says, with EINVAL; empty: it silently gets another module than kmod does
	Reason string // one phrase
}

func (e *KernelError) Error() string { return e.Reason }

// What kernel/module/decompress.c prints. Of xz (include/linux/xz.h) 0 is XZ_OK,
// which is not XZ_STREAM_END: the data ends too early; 6 is XZ_OPTIONS_ERROR, 7
// XZ_DATA_ERROR. Of zlib -3 is Z_DATA_ERROR, -5 Z_BUF_ERROR: too early again. Of
// zstd 20 is corruption_detected, 22 checksum_wrong, 32 dictionary_wrong.
const (
	notGzip     = "not a gzip compressed module"
	notXZ       = "not an xz compressed module"
	notZstd     = "not a zstd compressed module"
	gzipData    = "decompression failed with status -3"
	gzipEnd     = "decompression failed with status -5"
	xzEnd       = "decompression failed with status 0"
	xzOptions   = "decompression failed with status 6"
	xzData      = "decompression failed with status 7"
	zstdFrame   = "ZSTD-compressed data has an incomplete frame header"
	zstdCorrupt = "ZSTD-decompression failed with status 20"
	zstdSum     = "ZSTD-decompression failed with status 22"
	zstdUnknown = "ZSTD-decompression failed with status 32"
)

// CheckInKernel reports what kernel/module/decompress.c, built for codec c,
// would refuse or misread in a stored module: nil or a *KernelError. It looks
// at the format's headers only; damage inside is Decode's to find. Trailing
// bytes are nothing to the kernel: see ErrTrailing.
func CheckInKernel(stored []byte, c Codec) error {
	var e *KernelError
	switch c {
	case Gzip:
		e = checkGzip(stored)
	case XZ:
		e = checkXZ(stored)
	case Zstd:
		e = checkZstd(stored)
	case None:
	}
	if e == nil { // not a nil pointer in a non-nil error
		return nil
	}
	return e
}

func checkGzip(stored []byte) *KernelError {
	if len(stored) < 10 || !bytes.HasPrefix(stored, []byte(gzipMagic+"\x08")) {
		return &KernelError{notGzip, "no gzip header"}
	}
	// RFC 1952 section 2.3.1; of the optional fields the kernel skips the name (8) only.
	for _, f := range []struct {
		bit  byte
		name string
	}{{0x04, "an extra field"}, {0x10, "a comment"}, {0x02, "a header checksum"}} {
		if stored[3]&f.bit != 0 {
			return &KernelError{gzipData, "gzip header with " + f.name}
		}
	}
	if _, x, err := decodeGzip(stored, DefaultLimit); err == nil && x.parts > 1 {
		return several(x.parts, "gzip members")
	}
	return nil
}

func checkXZ(stored []byte) *KernelError {
	if Sniff(stored) != XZ {
		return &KernelError{notXZ, "no xz header"}
	}
	f, err := scanXZ(stored)
	switch {
	case f.check > 1:
		return &KernelError{xzOptions, fmt.Sprintf("xz check %s, the kernel knows none and CRC32 only", checkName(f.check))}
	case len(f.filters) > 0:
		return &KernelError{xzOptions, fmt.Sprintf("xz filter %#x beside LZMA2", f.filters[0])}
	case f.dict > xzMaxDict:
		return &KernelError{xzOptions, fmt.Sprintf("xz dictionary of %d bytes", f.dict)}
	case f.first == 0 && errors.Is(err, io.ErrUnexpectedEOF):
		return &KernelError{xzEnd, "xz data that is cut off"}
	case f.first == 0:
		return &KernelError{xzData, "damaged xz data"}
	case f.parts > 1:
		return several(f.parts, "xz streams")
	}
	return nil
}

func checkName(id byte) string {
	switch id {
	case 4:
		return "CRC64"
	case 10:
		return "SHA-256"
	}
	return fmt.Sprintf("number %d", id)
}

func checkZstd(stored []byte) *KernelError {
	if !bytes.HasPrefix(stored, []byte(zstdMagic)) {
		if isSkippable(stored) {
			return &KernelError{notZstd, "a skippable zstd frame comes first"}
		}
		return &KernelError{notZstd, "no zstd header"}
	}
	f, err := scanZstd(stored)
	switch {
	case f.parts == 0 && err != nil:
		return &KernelError{zstdFrame, "invalid zstd frame"}
	case f.dictionary != 0:
		return &KernelError{zstdUnknown, fmt.Sprintf("zstd dictionary %d is needed", f.dictionary)}
	case f.parts > 1:
		return several(f.parts, "zstd frames")
	}
	return nil
}

func several(n int, what string) *KernelError {
	return &KernelError{Reason: fmt.Sprintf("%d %s, the kernel reads the first only", n, what)}
}
