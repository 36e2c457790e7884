package kmod

import (
	"bytes"
	"errors"
	"io"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"

	"github.com/kmodseal/kmodseal/pkg/fault"
)

// DecodeInKernel gives the module that kernel/module/decompress.c, built for
// codec c, gets out of a stored file: of several streams the first, of zstd that
// is cut off the blocks that are whole, of gzip without a look at its checksum.
// What it refuses is a *KernelError with its log line; a module of more than
// limit bytes (0: DefaultLimit) is a fault of class Input.
func DecodeInKernel(stored []byte, c Codec, limit int64) ([]byte, error) {
	if limit <= 0 {
		limit = DefaultLimit
	}
	var refused *KernelError
	if err := CheckInKernel(stored, c); errors.As(err, &refused) && refused.Dmesg != "" {
		if refused.Dmesg == xzEnd && damagedBeforeEnd(stored, limit) {
			refused = &KernelError{xzData, "damaged xz data"}
		}
		return nil, refused
	}
	plain, err := stored, error(nil)
	switch c {
	case Gzip:
		plain, err = inflateInKernel(stored, limit)
	case XZ:
		plain, err = firstXZ(stored, limit)
	case Zstd:
		plain, err = firstZstd(stored, limit)
	case None:
	}
	switch {
	case errors.Is(err, errTooBig):
		return nil, fault.New(fault.Input, "module is bigger than %d bytes when plain", limit)
	case errors.Is(err, errDict):
		return nil, fault.New(fault.Input, "read xz data: %w", err)
	}
	return plain, err
}

// inflateInKernel is module_gzip_decompress: past the header and the file name
// everything is deflate data, and what is behind it does not count.
func inflateInKernel(stored []byte, limit int64) ([]byte, error) {
	start := 10
	if stored[3]&0x08 != 0 {
		n := bytes.IndexByte(stored[start:], 0)
		if n < 0 {
			return nil, &KernelError{notGzip, "gzip header without end"}
		}
		start += n + 1
	}
	var out bytes.Buffer
	switch err := copyLimited(&out, flate.NewReader(bytes.NewReader(stored[start:])), limit); {
	case errors.Is(err, errTooBig):
		return nil, err
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, &KernelError{gzipEnd, "gzip data that is cut off"}
	case err != nil:
		return nil, &KernelError{gzipData, "damaged gzip data"}
	}
	return out.Bytes(), nil
}

// firstXZ is module_xz_decompress on data whose structure is whole: what is
// wrong now is wrong inside.
func firstXZ(stored []byte, limit int64) ([]byte, error) {
	f, _ := scanXZ(stored)
	plain, err := f.read(bytes.NewReader(stored[:f.first]), limit)
	if err != nil && !errors.Is(err, errTooBig) && !errors.Is(err, errDict) {
		return nil, &KernelError{xzData, "damaged xz data"}
	}
	return plain, err
}

// damagedBeforeEnd: does the decoder stumble before it comes to the end of xz
// data that is cut off?
func damagedBeforeEnd(stored []byte, limit int64) bool {
	f, _ := scanXZ(stored)
	r := &endReader{Reader: bytes.NewReader(stored)}
	_, err := f.read(r, limit)
	return err != nil && !errors.Is(err, errTooBig) && !errors.Is(err, errDict) && !r.reached
}

// endReader notes that somebody wanted more than there is.
type endReader struct {
	*bytes.Reader
	reached bool
}

func (r *endReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.reached = r.reached || err != nil
	return n, err
}

func (r *endReader) ReadByte() (byte, error) {
	b, err := r.Reader.ReadByte()
	r.reached = r.reached || err != nil
	return b, err
}

// firstZstd is module_zstd_decompress, which stops where a page is not filled:
// at the end of the frame, or of the data.
func firstZstd(stored []byte, limit int64) ([]byte, error) {
	f, _ := scanZstd(stored)
	if f.first > 0 {
		stored = stored[:f.first]
	}
	r, err := zstd.NewReader(bytes.NewReader(stored), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(zstdMaxWindow))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var out bytes.Buffer
	switch err := copyLimited(&out, r, limit); {
	case err == nil, errors.Is(err, io.ErrUnexpectedEOF):
		return out.Bytes(), nil
	case errors.Is(err, errTooBig):
		return nil, err
	case errors.Is(err, zstd.ErrCRCMismatch):
		return nil, &KernelError{zstdSum, "zstd data with a wrong checksum"}
	}
	return nil, &KernelError{zstdCorrupt, "damaged zstd data"}
}
