package kmod

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/ulikunitz/xz"
	"github.com/ulikunitz/xz/lzma"
)

// Limits on what a stream may ask of its reader. xz -9 asks for 64 MiB.
const (
	xzMaxDict    = 64 << 20
	xzMaxDictSum = 4 << 30 // over all blocks: each gets a dictionary of its own
)

// The .xz file format, version 1.2.1: https://tukaani.org/xz/xz-file-format.txt
const (
	xzHeaderLen   = 12
	xzFooterLen   = 12
	xzFilterLZMA2 = 0x21
)

var (
	errXZ   = errors.New("invalid structure")
	errDict = errors.New("more than is read here")
)

// xzFacts is what the headers of an .xz file say, without decoding.
type xzFacts struct {
	extent
	check   byte     // of the first stream: 0 none, 1 CRC32, 4 CRC64, 10 SHA-256
	dict    int64    // biggest LZMA2 dictionary, in bytes
	dictSum int64    // over all blocks
	filters []uint64 // other than LZMA2, in the order in which they appear
	plain   int64    // bytes when decoded
	first   int      // offset behind the first stream; 0: it does not end
}

// decodeXZ reads the headers first, so that no dictionary and no output is
// allocated before it is known to be within the limits.
func decodeXZ(stored []byte, limit int64) ([]byte, extent, error) {
	f, err := scanXZ(stored)
	switch {
	case err != nil:
		return nil, f.extent, err
	case f.plain > limit:
		return nil, f.extent, errTooBig
	case len(f.filters) > 0:
		return nil, f.extent, fmt.Errorf("filter %#x is not supported", f.filters[0])
	}
	plain, err := f.read(bytes.NewReader(stored[:f.end]), limit)
	return plain, f.extent, err
}

func (f *xzFacts) read(stored io.Reader, limit int64) ([]byte, error) {
	if f.dict > xzMaxDict || f.dictSum > xzMaxDictSum {
		return nil, fmt.Errorf("dictionaries of up to %d bytes, %d together: %w", f.dict, f.dictSum, errDict)
	}
	r, err := xz.ReaderConfig{DictCap: lzma.MinDictCap}.NewReader(stored)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	out.Grow(int(min(f.plain, 16<<20)) + bytes.MinRead)
	if err := copyLimited(&out, r, limit); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// scanXZ walks stream after stream. Streams are self-delimiting, as are the
// LZMA2 chunks inside their blocks (section 3.1 of the format).
func scanXZ(stored []byte) (xzFacts, error) {
	var f xzFacts
	for s := (&xzScan{rest: stored, facts: &f}); ; {
		if err := s.stream(); err != nil {
			return f, fmt.Errorf("at offset %d: %w", len(stored)-len(s.rest), err)
		}
		f.parts++
		f.end = len(stored) - len(s.rest)
		if f.parts == 1 {
			f.first = f.end
		}
		for len(s.rest) >= 4 && allZero(s.rest[:4]) { // stream padding
			s.rest = s.rest[4:]
		}
		if len(s.rest) == 0 {
			f.end = len(stored)
		}
		if !bytes.HasPrefix(s.rest, []byte(xzMagic)) {
			return f, nil
		}
	}
}

type xzScan struct {
	rest  []byte
	facts *xzFacts
}

// take cuts n bytes off.
func (s *xzScan) take(n int) ([]byte, error) {
	if n > len(s.rest) {
		return nil, io.ErrUnexpectedEOF
	}
	b := s.rest[:n]
	s.rest = s.rest[n:]
	return b, nil
}

// vli cuts a variable-length integer off b (section 1.2).
func vli(b []byte) (v uint64, rest []byte, err error) {
	v, n := binary.Uvarint(b[:min(len(b), 9)])
	switch {
	case n == 0 && len(b) < 9:
		return 0, nil, io.ErrUnexpectedEOF
	case n <= 0:
		return 0, nil, errXZ
	}
	return v, b[n:], nil
}

func (s *xzScan) stream() error {
	h, err := s.take(xzHeaderLen)
	if err != nil {
		return err
	}
	if crc32.ChecksumIEEE(h[6:8]) != binary.LittleEndian.Uint32(h[8:]) {
		return errXZ
	}
	if s.facts.parts == 0 {
		s.facts.check = h[7] & 0x0f
	}
	checkLen := 0 // section 2.1.1.2: 0, 4, 8, 16, 32 or 64 bytes
	if id := h[7] & 0x0f; id > 0 {
		checkLen = 4 << ((id - 1) / 3)
	}
	for {
		if len(s.rest) == 0 {
			return io.ErrUnexpectedEOF
		}
		if s.rest[0] == 0 {
			return s.index()
		}
		if err := s.block(checkLen); err != nil {
			return err
		}
	}
}

// block is a header, LZMA2 chunks, padding to four bytes and the check.
func (s *xzScan) block(checkLen int) error {
	h, err := s.take((int(s.rest[0]) + 1) * 4)
	if err != nil {
		return err
	}
	if sum := len(h) - 4; crc32.ChecksumIEEE(h[:sum]) != binary.LittleEndian.Uint32(h[sum:]) {
		return errXZ
	}
	if err := s.blockHeader(h[1], h[2:len(h)-4]); err != nil {
		return errXZ // of the file there is enough
	}
	before := len(s.rest)
	for last := false; !last; {
		if last, err = s.chunk(); err != nil {
			return err
		}
	}
	padding := -(before - len(s.rest)) & 3
	_, err = s.take(padding + checkLen)
	return err
}

// blockHeader reads sizes and filters (section 3.1).
func (s *xzScan) blockHeader(flags byte, b []byte) error {
	var err error
	for _, present := range []byte{0x40, 0x80} {
		if flags&present != 0 {
			if _, b, err = vli(b); err != nil {
				return err
			}
		}
	}
	for n := int(flags&3) + 1; n > 0; n-- {
		var id, size uint64
		if id, b, err = vli(b); err != nil {
			return err
		}
		if size, b, err = vli(b); err != nil || size > uint64(len(b)) {
			return errXZ
		}
		if err := s.filter(id, b[:size]); err != nil {
			return err
		}
		b = b[size:]
	}
	return nil
}

func (s *xzScan) filter(id uint64, props []byte) error {
	if id != xzFilterLZMA2 {
		s.facts.filters = append(s.facts.filters, id)
		return nil
	}
	if len(props) != 1 {
		return errXZ
	}
	dict, err := lzma.DecodeDictCap(props[0])
	if err != nil {
		return err
	}
	s.facts.dict = max(s.facts.dict, dict)
	s.facts.dictSum += dict
	return nil
}

// chunk skips one LZMA2 chunk: a control byte, sizes less one in big endian,
// for some a byte of properties, and the data.
func (s *xzScan) chunk() (last bool, err error) {
	c, err := s.take(1)
	if err != nil || c[0] == 0 {
		return true, err
	}
	h, err := s.take(2)
	if err != nil {
		return false, err
	}
	size := int(binary.BigEndian.Uint16(h)) + 1
	if c[0] < 0x80 {
		if c[0] > 2 {
			return false, errXZ
		}
		s.facts.plain += int64(size)
		_, err = s.take(size)
		return false, err
	}
	s.facts.plain += int64(c[0]&0x1f)<<16 + int64(size)
	if h, err = s.take(2); err != nil {
		return false, err
	}
	size = int(binary.BigEndian.Uint16(h)) + 1
	if c[0] >= 0xc0 {
		size++
	}
	_, err = s.take(size)
	return false, err
}

// index skips the list of blocks and the footer (sections 4 and 2.1.2).
func (s *xzScan) index() error {
	n, rest, err := vli(s.rest[1:])
	for n *= 2; n > 0 && err == nil; n-- {
		_, rest, err = vli(rest)
	}
	if err != nil {
		return err
	}
	size := len(s.rest) - len(rest)
	size += -size&3 + 4 // padding and CRC32
	_, err = s.take(size + xzFooterLen)
	return err
}
