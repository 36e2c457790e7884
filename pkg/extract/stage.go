package extract

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/manifest"
)

// stage is the folder beside the kmods folder in which the new one grows.
type stage struct {
	target string // the kmods folder, links resolved
	dir    string // empty after commit
	root   *os.Root
}

// newStage makes the staging folder. It refuses a target that holds anything
// but a kmods folder (class Usage).
func newStage(kmods string) (*stage, error) {
	target, err := filepath.Abs(kmods)
	if err != nil {
		return nil, fmt.Errorf("kmods folder: %w", err)
	}
	if real, err := filepath.EvalSymlinks(target); err == nil {
		target = real
	}
	if err := replaceable(target); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil { //nolint:gosec // later steps may run as other users
		return nil, fmt.Errorf("create folder: %w", err)
	}
	s := &stage{target: target}
	if s.dir, err = s.temp("new"); err != nil {
		return nil, err
	}
	if s.root, err = os.OpenRoot(s.dir); err == nil {
		err = errors.Join(s.root.Chmod(".", 0o755), s.root.Mkdir(spoolDir, 0o700), s.root.Mkdir(manifest.ModulesDir, 0o755))
	}
	if err != nil {
		s.discard()
		return nil, fmt.Errorf("create staging folder: %w", err)
	}
	return s, nil
}

func (s *stage) temp(what string) (string, error) {
	dir, err := os.MkdirTemp(filepath.Dir(s.target), "."+filepath.Base(s.target)+"."+what+"-*")
	if err != nil {
		return "", mountHint(fmt.Errorf("create staging folder: %w", err))
	}
	return dir, nil
}

// replaceable lets a folder pass that is absent, empty or a kmods folder.
func replaceable(target string) error {
	entries, err := os.ReadDir(target)
	switch {
	case errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0:
		return nil
	case errors.Is(err, syscall.ENOTDIR):
		return fault.New(fault.Usage, "%s is no folder", target).Hint("name another --kmods")
	case err != nil:
		return fmt.Errorf("read kmods folder: %w", err)
	}
	if !isKmods(filepath.Join(target, manifest.FileName)) {
		return fault.New(fault.Usage, "%s is not empty and no kmods folder", target).
			Hint("name another --kmods, or empty the folder")
	}
	return nil
}

// isKmods looks for the schema alone: a damaged kmods folder may be replaced.
func isKmods(file string) bool {
	f, err := os.Open(file)
	if err != nil {
		return false
	}
	defer f.Close()
	var v struct{ Schema string }
	return json.NewDecoder(f).Decode(&v) == nil && strings.HasPrefix(v.Schema, "kmodseal/")
}

// place puts a spooled file at name; the next place of the same one is a copy,
// as later steps change the files one by one.
func (s *stage) place(f *spooled, name string) (err error) {
	if err := s.root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	if !f.placed {
		if err := s.root.Rename(f.file, name); err != nil {
			return err
		}
		f.file, f.placed = name, true
		return nil
	}
	in, err := s.root.Open(f.file)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := s.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// commit writes the manifest and swaps the folders. The old one is moved aside
// first and comes back if the new one cannot take its place.
func (s *stage) commit(m *manifest.Manifest) error {
	if err := s.root.RemoveAll(spoolDir); err != nil {
		return fmt.Errorf("remove spool: %w", err)
	}
	if err := m.Save(s.dir); err != nil {
		return err
	}
	aside, err := s.moveAside()
	if err != nil {
		return err
	}
	if err := os.Rename(s.dir, s.target); err != nil {
		err = fmt.Errorf("replace kmods folder: %w", err)
		if aside != "" {
			err = errors.Join(err, os.Rename(filepath.Join(aside, oldName), s.target), os.Remove(aside))
		}
		return err
	}
	s.dir = ""
	if aside == "" {
		return nil
	}
	if err := os.RemoveAll(aside); err != nil {
		return fmt.Errorf("remove old kmods folder: %w", err)
	}
	return nil
}

// oldName is what the old kmods folder is called while it is aside.
const oldName = "old"

// moveAside renames the old kmods folder into a new temporary one, whose name
// it gives; empty where there is none.
func (s *stage) moveAside() (string, error) {
	if _, err := os.Lstat(s.target); errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err := replaceable(s.target); err != nil { // it may have changed meanwhile
		return "", err
	}
	aside, err := s.temp("old")
	if err != nil {
		return "", err
	}
	if err := os.Rename(s.target, filepath.Join(aside, oldName)); err != nil {
		_ = os.Remove(aside) // the first error counts
		return "", mountHint(fmt.Errorf("move old kmods folder: %w", err))
	}
	return aside, nil
}

// mountHint explains why a mounted folder cannot be swapped.
func mountHint(err error) error {
	if errors.Is(err, syscall.EBUSY) || errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		return fault.New(fault.Internal, "%w", err).
			Hint("the kmods folder is replaced as a whole: name one below a folder that can be written to, such as MOUNT/kmods")
	}
	return err
}

// discard removes what is left of the staging folder.
func (s *stage) discard() {
	if s.root != nil {
		_ = s.root.Close() // nothing was written through it
	}
	if s.dir != "" {
		_ = os.RemoveAll(s.dir) // best effort on the way out of an error
	}
}
