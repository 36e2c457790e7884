package sign

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
)

// batch replaces files together: new content is staged beside each file, and
// only commit puts it in their places. Names are slash-separated, below root.
//
// A process that dies leaves whole files behind, old or new, and temporary
// ones that the next batch over the same files takes away.
type batch struct {
	root *os.Root
	mu   sync.Mutex
	todo []change
}

// change is one file's new content, at its temporary name, for all of the
// file's names, of which there is at least one.
type change struct{ names []string }

// prefix of every temporary name.
const prefix = ".kmodseal-"

// temporary is a name in name's folder that is never a module's and the same
// in every run.
func temporary(name, suffix string) string {
	sum := sha256.Sum256([]byte(path.Base(name)))
	return path.Join(path.Dir(name), prefix+hex.EncodeToString(sum[:8])+"."+suffix)
}

func isTemporary(base string) bool { return strings.HasPrefix(base, prefix) }

func fresh(name string) string { return temporary(name, "new") }
func spare(name string) string { return temporary(name, "old") }

// sweep takes away what a run that died left beside name.
func (b *batch) sweep(name string) {
	if _, err := b.root.Lstat(filepath.FromSlash(name)); err != nil {
		return // the old file may be all that there is
	}
	for _, t := range []string{fresh(name), spare(name)} {
		_ = b.root.Remove(filepath.FromSlash(t)) // usually not there
	}
}

// stage writes content beside the file of these names, which were swept. dress
// gives the new file what is to be kept of the old one.
func (b *batch) stage(names []string, content []byte, dress func(*os.File) error) error {
	t := filepath.FromSlash(fresh(names[0]))
	f, err := b.root.OpenFile(t, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = dress(f)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, b.root.Remove(t))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.todo = append(b.todo, change{names: names})
	return nil
}

// commit puts everything that was staged in place, or on error nothing.
func (b *batch) commit() error {
	for i := range b.todo {
		if err := b.prepare(b.todo[i].names); err != nil {
			return errors.Join(err, b.rollback())
		}
	}
	for i := range b.todo {
		for _, n := range b.todo[i].names {
			if err := b.rename(fresh(n), n); err != nil {
				return errors.Join(err, b.rollback())
			}
		}
	}
	b.clean()
	return nil
}

// prepare keeps the old file under a spare name, for rollback, and gives the
// new one a name in the folder of every name of the old.
func (b *batch) prepare(names []string) error {
	for i, n := range names {
		if i > 0 {
			if err := b.root.Link(filepath.FromSlash(fresh(names[0])), filepath.FromSlash(fresh(n))); err != nil {
				return err
			}
		}
		old := filepath.FromSlash(spare(n))
		if err := b.root.Link(filepath.FromSlash(n), old); err != nil {
			// A file system without links, or a file of another owner
			// (fs.protected_hardlinks): a move serves as well, but for a moment
			// the name is gone.
			if err := b.rename(n, spare(n)); err != nil {
				return fmt.Errorf("keep the old file: %w", err)
			}
		}
	}
	return nil
}

// rollback gives every name its old file back and removes what is temporary.
func (b *batch) rollback() error {
	var errs []error
	for _, c := range b.todo {
		for _, n := range c.names {
			err := b.rename(spare(n), n)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, fmt.Errorf("put back the old file: %w", err))
			}
		}
	}
	b.clean()
	return errors.Join(errs...)
}

// clean removes the temporary names; a spare name only where the file has its
// own.
func (b *batch) clean() {
	for _, c := range b.todo {
		for _, n := range c.names {
			_ = b.root.Remove(filepath.FromSlash(fresh(n)))
			if _, err := b.root.Lstat(filepath.FromSlash(n)); err == nil {
				_ = b.root.Remove(filepath.FromSlash(spare(n)))
			}
		}
	}
	b.todo = nil
}

func (b *batch) rename(from, to string) error {
	return b.root.Rename(filepath.FromSlash(from), filepath.FromSlash(to))
}

// sweepBeside is sweep by absolute path, before a root is open: the spare name
// would count as one more hard link.
func sweepBeside(real string) {
	if _, err := os.Lstat(real); err != nil {
		return
	}
	dir, name := filepath.Split(real)
	for _, t := range []string{fresh(name), spare(name)} {
		_ = os.Remove(filepath.Join(dir, t))
	}
}
