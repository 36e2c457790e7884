package repack

import (
	"errors"
	"io/fs"
	"path"
	"strings"

	"github.com/kmodseal/kmodseal/pkg/fault"
)

// hide removes what lower layers brought: parent/name, or for an opaque mark
// all below parent.
func (u *unpacker) hide(parent, name string) error {
	if name == ".wh..opq" {
		_, err := u.purgeBelow(parent)
		return err
	}
	if strings.HasPrefix(name, ".wh.") || name == "" || name == "." || name == ".." {
		return nil
	}
	return u.purge(path.Join(parent, name))
}

// purge keeps what the layer at hand has made.
func (u *unpacker) purge(name string) error {
	fi, err := u.root.Lstat(name)
	if err != nil {
		return nil //nolint:nilerr // nothing to hide
	}
	keep := u.made[name]
	if fi.IsDir() {
		kept, err := u.purgeBelow(name)
		if err != nil {
			return err
		}
		keep = keep || kept
	}
	if keep {
		return nil
	}
	delete(u.dirs, name)
	return u.root.Remove(name)
}

func (u *unpacker) purgeBelow(dir string) (kept bool, err error) {
	entries, err := fs.ReadDir(u.root.FS(), dir)
	if err != nil {
		return false, nil //nolint:nilerr // nothing to hide
	}
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		if err := u.purge(name); err != nil {
			return false, err
		}
		if _, err := u.root.Lstat(name); err == nil {
			kept = true
		}
	}
	return kept, nil
}

// resolve follows the symbolic links in a folder's path inside the root, as a
// process in a chroot does. With create missing folders are made.
func (u *unpacker) resolve(dir string, create bool) (string, error) {
	at, left := ".", dir
	for hops := 0; left != "" && left != "."; {
		var name string
		name, left, _ = strings.Cut(left, "/")
		if name == "" || name == "." {
			continue
		}
		next := path.Join(at, name)
		if name == ".." {
			at = path.Clean("/" + next)[1:]
			if at == "" {
				at = "."
			}
			continue
		}
		fi, err := u.root.Lstat(next)
		switch {
		case errors.Is(err, fs.ErrNotExist) && create:
			if err := u.root.Mkdir(next, 0o755); err != nil {
				return "", err
			}
		case err != nil:
			return "", err
		case fi.Mode()&fs.ModeSymlink != 0:
			if hops++; hops > 40 { // Linux: MAXSYMLINKS
				return "", fault.New(fault.Input, "too many levels of symbolic links")
			}
			to, err := u.root.Readlink(next)
			if err != nil {
				return "", err
			}
			if path.IsAbs(to) {
				at = "."
			}
			left = to + "/" + left
			continue
		}
		at = next
	}
	return at, nil
}
