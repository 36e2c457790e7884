package repack

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kmodseal/kmodseal/pkg/extract"
	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/imagefs"
)

// unpack writes the flattened view of tars, lowest first, to the folder dir:
// into a temporary folder beside it, then by rename. A folder that holds the same
// tree (extract.FolderDigest) is left alone, one that holds anything else is
// refused. The owner is set by root only; extended attributes, device nodes, pipes
// and sockets are left out.
func unpack(ctx context.Context, dir string, tars []tarball, warn func(string, ...any)) (written bool, err error) {
	free, err := emptyOrNew(dir)
	if err != nil {
		return false, err
	}
	parent := filepath.Dir(dir)
	if err := os.MkdirAll(parent, 0o755); err != nil { //nolint:gosec // G301: as mkdir -p
		return false, fmt.Errorf("create destination: %w", err)
	}
	tmp, err := os.MkdirTemp(parent, "."+filepath.Base(dir)+"-*")
	if err != nil {
		return false, fmt.Errorf("create destination: %w", err)
	}
	defer func() {
		if !written {
			err = errors.Join(err, os.RemoveAll(tmp))
		}
	}()
	if err := unpackInto(ctx, tmp, tars, warn); err != nil {
		return false, err
	}
	if !free {
		return false, sameTree(ctx, dir, tmp)
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("replace destination: %w", err)
	}
	err = os.Rename(tmp, dir)
	return err == nil, err
}

// emptyOrNew says whether the folder dir is not there or holds nothing.
func emptyOrNew(dir string) (bool, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fault.New(fault.Usage, "destination: %w", err)
	}
	return len(entries) == 0, nil
}

// sameTree refuses dir unless it holds what tmp does.
func sameTree(ctx context.Context, dir, tmp string) error {
	var digests [2]string
	for i, name := range []string{dir, tmp} {
		root, err := os.OpenRoot(name)
		if err != nil {
			return err
		}
		digests[i], err = extract.FolderDigest(ctx, root)
		_ = root.Close() // read only
		if err != nil {
			return fmt.Errorf("read destination: %w", err)
		}
	}
	if digests[0] == digests[1] {
		return nil
	}
	return fault.New(fault.Usage, "destination folder %s holds something else", dir).Hint("name a new folder, or empty this one")
}

func unpackInto(ctx context.Context, dir string, tars []tarball, warn func(string, ...any)) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	u := &unpacker{root: root, dirs: map[string]*tar.Header{".": {Mode: 0o755}}, owner: os.Geteuid() == 0, left: imagefs.DefaultLayerBytes}
	for _, t := range tars {
		u.made = map[string]bool{}
		if err := u.layer(ctx, t); err != nil {
			return err
		}
	}
	if u.attributes > 0 {
		warn("left out: extended attributes (such as capabilities) of %d files", u.attributes)
	}
	if len(u.special) > 0 {
		warn("left out: %d device nodes, pipes and sockets, the first is %s", len(u.special), u.special[0])
	}
	return u.finish()
}

// unpacker applies tar streams to a folder as a container runtime does.
type unpacker struct {
	root    *os.Root
	made    map[string]bool        // by the layer at hand: its whiteouts do not hide these
	dirs    map[string]*tar.Header // modes and times are set at the end
	special []string
	owner   bool
	left    int64 // bytes of all files, holes counted, that may still come

	attributes int // entries with extended attributes
}

func (u *unpacker) layer(ctx context.Context, t tarball) error {
	r, w := io.Pipe()
	go func() { w.CloseWithError(t(ctx, w)) }()
	defer func() { _ = r.Close() }() // a pipe's never fails
	in := tar.NewReader(r)
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			_, err = io.Copy(io.Discard, r) // to the end, where the digest is checked
			return err
		}
		if err != nil {
			return fmt.Errorf("unpack: %w", err)
		}
		if err := u.entry(h, in); err != nil {
			return fmt.Errorf("unpack %q: %w", h.Name, err)
		}
	}
}

func (u *unpacker) entry(h *tar.Header, r io.Reader) error {
	name := path.Clean("/" + h.Name)[1:]
	if name == "" || h.Typeflag == tar.TypeXGlobalHeader {
		return nil
	}
	if hasAttributes(h) {
		u.attributes++
	}
	parent, err := u.resolve(path.Dir(name), true)
	if err != nil {
		return err
	}
	base := path.Base(name)
	if hidden, ok := strings.CutPrefix(base, ".wh."); ok {
		return u.hide(parent, hidden)
	}
	name = path.Join(parent, base)
	if h.Typeflag == tar.TypeDir {
		return u.dir(name, h)
	}
	if err := u.root.RemoveAll(name); err != nil {
		return err
	}
	u.made[name] = true
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeCont, tar.TypeGNUSparse:
		return u.file(name, h, r)
	case tar.TypeSymlink:
		return errors.Join(u.root.Symlink(h.Linkname, name), u.own(name, h))
	case tar.TypeLink:
		target := path.Clean("/" + h.Linkname)[1:]
		at, err := u.resolve(path.Dir(target), false)
		if err != nil {
			return err
		}
		return u.root.Link(path.Join(at, path.Base(target)), name)
	}
	u.special = append(u.special, name)
	return nil
}

func (u *unpacker) dir(name string, h *tar.Header) error {
	if fi, err := u.root.Lstat(name); err != nil || !fi.IsDir() {
		if err := u.root.RemoveAll(name); err != nil {
			return err
		}
		if err := u.root.Mkdir(name, 0o700); err != nil {
			return err
		}
	}
	u.made[name], u.dirs[name] = true, h
	return u.own(name, h)
}

func (u *unpacker) file(name string, h *tar.Header, r io.Reader) error {
	if u.left -= h.Size; u.left < 0 { // holes cost the archive nothing, but they fill the disk
		return fault.New(fault.Input, "the files exceed %d GiB", imagefs.DefaultLayerBytes>>30)
	}
	f, err := u.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	if err := errors.Join(err, f.Close(), u.own(name, h)); err != nil {
		return err
	}
	return u.stamp(name, h)
}

// own sets the owner, which clears setuid bits: before the mode.
func (u *unpacker) own(name string, h *tar.Header) error {
	if !u.owner {
		return nil
	}
	return u.root.Lchown(name, h.Uid, h.Gid)
}

func (u *unpacker) stamp(name string, h *tar.Header) error {
	if err := u.root.Chmod(name, h.FileInfo().Mode()&(fs.ModePerm|fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky)); err != nil {
		return err
	}
	return u.root.Chtimes(name, h.ModTime, h.ModTime)
}

// finish sets the folders' modes and times, deepest first.
func (u *unpacker) finish() error {
	names := make([]string, 0, len(u.dirs))
	for name := range u.dirs {
		names = append(names, name)
	}
	slices.Sort(names)
	slices.Reverse(names)
	for _, name := range names {
		fi, err := u.root.Lstat(name)
		if err != nil || !fi.IsDir() {
			continue // replaced by a later layer
		}
		if err := u.stamp(name, u.dirs[name]); err != nil {
			return err
		}
	}
	return nil
}

// hasAttributes knows extended attributes as GNU tar, Docker and BuildKit write them.
func hasAttributes(h *tar.Header) bool {
	for k := range h.PAXRecords {
		if strings.HasPrefix(k, "SCHILY.xattr.") {
			return true
		}
	}
	return false
}
