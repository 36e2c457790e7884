package repack

import (
	stdgzip "compress/gzip"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/kmodseal/kmodseal/pkg/kmod"
)

// effort is how hard the compressor tries. It is fixed for a purpose, since the
// digest of a layer depends on it.
type effort int

const (
	quick effort = iota // for a layer of our own
	dense               // for one that must not outgrow what it replaces
)

// compressor writes into w in the codec of a layer. Same input, same bytes: no
// time, no name, no goroutine count in the result. Dense gzip is the standard
// library's, the nearest to zlib's that there is in Go: within 1 % of gzip -6
// on modules, where klauspost's best is 2 % off and no faster. Dense zstd comes
// out below zstd -3 (docs/decisions/0009).
func compressor(w io.Writer, c kmod.Codec, e effort) (io.WriteCloser, error) {
	switch c {
	case kmod.None:
		return nopCloser{w}, nil
	case kmod.Gzip:
		if e == dense {
			return stdgzip.NewWriterLevel(w, stdgzip.DefaultCompression)
		}
		return gzip.NewWriterLevel(w, gzip.DefaultCompression)
	case kmod.Zstd:
		level := []zstd.EncoderLevel{zstd.SpeedDefault, zstd.SpeedBetterCompression}[e]
		return zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(level))
	}
	return nil, fmt.Errorf("write layer: no layer is stored as %s", c)
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }
