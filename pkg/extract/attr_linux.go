package extract

import (
	"archive/tar"
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// inodeOf gives a comparable identity of a file, and whether it has several names.
func inodeOf(fi fs.FileInfo) (id any, several bool) {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return nil, false
	}
	return [2]uint64{uint64(st.Dev), st.Ino}, st.Nlink > 1 //nolint:unconvert // Dev has 32 bits on some machines
}

// ownerAndXattrs fills in what tar.FileInfoHeader leaves out or takes from the
// machine's user database. Of the extended attributes those are kept that mean
// the same elsewhere: user.* and security.capability. The labels of SELinux, IMA
// and the like belong to the machine, and IMA's would not fit a signed module.
func ownerAndXattrs(h *tar.Header, f *os.File, fi fs.FileInfo) error {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		h.Uid, h.Gid = int(st.Uid), int(st.Gid)
	}
	fd := int(f.Fd())
	list := make([]byte, 64<<10) // XATTR_LIST_MAX
	n, err := unix.Flistxattr(fd, list)
	if errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.ENOSYS) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, name := range strings.FieldsFunc(string(list[:n]), func(r rune) bool { return r == 0 }) {
		if !strings.HasPrefix(name, "user.") && name != "security.capability" {
			continue
		}
		value := make([]byte, 64<<10) // XATTR_SIZE_MAX
		n, err := unix.Fgetxattr(fd, name, value)
		if err != nil {
			return err
		}
		if h.PAXRecords == nil {
			h.PAXRecords = map[string]string{}
		}
		h.PAXRecords[xattrPrefix+name] = string(value[:n])
	}
	return nil
}
