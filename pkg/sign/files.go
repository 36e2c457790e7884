package sign

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/kmod"
	"github.com/kmodseal/kmodseal/pkg/manifest"
)

// Files signs module files in place and every module below folders, in the
// manner of a loop around sign-file, but all or none, once per file however
// many names lead to it, and without loss of mode, owner, times, extended
// attributes, hard links and symbolic links. What is no module is refused
// (fault class Input), as is a folder without any.
func Files(ctx context.Context, paths []string, o Options) ([]Result, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	found, err := find(paths, o.Warn)
	if err != nil {
		return nil, err
	}
	base := found.base()
	root, err := os.OpenRoot(base)
	if err != nil {
		return nil, fmt.Errorf("open folder: %w", err)
	}
	defer root.Close()
	t := &tree{batch: batch{root: root}, base: base, signer: newSigner(o)}
	results := make([]Result, len(found.targets))
	err = o.each(ctx, len(results), func(i int) error {
		m, err := t.file(found.targets[i])
		results[i] = Result{Path: found.targets[i].shown, Module: m}
		if err != nil {
			return fmt.Errorf("sign %s: %w", found.targets[i].shown, err)
		}
		return nil
	})
	if err != nil {
		t.clean()
		return nil, err
	}
	if err := t.commit(); err != nil {
		return nil, fmt.Errorf("replace modules: %w", err)
	}
	return results, nil
}

// tree is one run over files below base.
type tree struct {
	batch
	base   string
	signer *signer
}

// file signs one file into the batch.
func (t *tree) file(f *target) (manifest.Module, error) {
	names, err := f.below(t.base)
	if err != nil {
		return manifest.Module{}, err
	}
	old, err := t.root.Open(filepath.FromSlash(names[0]))
	if err != nil {
		return manifest.Module{}, err
	}
	defer old.Close()
	fi, err := old.Stat()
	if err != nil {
		return manifest.Module{}, err
	}
	stored, err := read(old, fi)
	if err != nil {
		return manifest.Module{}, err
	}
	m, plain, err := kmod.Facts(stored, 0)
	if err != nil {
		return m, err
	}
	m.Path, m.HardLinks, m.Symlinks = f.shown, f.others(), f.links
	out, done, err := t.signer.file(stored, plain, kmod.Codec(m.Codec))
	if err != nil {
		return m, err
	}
	m.Signed = done
	if bytes.Equal(out, stored) {
		return m, nil
	}
	if err := t.stage(names, out, func(n *os.File) error { return t.dress(n, old, fi, f.shown) }); err != nil {
		return m, err
	}
	// Only a closed file keeps the time that it is given.
	return m, t.root.Chtimes(filepath.FromSlash(fresh(names[0])), fi.ModTime(), fi.ModTime())
}

// read takes a regular file into memory, up to what a plain module may have.
func read(f *os.File, fi os.FileInfo) ([]byte, error) {
	switch {
	case !fi.Mode().IsRegular():
		return nil, fault.New(fault.Input, "not a regular file").Hint(nameModules)
	case fi.Size() > kmod.DefaultLimit:
		return nil, fault.New(fault.Input, "bigger than %d bytes: not a module", kmod.DefaultLimit).Hint(nameModules)
	}
	b := bytes.NewBuffer(make([]byte, 0, fi.Size()+bytes.MinRead))
	_, err := b.ReadFrom(io.LimitReader(f, kmod.DefaultLimit))
	return b.Bytes(), err
}

// dress gives the new file the owner, mode and extended attributes of the old.
// What the process may not give is a warning: the module loads all the same.
func (t *tree) dress(n, old *os.File, fi os.FileInfo, shown string) error {
	warn := func(what string, err error) {
		t.signer.options.Warn("%s: %s could not be kept: %v", shown, what, err)
	}
	if err := keepOwner(n, fi); err != nil {
		warn("owner", err)
	}
	if err := keepXattrs(n, old, warn); err != nil {
		return err
	}
	// Last, as a change of owner takes setuid off.
	return n.Chmod(fi.Mode() & (os.ModePerm | os.ModeSetuid | os.ModeSetgid | os.ModeSticky))
}

// others are the names of a file but the one that it is shown as.
func (f *target) others() []string {
	return slices.DeleteFunc(slices.Clone(f.shownNames), func(n string) bool { return n == f.shown })
}
