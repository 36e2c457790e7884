//go:build linux || darwin

package sign

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// keepXattrs copies extended attributes from old to n, except those that hold
// a sum or signature of the old content, which would be wrong on the new.
func keepXattrs(n, old *os.File, warn func(what string, err error)) error {
	from, to := int(old.Fd()), int(n.Fd()) //nolint:gosec // descriptors are small
	names, err := xattrNames(from)
	if err != nil {
		if errors.Is(err, unix.ENOTSUP) {
			return nil
		}
		return fmt.Errorf("list extended attributes: %w", err)
	}
	for _, name := range names {
		if slices.Contains([]string{"security.ima", "security.evm"}, name) {
			warn("extended attribute "+name, errors.New("it was made for the unsigned content"))
			continue
		}
		value, err := xattr(from, name)
		if err != nil {
			return fmt.Errorf("read extended attribute %q: %w", name, err)
		}
		if have, err := xattr(to, name); err == nil && bytes.Equal(have, value) {
			continue
		}
		if err := unix.Fsetxattr(to, name, value, 0); err != nil {
			warn("extended attribute "+name, err)
		}
	}
	return nil
}

func xattrNames(fd int) ([]string, error) {
	size, err := unix.Flistxattr(fd, nil)
	if err != nil || size == 0 {
		return nil, err
	}
	b := make([]byte, size)
	if size, err = unix.Flistxattr(fd, b); err != nil {
		return nil, err
	}
	return strings.Split(strings.TrimSuffix(string(b[:size]), "\x00"), "\x00"), nil
}

func xattr(fd int, name string) ([]byte, error) {
	size, err := unix.Fgetxattr(fd, name, nil)
	if err != nil || size == 0 {
		return nil, err
	}
	b := make([]byte, size)
	size, err = unix.Fgetxattr(fd, name, b)
	return b[:max(size, 0)], err
}
