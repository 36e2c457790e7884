package repack

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// content is a file's new bytes. open gives the ones that were checked, each
// time, or an error.
type content struct {
	size int64
	open func() ([]byte, error)
}

// file is a regular file to be added to a layer.
type file struct {
	header  *tar.Header
	content content
	links   []string // hard links to it, sorted
}

// added is the tar header of a module in a layer of its own: what old says of
// mode, owner, time and extended attributes under the path in the image.
func added(path string, old *tar.Header) *tar.Header {
	h := &tar.Header{
		Typeflag: tar.TypeReg,
		Name:     path,
		Mode:     old.Mode & 0o7777,
		Uid:      old.Uid,
		Gid:      old.Gid,
		Uname:    old.Uname,
		Gname:    old.Gname,
		ModTime:  old.ModTime,
	}
	h.PAXRecords = maps.Clone(old.PAXRecords)
	maps.DeleteFunc(h.PAXRecords, func(key, _ string) bool { return !isXattr(key) })
	if h.ModTime.Nanosecond() != 0 {
		h.Format = tar.FormatPAX
	}
	return h
}

func isXattr(key string) bool {
	return strings.HasPrefix(key, "SCHILY.xattr.") || strings.HasPrefix(key, "LIBARCHIVE.xattr.")
}

// replaced is old for other content: all that it says but the size. A sparse
// file becomes a plain one.
func replaced(old *tar.Header) *tar.Header {
	h := *old
	h.Typeflag = tar.TypeReg
	h.PAXRecords = maps.Clone(old.PAXRecords)
	maps.DeleteFunc(h.PAXRecords, func(key, _ string) bool { return strings.HasPrefix(key, "GNU.sparse.") })
	return &h
}

// certificate is the entry of the signer's certificate.
func certificate(path string, der []byte, modTime time.Time) file {
	return file{
		header:  &tar.Header{Typeflag: tar.TypeReg, Name: path, Mode: 0o644, ModTime: modTime.Truncate(time.Second)},
		content: content{int64(len(der)), func() ([]byte, error) { return der, nil }},
	}
}

// write puts f and its hard links into w, without the end of the archive. A
// link follows its file, as it must.
func (f *file) write(w io.Writer) error {
	t := tar.NewWriter(w)
	data, err := f.content.open()
	if err != nil {
		return err
	}
	h := *f.header
	h.Size = int64(len(data))
	if err := t.WriteHeader(&h); err != nil {
		return fmt.Errorf("write tar header of %s: %w", h.Name, err)
	}
	if _, err := t.Write(data); err != nil {
		return fmt.Errorf("write %s: %w", h.Name, err)
	}
	h.Typeflag, h.Size, h.Linkname = tar.TypeLink, 0, h.Name
	for _, link := range f.links {
		h.Name = link
		if err := t.WriteHeader(&h); err != nil {
			return fmt.Errorf("write tar header of %s: %w", link, err)
		}
	}
	return t.Flush()
}

// onlyFiles is the layer that append adds: files, sorted by path, and no parent
// folders, so that theirs keep their mode and owner.
func onlyFiles(files []file) tarball {
	files = slices.Clone(files)
	slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.header.Name, b.header.Name) })
	return func(ctx context.Context, w io.Writer) error {
		for i := range files {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := files[i].write(w); err != nil {
				return err
			}
		}
		return tar.NewWriter(w).Close()
	}
}
