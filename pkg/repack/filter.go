package repack

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/imagefs"
)

// blockSize is that of ustar; every header and every body starts at a multiple.
const blockSize = 512

// edit says what becomes of one tar entry; the zero value keeps it.
type edit struct {
	drop bool
	with *content // the new bytes of a regular file
}

// filter copies a tar stream entry by entry and byte for byte, but for what
// edits says. Where the archive ends, tail may add entries.
type filter struct {
	edits map[int]edit // by the entry's number; global headers do not count
	tail  []file
	limit int64 // bytes of all files, holes counted; 0: imagefs.DefaultLayerBytes
}

func (f *filter) copy(ctx context.Context, w io.Writer, r io.Reader) error {
	in := &tap{r: r}
	t := tar.NewReader(in)
	sink := w // of the entry before
	left := cmp.Or(f.limit, imagefs.DefaultLayerBytes)
	for n := 0; ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		// Next reads the padding of the entry before and the header blocks:
		// all of them, extended headers too.
		padding := -in.n & (blockSize - 1)
		var head bytes.Buffer
		in.sink = &head
		h, err := t.Next()
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read tar: %w", err)
		}
		if err := split(&head, padding, sink); err != nil {
			return err
		}
		if h == nil {
			return f.end(w, head.Bytes(), r)
		}
		var e edit
		if h.Typeflag != tar.TypeXGlobalHeader {
			e = f.edits[n]
			n++
		}
		if sink, err = e.entry(w, h, head.Bytes()); err != nil {
			return err
		}
		in.sink = sink
		if left -= h.Size; left < 0 { // holes cost the archive nothing, but us time
			return fault.New(fault.Input, "the files of the layer exceed the limit at %q", h.Name)
		}
		if _, err := io.Copy(io.Discard, t); err != nil { //nolint:gosec // G110: the scan has read the same bytes within its limits
			return fmt.Errorf("read tar entry %q: %w", h.Name, err)
		}
	}
}

// split moves the first n bytes of head to sink.
func split(head *bytes.Buffer, n int64, sink io.Writer) error {
	_, err := sink.Write(head.Next(int(n)))
	return err
}

// entry writes what comes before the body and says where the old body goes.
func (e edit) entry(w io.Writer, h *tar.Header, head []byte) (io.Writer, error) {
	switch {
	case e.drop:
		return io.Discard, nil
	case e.with != nil:
		n := file{header: replaced(h), content: *e.with}
		return io.Discard, n.write(w)
	}
	_, err := w.Write(head)
	return w, err
}

// end writes the tail, the blocks that end the archive and whatever follows them.
func (f *filter) end(w io.Writer, blocks []byte, rest io.Reader) error {
	for i := range f.tail {
		if err := f.tail[i].write(w); err != nil {
			return err
		}
	}
	if _, err := w.Write(blocks); err != nil {
		return err
	}
	_, err := io.Copy(w, rest)
	return err
}

// tap shows sink every byte that is read, and counts them.
type tap struct {
	r    io.Reader
	sink io.Writer
	n    int64
}

func (t *tap) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	t.n += int64(n)
	if _, werr := t.sink.Write(p[:n]); werr != nil {
		return n, werr
	}
	return n, err
}
