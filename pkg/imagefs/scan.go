package imagefs

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/manifest"
)

// Defaults of Limits, of Room, and the bound of what the extended headers of a
// layer's wanted files say, in bytes: one may have a megabyte, which costs a
// kilobyte of a compressed layer.
const (
	DefaultEntries    = 1_000_000
	DefaultLayerBytes = 64 << 30
	DefaultFileBytes  = 512 << 20
	maxRoom           = 512 << 20
	maxHeaders        = 32 << 20
)

// withDefaults fills zero fields.
func (l Limits) withDefaults() Limits {
	if l.Entries <= 0 {
		l.Entries = DefaultEntries
	}
	if l.LayerBytes <= 0 {
		l.LayerBytes = DefaultLayerBytes
	}
	if l.FileBytes <= 0 {
		l.FileBytes = DefaultFileBytes
	}
	if l.Room == nil {
		l.Room = NewRoom()
	}
	return l
}

// Scan reads the tar stream r once, to its end, and gives its entries in order.
// want (nil: nobody) is asked once for every regular file that is no whiteout, in
// order; where it says yes visit gets the header, the clean path and the content,
// and the entry keeps the header. Refused with class Input: a stream that is no
// tar or is cut, a name or hard link that leaves the root, control characters or
// bytes other than UTF-8 in a wanted name, a wanted file of a type that runtimes
// do not unpack, and whatever exceeds lim. Errors of r and visit come back as
// they are.
func Scan(ctx context.Context, r io.Reader, lim Limits, want func(path string) bool,
	visit func(h *tar.Header, path string, r io.Reader) error,
) ([]Entry, error) {
	lim = lim.withDefaults()
	s := &scanner{src: &meter{ctx: ctx, r: r, left: lim.LayerBytes}, lim: lim, visited: lim.LayerBytes, want: want, visit: visit}
	if want == nil {
		s.want = func(string) bool { return false }
	}
	if err := s.run(); err != nil {
		return nil, err
	}
	return s.entries, nil
}

// ScanLayer is Scan of what Blob gives. Every error but visit's names the layer.
func ScanLayer(ctx context.Context, l v1.Layer, lim Limits, want func(path string) bool,
	visit func(h *tar.Header, path string, r io.Reader) error,
) ([]Entry, error) {
	b, err := inflate(ctx, l)
	if err != nil {
		return nil, err
	}
	defer b.Close() //nolint:errcheck // only read from
	entries, err := Scan(ctx, b, lim, want, visit)
	if err != nil && (b.said == nil || !errors.Is(err, b.said)) {
		err = fmt.Errorf("layer %s: %w", b.name, err)
	}
	return entries, err
}

type scanner struct {
	src     *meter
	lim     Limits
	want    func(string) bool
	visit   func(*tar.Header, string, io.Reader) error
	entries []Entry
	headers int   // bytes of extended headers that entries keep
	visited int64 // bytes that visit may still get: holes of sparse files cost r nothing
}

func (s *scanner) run() error {
	t := tar.NewReader(s.src)
	for {
		h, err := t.Next()
		if err == io.EOF {
			return s.drain()
		}
		if err != nil {
			return s.fault(err)
		}
		if h.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		if err := s.entry(h, t); err != nil {
			return err
		}
	}
}

// drain reads what follows the end-of-archive mark: nothing of it is unpacked
// by runtimes, but the digest at the end covers it.
func (s *scanner) drain() error {
	if _, err := io.Copy(io.Discard, s.src); err != nil {
		return s.fault(err)
	}
	return nil
}

// entry records one header and hands a wanted file on.
func (s *scanner) entry(h *tar.Header, content io.Reader) error {
	e, err := newEntry(h)
	if err != nil {
		return fault.New(fault.Input, "tar entry %d: %w", len(s.entries), err).Hint(mendBuild)
	}
	if len(s.entries) >= s.lim.Entries {
		return fault.New(fault.Input, "more than %d tar entries", s.lim.Entries).
			Hint("raise the limit for entries if the image is trusted")
	}
	if !s.lim.Room.take(e.size()) {
		return noRoom()
	}
	if wantable(e) && s.want(e.Path) {
		n := 0
		for key, value := range h.PAXRecords {
			n += len(key) + len(value)
		}
		if s.headers += n; s.headers > maxHeaders {
			return fault.New(fault.Input, "%q: the extended headers of the layer's modules exceed %d bytes", e.Path, maxHeaders).Hint(mendBuild)
		}
		if !s.lim.Room.take(n) {
			return noRoom()
		}
		if err := s.file(h, e.Path, content); err != nil {
			return err
		}
		e.Header = h
	}
	s.entries = append(s.entries, e)
	return nil
}

func noRoom() error {
	return fault.New(fault.Input, "the names in the image's layers take more than %d bytes of memory", maxRoom).Hint(mendBuild)
}

// newEntry drops everything of h that the flattened view does not need.
func newEntry(h *tar.Header) (Entry, error) {
	p, err := clean(h.Name)
	if err != nil {
		return Entry{}, err
	}
	e := Entry{Path: strings.Clone(p), Type: h.Typeflag}
	switch h.Typeflag {
	case tar.TypeLink:
		e.Link, err = clean(h.Linkname)
		if err != nil {
			return Entry{}, fmt.Errorf("hard link %q: target %w", p, err)
		}
	case tar.TypeSymlink:
		if len(h.Linkname) > maxName {
			return Entry{}, fmt.Errorf("symbolic link %q: target of %d bytes is too long", p, len(h.Linkname))
		}
		e.Link = strings.Clone(h.Linkname)
	}
	return e, nil
}

// wantable are regular files, also of the kinds that runtimes refuse.
func wantable(e Entry) bool {
	switch e.Type {
	case tar.TypeReg, tar.TypeCont, tar.TypeGNUSparse:
		return !strings.HasPrefix(path.Base(e.Path), whiteout)
	}
	return false
}

func (s *scanner) file(h *tar.Header, p string, content io.Reader) error {
	s.visited -= h.Size
	switch err := manifest.CheckPath(p); {
	case err != nil:
		return fault.New(fault.Input, "tar entry %d: %w", len(s.entries), err).Hint(mendBuild)
	case h.Typeflag != tar.TypeReg:
		return fault.New(fault.Input, "%q is of tar type %q, which container runtimes do not unpack", p, h.Typeflag).Hint(mendBuild)
	case h.Size > s.lim.FileBytes:
		return fault.New(fault.Input, "%q has %d bytes, the limit is %d", p, h.Size, s.lim.FileBytes).
			Hint("raise the limit for one module, or leave the file out with --exclude")
	case s.visited < 0:
		return fault.New(fault.Input, "%q: the files of the layer exceed %d bytes", p, s.lim.LayerBytes).
			Hint("raise the limit for one layer if the image is trusted")
	}
	in := &recorder{r: content}
	if err := s.visit(h, p, in); err != nil {
		if in.err != nil && errors.Is(err, in.err) {
			return s.fault(in.err)
		}
		return err
	}
	return nil
}

// fault leaves errors of the source as they are; the rest is the tar's fault.
func (s *scanner) fault(err error) error {
	if s.src.err != nil {
		return s.src.err
	}
	return fault.New(fault.Input, "read tar: %w", err).Hint(getAnother)
}

// recorder remembers the error that a visitor saw while reading.
type recorder struct {
	r   io.Reader
	err error
}

func (r *recorder) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if err != nil && err != io.EOF { //nolint:errorlint // a reader's end is io.EOF itself
		r.err = err
	}
	return n, err
}

// meter counts the inflated bytes and looks for cancellation.
type meter struct {
	ctx  context.Context
	r    io.Reader
	left int64
	err  error // of r or of the meter itself, but io.EOF
}

func (m *meter) Read(p []byte) (int, error) {
	if m.err == nil {
		m.err = m.ctx.Err()
	}
	if m.err != nil {
		return 0, m.err
	}
	n, err := m.r.Read(p)
	if m.left -= int64(n); m.left < 0 {
		err = fault.New(fault.Input, "the layer inflates to more bytes than the limit allows").
			Hint("raise the limit for one layer if the image is trusted")
	}
	if err != nil && err != io.EOF { //nolint:errorlint // a reader's end is io.EOF itself
		m.err = err
	}
	return n, err
}
