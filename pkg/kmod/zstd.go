package kmod

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// RFC 8878.
const (
	zstdMaxBlock  = 128 << 10 // section 3.1.1.2.3
	zstdMaxWindow = 128 << 20 // what libzstd, and so kmod, reads unless told otherwise
)

// zstdFacts is what the headers of a zstd file say, without decoding.
type zstdFacts struct {
	extent
	skippable  bool   // it begins with a skippable frame
	dictionary uint32 // id; 0: none
	bound      uint64 // the plain module has no more bytes than this
	first      int    // offset behind the first frame with content; 0: it does not end
}

// isSkippable reports whether b begins with a skippable frame (section 3.1.2).
func isSkippable(b []byte) bool {
	return len(b) >= 4 && binary.LittleEndian.Uint32(b)&^0xf == 0x184d2a50
}

// decodeZstd reads the headers first, so that a frame that lies about its
// content cannot make the decoder allocate.
func decodeZstd(stored []byte, limit int64) ([]byte, extent, error) {
	f, err := scanZstd(stored)
	if err != nil {
		return nil, f.extent, err
	}
	r, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(zstdMaxWindow),
		zstd.WithDecoderMaxMemory(uint64(max(limit, zstdMaxWindow))))
	if err != nil {
		return nil, f.extent, err
	}
	defer r.Close()
	plain, err := r.DecodeAll(stored[:f.end], nil)
	if errors.Is(err, zstd.ErrDecoderSizeExceeded) || int64(len(plain)) > limit {
		err = errTooBig
	}
	return plain, f.extent, err
}

// scanZstd walks frame after frame, block after block.
func scanZstd(stored []byte) (zstdFacts, error) {
	f := zstdFacts{skippable: isSkippable(stored)}
	rest := stored
	for bytes.HasPrefix(rest, []byte(zstdMagic)) || isSkippable(rest) {
		n, err := f.frame(rest)
		if err != nil {
			return f, fmt.Errorf("at offset %d: %w", f.end, err)
		}
		rest = rest[n:]
		f.end += n
		if f.first == 0 && f.parts == 1 {
			f.first = f.end
		}
	}
	return f, nil
}

// frame gives the length of the frame that b begins with.
func (f *zstdFacts) frame(b []byte) (int, error) {
	var h zstd.Header
	if err := h.Decode(b); err != nil {
		return 0, unexpected(err)
	}
	n := h.HeaderSize
	if h.Skippable {
		if int64(h.SkippableSize) > int64(len(b)-n) {
			return 0, io.ErrUnexpectedEOF
		}
		return n + int(h.SkippableSize), nil
	}
	f.parts++
	before := f.bound
	for last := false; !last; {
		if n+3 > len(b) {
			return 0, io.ErrUnexpectedEOF
		}
		// section 3.1.1.2: last block 1 bit, type 2 bits, size 21 bits
		head := uint32(b[n]) | uint32(b[n+1])<<8 | uint32(b[n+2])<<16
		last = head&1 != 0
		n += 3 + f.block(head>>1&3, int(head>>3))
	}
	if h.HasCheckSum {
		n += 4
	}
	if n > len(b) {
		return 0, io.ErrUnexpectedEOF
	}
	f.dictionary = max(f.dictionary, h.DictionaryID)
	if h.HasFCS && h.FrameContentSize > f.bound-before {
		return 0, fmt.Errorf("frame of at most %d bytes says that it holds %d", f.bound-before, h.FrameContentSize)
	}
	return n, nil
}

// block counts what a block may decode to, and gives its length in the file.
func (f *zstdFacts) block(kind uint32, size int) int {
	switch kind {
	case 0: // raw
		f.bound += uint64(size)
	case 1: // one byte, repeated
		f.bound += uint64(size)
		return 1
	default:
		f.bound += zstdMaxBlock
	}
	return size
}
