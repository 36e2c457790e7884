package sign

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/kmod"
)

// target is one file to sign, with every name of it below the given paths.
type target struct {
	shown      string   // as the user knows it
	shownNames []string // all hard links, as the user knows them, sorted
	real       []string // the same as absolute paths without symbolic links
	links      []string // symbolic links that lead here, as the user knows them
	count      uint64   // hard links that the file system counts
	module     bool     // one of its names was given, or is a module's in a folder
}

// finder collects targets.
type finder struct {
	warn    func(format string, args ...any)
	byID    map[any]*target // identity, or the path where there is none
	outside []outside       // symbolic links out of their folder
	targets []*target
}

// outside is a symbolic link that leads out of the folder that it was found in.
type outside struct {
	link, real string
}

// find says which files the paths lead to, each file once, sorted by the name
// that is shown. Errors are of fault class Input.
func find(paths []string, warn func(string, ...any)) (*finder, error) {
	if len(paths) == 0 {
		return nil, fault.New(fault.Usage, "no file or folder given")
	}
	f := &finder{warn: warn, byID: map[any]*target{}}
	for _, p := range paths {
		if err := f.argument(p); err != nil {
			return nil, err
		}
	}
	for _, o := range f.outside {
		if err := f.within(o); err != nil {
			return nil, err
		}
	}
	for _, t := range f.byID {
		if !t.module {
			continue
		}
		if err := t.finish(); err != nil {
			return nil, err
		}
		f.targets = append(f.targets, t)
	}
	slices.SortFunc(f.targets, func(a, b *target) int { return strings.Compare(a.shown, b.shown) })
	if len(f.targets) == 0 {
		return nil, fault.New(fault.Input, "no modules in %s", strings.Join(paths, ", ")).
			Hint(nameModules)
	}
	return f, nil
}

const nameModules = "name files called *.ko, *.ko.gz, *.ko.xz or *.ko.zst, or folders with such files"

// argument takes one path of the command line: a file, a folder, or a symbolic
// link to either.
func (f *finder) argument(p string) error {
	real, fi, err := resolve(p)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fault.New(fault.Input, "%s: no such file or folder", p).Hint(nameModules)
	case err != nil:
		return fmt.Errorf("find modules: %w", err)
	case fi.IsDir():
		return f.folder(filepath.Clean(p), real)
	case !fi.Mode().IsRegular():
		return fault.New(fault.Input, "%s: neither a file nor a folder", p).Hint(nameModules)
	case !kmod.IsName(filepath.Base(p)) && !kmod.IsName(filepath.Base(real)):
		return fault.New(fault.Input, "%s: not a module by its name", p).
			Hint(nameModules)
	}
	link := ""
	if l, err := os.Lstat(p); err == nil && l.Mode()&fs.ModeSymlink != 0 {
		link = p
	}
	return f.add(filepath.Clean(p), real, link, true)
}

func resolve(p string) (real string, fi fs.FileInfo, err error) {
	if real, err = filepath.EvalSymlinks(p); err != nil {
		return "", nil, err
	}
	if real, err = filepath.Abs(real); err != nil {
		return "", nil, err
	}
	// The working folder may have been reached by a symbolic link.
	if real, err = filepath.EvalSymlinks(real); err != nil {
		return "", nil, err
	}
	fi, err = os.Lstat(real)
	return real, fi, err
}

// folder walks a folder of real path real, that the user knows as shown.
// Symbolic links to folders are not followed: what they lead to inside is
// found anyway.
func (f *finder) folder(shown, real string) error {
	return filepath.WalkDir(real, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("find modules: %w", err)
		}
		rel, err := filepath.Rel(real, p)
		if err != nil {
			return err
		}
		name, module := filepath.Join(shown, rel), kmod.IsName(d.Name())
		switch {
		case d.IsDir() || isTemporary(d.Name()):
			return nil
		case d.Type().IsRegular():
			return f.add(name, p, "", module)
		case module && d.Type()&fs.ModeSymlink != 0:
			return f.link(name, p, shown, real)
		case module:
			return fault.New(fault.Input, "%s: not a regular file", name).Hint(nameModules)
		}
		return nil
	})
}

// link takes a symbolic link p that has a module's name, found below the
// folder of real path folder; name and shown are what the user knows them as.
func (f *finder) link(name, p, shown, folder string) error {
	real, fi, err := resolve(p)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.warn("%s: symbolic link leads nowhere, left alone", name)
		return nil
	case err != nil:
		return fmt.Errorf("find modules: %w", err)
	case fi.IsDir():
		return nil
	}
	if rel, err := filepath.Rel(folder, real); err == nil && filepath.IsLocal(rel) {
		return f.add(filepath.Join(shown, rel), real, name, true)
	}
	f.outside = append(f.outside, outside{link: name, real: real})
	return nil
}

// within accepts a link out of its folder whose target was given by itself.
func (f *finder) within(o outside) error {
	fi, err := os.Lstat(o.real)
	if err != nil {
		return fmt.Errorf("find modules: %w", err)
	}
	if t := f.byID[key(o.real, fi)]; t != nil && t.module {
		t.links = append(t.links, o.link)
		return nil
	}
	return fault.New(fault.Input, "%s: symbolic link to %s, outside the folder", o.link, o.real).
		Hint("give %s by itself to sign it too, or remove the link", o.real)
}

func key(real string, fi fs.FileInfo) any {
	if id, _, ok := inode(fi); ok {
		return id
	}
	return real
}

// add takes a file by one of its names. A regular file that is no module by
// its name is noted if it may be another name of one.
func (f *finder) add(shown, real, link string, module bool) error {
	fi, err := os.Lstat(real)
	if err != nil {
		return fmt.Errorf("find modules: %w", err)
	}
	if _, count, _ := inode(fi); !module && count < 2 {
		return nil
	}
	sweepBeside(real)
	if fi, err = os.Lstat(real); err != nil {
		return fmt.Errorf("find modules: %w", err)
	}
	k := key(real, fi)
	t := f.byID[k]
	if t == nil {
		t = &target{}
		f.byID[k] = t
	}
	_, t.count, _ = inode(fi)
	t.module = t.module || module
	if link != "" && !slices.Contains(t.links, link) {
		t.links = append(t.links, link)
	}
	if !slices.Contains(t.real, real) {
		t.real = append(t.real, real)
		t.shownNames = append(t.shownNames, shown)
	}
	return nil
}

// finish sorts t and refuses a file with names that are not known: they would
// keep the old content.
func (t *target) finish() error {
	slices.Sort(t.real)
	slices.Sort(t.shownNames)
	slices.Sort(t.links)
	t.shown = t.shownNames[0]
	if t.count > uint64(len(t.real)) {
		return fault.New(fault.Input, "%s: has %d hard links, %d of them outside the given paths", t.shown, t.count, t.count-uint64(len(t.real))).
			Hint("give the folders with all its names, or make it a file of its own: cp -p FILE FILE.tmp && mv FILE.tmp FILE")
	}
	return nil
}

// base is the deepest folder that holds every name of every target.
func (f *finder) base() string {
	base := filepath.Dir(f.targets[0].real[0])
	for _, t := range f.targets {
		for _, r := range t.real {
			for !inside(base, r) && base != filepath.Dir(base) {
				base = filepath.Dir(base)
			}
		}
	}
	return base
}

func inside(folder, p string) bool {
	rel, err := filepath.Rel(folder, p)
	return err == nil && filepath.IsLocal(rel)
}

// below gives t's names as a batch below base wants them.
func (t *target) below(base string) ([]string, error) {
	names := make([]string, 0, len(t.real))
	for _, r := range t.real {
		rel, err := filepath.Rel(base, r)
		if err != nil || !filepath.IsLocal(rel) {
			return nil, fault.New(fault.Input, "%s and %s are on different volumes", base, r)
		}
		names = append(names, filepath.ToSlash(rel))
	}
	return names, nil
}
