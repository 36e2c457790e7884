package kmod

import (
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// What kbuild's modules_install asks of the compressors (scripts/Makefile.modinst):
// xz with a dictionary of 1 MiB; the window of zstd's own default level.
const (
	xzDict     = 1 << 20
	zstdWindow = 2 << 20
)

// Encode stores plain in codec c within what the kernel's own decompressor
// takes (kernel/module/decompress.c): one gzip member without optional header
// fields, one xz stream with CRC32, one zstd frame. Same input, same bytes.
func Encode(w io.Writer, plain []byte, c Codec) error {
	switch c {
	case None:
		_, err := w.Write(plain)
		return err
	case Gzip:
		z, err := gzip.NewWriterLevel(w, gzip.BestCompression)
		return encode(z, err, plain)
	case XZ:
		// The default matcher: the binary tree is slower by orders of magnitude.
		z, err := xz.WriterConfig{CheckSum: xz.CRC32, DictCap: xzDict}.NewWriter(w)
		return encode(z, err, plain)
	case Zstd:
		z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(zstdWindow),
			zstd.WithEncoderLevel(zstd.SpeedBetterCompression), zstd.WithZeroFrames(true))
		if err != nil {
			return err
		}
		if _, err := w.Write(z.EncodeAll(plain, nil)); err != nil {
			return err
		}
		return z.Close()
	}
	return fmt.Errorf("unknown codec %q", c)
}

// encode writes plain to a compressor that was made with err.
func encode(z io.WriteCloser, err error, plain []byte) error {
	if err != nil {
		return err
	}
	if _, err := z.Write(plain); err != nil {
		return err
	}
	return z.Close()
}
