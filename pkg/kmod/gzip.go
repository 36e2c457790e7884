package kmod

import (
	"bytes"
	"errors"
	"io"

	"github.com/klauspost/compress/gzip"
)

// decodeGzip reads member after member. Zero bytes behind the last one are
// padding, as they are to gzip.
func decodeGzip(stored []byte, limit int64) ([]byte, extent, error) {
	r := bytes.NewReader(stored) // a ByteReader: the inflater reads no further than a member's end
	var out bytes.Buffer
	var x extent
	z := new(gzip.Reader)
	for {
		if err := z.Reset(r); err != nil {
			return nil, x, unexpected(err)
		}
		z.Multistream(false)
		if err := copyLimited(&out, z, limit); err != nil {
			return nil, x, err
		}
		x.parts++
		x.end = len(stored) - r.Len()
		if !bytes.HasPrefix(stored[x.end:], []byte(gzipMagic)) {
			break
		}
	}
	if allZero(stored[x.end:]) {
		x.end = len(stored)
	}
	return out.Bytes(), x, nil
}

// copyLimited appends r's bytes to out unless that makes out longer than limit.
func copyLimited(out *bytes.Buffer, r io.Reader, limit int64) error {
	if _, err := out.ReadFrom(io.LimitReader(r, limit-int64(out.Len())+1)); err != nil {
		return unexpected(err)
	}
	if int64(out.Len()) > limit {
		return errTooBig
	}
	return nil
}

// unexpected turns the end of data in the middle of something into the error
// that says so.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
