package source

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kmodseal/kmodseal/pkg/fault"
)

// maxMembers bounds the table of an archive's members.
const maxMembers = 100_000

// archive is a tar file, scanned once and then read in place.
type archive struct {
	ref     Ref
	file    *os.File
	members map[string]member
	named   map[v1.Hash]string // docker-archive: which member has the bytes
}

// member is where a file's bytes are, or what it is a link to.
type member struct {
	offset, size int64
	link         string
}

// openArchive scans the headers; the bytes between are skipped by seeking.
func openArchive(ctx context.Context, r Ref) (*archive, error) {
	f, err := os.Open(r.Name)
	if err != nil {
		return nil, fault.New(absent(err), "open archive: %w", err).Hint("write %s:FILE", r.Kind)
	}
	a := &archive{ref: r, file: f, members: map[string]member{}}
	if err := a.scan(ctx); err != nil {
		f.Close()
		return nil, err
	}
	return a, nil
}

func (a *archive) scan(ctx context.Context) error {
	info, err := a.file.Stat()
	switch {
	case err != nil:
		return fmt.Errorf("open archive: %w", err)
	case info.IsDir():
		return fault.New(fault.Usage, "%s is a folder", a.ref).Hint("for an OCI layout write oci:%s", a.ref.Name)
	case !info.Mode().IsRegular():
		return fault.New(fault.Usage, "%s is no regular file", a.ref).Hint("copy it into a file first")
	}
	if err := a.refuseCompressed(); err != nil {
		return err
	}
	tr := tar.NewReader(a.file)
	for n := 0; ; n++ {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("read %s: %w", a.ref, err)
		}
		h, err := tr.Next()
		switch {
		case errors.Is(err, io.EOF) && n > 0:
			return nil
		case err != nil:
			return fault.New(fault.Input, "read %s: %w", a.ref, noEOF(err)).Hint("is %s a whole tar file?", a.ref.Name)
		case n == maxMembers:
			return fault.New(fault.Input, "%s has more than %d members", a.ref, maxMembers).Hint(writeAgain)
		}
		if err := a.note(h, info.Size()); err != nil {
			return err
		}
	}
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// refuseCompressed names the tool to use instead of a riddle about tar headers.
func (a *archive) refuseCompressed() error {
	magic := make([]byte, 6)
	n, _ := a.file.ReadAt(magic, 0)
	tools := []struct{ tool, magic string }{
		{"gzip -d", "\x1f\x8b"},
		{"zstd -d", "\x28\xb5\x2f\xfd"},
		{"xz -d", "\xfd7zXZ\x00"},
		{"bzip2 -d", "BZh"},
	}
	for _, t := range tools {
		if bytes.HasPrefix(magic[:n], []byte(t.magic)) {
			return fault.New(fault.Input, "%s is compressed", a.ref).Hint("decompress it with: %s", t.tool)
		}
	}
	return nil
}

// note enters h; tar's reader stands at the first byte of the content. A later
// member of the same name wins, as when the archive is unpacked.
func (a *archive) note(h *tar.Header, end int64) error {
	key := memberName(h.Name)
	switch h.Typeflag {
	case tar.TypeReg:
		off, err := a.file.Seek(0, io.SeekCurrent)
		if err != nil {
			return fmt.Errorf("read %s: %w", a.ref, err)
		}
		if h.Size > end-off {
			return fault.New(fault.Input, "%s is truncated: %s ends after %d of %d bytes", a.ref, clean(key), end-off, h.Size).Hint(writeAgain)
		}
		a.members[key] = member{offset: off, size: h.Size}
	case tar.TypeSymlink:
		// Nothing is unpacked: the link is looked up among the members.
		a.members[key] = member{link: memberName(path.Dir(key) + "/" + h.Linkname)}
	case tar.TypeLink:
		a.members[key] = member{link: memberName(h.Linkname)}
	}
	return nil
}

func memberName(s string) string { return strings.TrimPrefix(path.Clean("/"+s), "/") }

// find follows links, of which docker save makes some.
func (a *archive) find(key string) (member, error) {
	key = memberName(key)
	m, ok := a.members[key]
	for hops := 0; ok && m.link != ""; hops++ {
		if hops == 8 {
			return member{}, fmt.Errorf("%s: too many links", clean(key))
		}
		m, ok = a.members[m.link]
	}
	if !ok {
		return member{}, fmt.Errorf("no member %s", clean(key))
	}
	return m, nil
}

func (a *archive) section(key string) (*io.SectionReader, error) {
	m, err := a.find(key)
	if err != nil {
		return nil, err
	}
	return io.NewSectionReader(a.file, m.offset, m.size), nil
}

func (a *archive) Close() error                             { return a.file.Close() }
func (a *archive) String() string                           { return a.ref.String() }
func (a *archive) digests() bool                            { return false }
func (a *archive) repository() (r name.Repository, ok bool) { return r, false }
func (a *archive) class() fault.Class                       { return fault.Input }

func (a *archive) manifest(ctx context.Context, d v1.Descriptor) (io.ReadCloser, error) {
	return a.open(ctx, d)
}

func (a *archive) open(_ context.Context, d v1.Descriptor) (io.ReadCloser, error) {
	key, ok := a.named[d.Digest]
	if !ok {
		key = blobName(d.Digest)
	}
	s, err := a.section(key)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(s), nil
}

func openOCIArchive(ctx context.Context, r Ref, o Options) (*Source, error) {
	a, err := openArchive(ctx, r)
	if err != nil {
		return nil, err
	}
	index, err := a.index()
	if err != nil {
		a.file.Close()
		f := fault.New(fault.Input, "%s: %w", r, err)
		if _, other := a.find("manifest.json"); other == nil {
			return nil, f.Hint("this looks like docker save's format: write docker-archive:%s", r.Name)
		}
		return nil, f.Hint(writeAgain)
	}
	return openIndexed(ctx, a, r, index, o, a)
}

func (a *archive) index() (*v1.IndexManifest, error) {
	s, err := a.section("index.json")
	if err != nil {
		return nil, err
	}
	return decodeIndex(s)
}
