package kmod

import (
	"errors"
	"fmt"

	"github.com/kmodseal/kmodseal/pkg/fault"
)

// DefaultLimit bounds a plain module, in bytes.
const DefaultLimit = 512 << 20

// ErrTrailing says that a compressed module has further bytes behind it, as
// when it was signed after it was compressed. The error in the chain is a
// *TrailingError.
var ErrTrailing = errors.New("bytes behind the compressed data")

// TrailingError says where a compressed module ends and other bytes begin.
type TrailingError struct {
	Codec  Codec
	Offset int64 // of the first byte that does not belong to it
	Size   int64 // how many follow
}

func (e *TrailingError) Error() string {
	return fmt.Sprintf("%d %v (%s, up to offset %d)", e.Size, ErrTrailing, e.Codec, e.Offset)
}

// Unwrap makes errors.Is(err, ErrTrailing) hold.
func (e *TrailingError) Unwrap() error { return ErrTrailing }

// errTooBig is what the codecs return above the limit.
var errTooBig = errors.New("too big")

// extent is where in a stored module its compressed data ends. Whatever is
// behind end is trailing.
type extent struct {
	end   int // offset behind the last stream, member or frame and its padding
	parts int // streams, members or frames with content
}

// Decode gives the plain module, at most limit bytes (0: DefaultLimit); a
// bigger one and a damaged one are refused (fault class Input). Several
// streams, members or frames are one module, as to kmod. Bytes behind them
// are a fault of class Damaged that is ErrTrailing; the plain module is then
// given all the same. Of codec None, plain is stored itself.
func Decode(stored []byte, limit int64) (plain []byte, c Codec, err error) {
	if limit <= 0 {
		limit = DefaultLimit
	}
	c = Sniff(stored)
	x := extent{end: len(stored)}
	switch c {
	case Gzip:
		plain, x, err = decodeGzip(stored, limit)
	case XZ:
		plain, x, err = decodeXZ(stored, limit)
	case Zstd:
		plain, x, err = decodeZstd(stored, limit)
	case None:
		plain = stored
		if int64(len(plain)) > limit {
			err = errTooBig
		}
	}
	switch {
	case errors.Is(err, errTooBig):
		return nil, c, fault.New(fault.Input, "module is bigger than %d bytes when plain", limit).
			Hint("no real module is: look at where the file comes from")
	case err != nil:
		return nil, c, fault.New(fault.Input, "damaged %s data: %w", c, err)
	case x.end < len(stored):
		t := &TrailingError{Codec: c, Offset: int64(x.end), Size: int64(len(stored) - x.end)}
		return plain, c, fault.New(fault.Damaged, "%w", t).
			Hint("a compressed module is signed first and compressed afterwards: take the file that its build made and sign that")
	}
	return plain, c, nil
}
