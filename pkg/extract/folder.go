package extract

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/imagefs"
	"github.com/kmodseal/kmodseal/pkg/manifest"
)

// FolderDigest is sha256:<hex> of a folder's canonical listing: what
// Manifest.Source.Digest holds for a folder source. It covers, of everything
// below root in the order of the names: type, permission bits, path, link target and
// content; neither times nor owners.
func FolderDigest(ctx context.Context, root *os.Root) (string, error) {
	w := newWalker(ctx, root, imagefs.DefaultEntries)
	if err := w.folder("."); err != nil {
		return "", err
	}
	return w.digest(), nil
}

// walker lists a folder. One line an entry:
//
//	TYPE MODE "PATH" "LINK" SHA256
//
// TYPE is d, f, l (symbolic link), h (hard link to an earlier path) or o; LINK
// and SHA256 are empty where they do not apply; names are quoted as Go does, in ASCII.
type walker struct {
	ctx     context.Context
	root    *os.Root
	limit   int
	sum     hash.Hash
	entries []imagefs.Entry
	content []string       // sha256 of the entries that are files
	inodes  map[any]string // first path of files with several links
	// take gets the index of a regular file and its content, and must read all of it; nil: nobody
	take func(index int, p string, f *os.File, r io.Reader) error
}

func newWalker(ctx context.Context, root *os.Root, limit int) *walker {
	return &walker{ctx: ctx, root: root, limit: limit, sum: sha256.New(), inodes: map[any]string{}}
}

func (w *walker) digest() string { return "sha256:" + hex.EncodeToString(w.sum.Sum(nil)) }

func (w *walker) folder(dir string) error {
	f, err := w.root.Open(filepath.FromSlash(dir))
	if err != nil {
		return fmt.Errorf("read folder: %w", err)
	}
	list, err := f.ReadDir(-1)
	_ = f.Close() // read only
	if err != nil {
		return fmt.Errorf("read folder: %w", err)
	}
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	for _, d := range list {
		p := path.Join(dir, d.Name())
		if err := w.entry(p); err != nil {
			return err
		}
		if w.entries[len(w.entries)-1].Type == tar.TypeDir {
			if err := w.folder(p); err != nil {
				return err
			}
		}
	}
	return nil
}

// entry lists the file, folder or link at p.
func (w *walker) entry(p string) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	if len(w.entries) >= w.limit {
		return fault.New(fault.Input, "the folder has more than %d entries", w.limit).Hint("name a smaller folder, the one with the modules")
	}
	name := filepath.FromSlash(p)
	fi, err := w.root.Lstat(name)
	if err != nil {
		return err
	}
	e, kind := imagefs.Entry{Path: p, Type: tar.TypeChar}, "o"
	switch mode := fi.Mode(); {
	case mode.IsDir():
		e.Type, kind = tar.TypeDir, "d"
	case mode&fs.ModeSymlink != 0:
		e.Type, kind = tar.TypeSymlink, "l"
		if e.Link, err = w.root.Readlink(name); err != nil {
			return err
		}
	case mode.IsRegular():
		e.Type, kind = tar.TypeReg, "f"
		if id, several := inodeOf(fi); several {
			if first, ok := w.inodes[id]; ok {
				e.Type, e.Link, kind = tar.TypeLink, first, "h"
			} else {
				w.inodes[id] = p
			}
		}
	}
	content := ""
	if e.Type == tar.TypeReg {
		if content, err = w.file(len(w.entries), p); err != nil {
			return err
		}
	}
	w.entries, w.content = append(w.entries, e), append(w.content, content)
	_, err = fmt.Fprintf(w.sum, "%s %04o %s %s %s\n", kind, permissions(fi.Mode()),
		strconv.QuoteToASCII(p), strconv.QuoteToASCII(e.Link), content)
	return err
}

// file hashes a regular file while take reads it.
func (w *walker) file(index int, p string) (string, error) {
	f, err := w.root.Open(filepath.FromSlash(p))
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	r := io.TeeReader(f, sum)
	if w.take != nil {
		if err := w.take(index, p, f, r); err != nil {
			return "", err
		}
	}
	if _, err := io.Copy(io.Discard, r); err != nil {
		return "", fmt.Errorf("read %q: %w", p, err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// permissions are the nine bits with setuid, setgid and sticky as Unix has them.
func permissions(m fs.FileMode) int64 {
	p := int64(m.Perm())
	for bit, unix := range map[fs.FileMode]int64{fs.ModeSetuid: 0o4000, fs.ModeSetgid: 0o2000, fs.ModeSticky: 0o1000} {
		if m&bit != 0 {
			p |= unix
		}
	}
	return p
}

// readFolder is read for a plain folder. Its files are spooled while they are
// hashed, so that the modules are the ones that the digest covers.
func (j *job) readFolder(ctx context.Context, dir string, m *manifest.Manifest) ([]*view, error) {
	if err := j.outside(dir); err != nil {
		return nil, err
	}
	if len(j.Platforms) > 1 {
		return nil, fault.New(fault.Usage, "a folder is of one platform, --platform names %d", len(j.Platforms))
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open source: %w", err)
	}
	defer root.Close()
	limit := j.Limits.Entries
	if limit <= 0 {
		limit = imagefs.DefaultEntries
	}
	w := newWalker(ctx, root, limit)
	w.take = func(i int, p string, f *os.File, r io.Reader) error {
		if !isModule(p) || !j.choice.path(p) {
			return nil
		}
		return j.spoolFile(i, p, f, r)
	}
	if err := w.folder("."); err != nil {
		return nil, err
	}
	m.Source.Digest = w.digest()
	return j.folderView(w)
}

// outside refuses a kmods folder inside the source: it would be part of what
// is read, and change it.
func (j *job) outside(dir string) error {
	abs, err := filepath.Abs(dir)
	if err == nil {
		abs, err = filepath.EvalSymlinks(abs)
	}
	if err != nil {
		return fmt.Errorf("open source: %w", err)
	}
	if rel, err := filepath.Rel(abs, j.stage.dir); err == nil && filepath.IsLocal(rel) {
		return fault.New(fault.Usage, "the kmods folder %s is inside the source %s", j.stage.target, abs).
			Hint("name a --kmods outside the source")
	}
	return nil
}

func (j *job) folderView(w *walker) ([]*view, error) {
	v := &view{keys: []string{""}}
	if len(j.Platforms) == 1 {
		v.Platform.Platform = j.Platforms[0]
	}
	v.Layers = []string{""} // none of its own; shadowed copies there are none
	var err error
	if v.tree, err = imagefs.Folder(w.entries); err != nil {
		return nil, err
	}
	views := []*view{v}
	if err := j.pick(views); err != nil {
		return nil, err
	}
	v.Layers = nil
	for _, p := range v.picked {
		if j.spool.get(v.key(p.File)) != nil {
			continue
		}
		if err := j.spoolAgain(w, p.Index); err != nil {
			return nil, err
		}
	}
	return views, j.collect(views)
}

// spoolAgain is for a module whose own name is not that of one: a link led to it.
func (j *job) spoolAgain(w *walker, index int) error {
	w.take = j.spoolFile
	p := w.entries[index].Path
	content, err := w.file(index, p)
	if err != nil {
		return err
	}
	if content != w.content[index] {
		return fault.New(fault.Input, "%q changed while it was being read", p).Hint("run it when nothing writes to the folder any more")
	}
	return nil
}

// spoolFile spools one file with its header facts.
func (j *job) spoolFile(index int, p string, f *os.File, r io.Reader) error {
	if err := manifest.CheckPath(p); err != nil {
		return fault.New(fault.Input, "%w", err).Hint("no build makes such a name by itself: rename or remove the file")
	}
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	if fi.Size() > j.Limits.FileBytes {
		return fault.New(fault.Input, "%q has %d bytes, the limit is %d", p, fi.Size(), j.Limits.FileBytes).Hint("raise the limit for one module, or leave the file out with --exclude")
	}
	h := &tar.Header{Mode: permissions(fi.Mode()), ModTime: fi.ModTime()}
	if err := ownerAndXattrs(h, f, fi); err != nil {
		return fmt.Errorf("read attributes of %q: %w", p, err)
	}
	s, err := j.spool.write(h, io.LimitReader(r, j.Limits.FileBytes))
	if err != nil {
		return err
	}
	j.spool.put(spoolKey{entry: index}, s)
	return nil
}
