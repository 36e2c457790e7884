package repack

import (
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/kmodseal/kmodseal/pkg/kmod"
)

// gzipLevel is fixed, since the digest of a layer depends on it. 9 keeps a
// rewritten layer within what the common builders make of the same files.
const gzipLevel = 9

// compressor writes into w in the codec of a layer. Same input, same bytes: no
// time, no name, no goroutine count in the result.
func compressor(w io.Writer, c kmod.Codec) (io.WriteCloser, error) {
	switch c {
	case kmod.None:
		return nopCloser{w}, nil
	case kmod.Gzip:
		return gzip.NewWriterLevel(w, gzipLevel)
	case kmod.Zstd:
		return zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedBetterCompression))
	}
	return nil, fmt.Errorf("write layer: no layer is stored as %s", c)
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }
