package verdict

import (
	"bytes"
	"debug/elf"
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/kmod"
)

// maxEntries bounds how many files of a folder are looked at.
const maxEntries = 500_000

// maxKernelModule bounds the module that is read for vermagic and size, in bytes.
const maxKernelModule = 64 << 20

// LoadKernel finds a kernel's config, Module.symvers, release and one of its
// modules in a folder: an unpacked kernel or headers package, a build folder,
// or an image's root. What is not there stays unknown; nothing at all is an
// error of fault class Input, several kernels one of class Usage unless release
// names one of them.
func LoadKernel(dir fs.FS, release string) (*Kernel, error) {
	f := &kernelFiles{of: map[string]*files{}}
	if err := fs.WalkDir(dir, ".", f.visit); err != nil {
		return nil, fault.New(fault.Input, "look for a kernel: %w", err)
	}
	if err := f.readReleases(dir); err != nil {
		return nil, err
	}
	found, err := f.pick(release)
	if err != nil {
		return nil, err
	}
	return found.load(dir)
}

// files are the paths of one release; empty: none.
type files struct {
	release, config, symvers, module string
	releaseFile                      string
}

type kernelFiles struct {
	of      map[string]*files // by release, "" where the path tells none
	entries int
}

func (k *kernelFiles) visit(p string, d fs.DirEntry, err error) error {
	if err != nil {
		if errors.Is(err, fs.ErrPermission) {
			return fs.SkipDir
		}
		return err
	}
	if k.entries++; k.entries > maxEntries {
		return errors.New("more than 500000 files")
	}
	if !d.Type().IsRegular() {
		return nil
	}
	base := path.Base(p)
	at := k.at(releaseOf(p))
	switch {
	case base == ".config" || base == "config" && strings.Contains(p, "modules/"),
		strings.HasPrefix(base, "config-") && parseVersion(base[len("config-"):]).known():
		first(&at.config, p)
	case base == "Module.symvers" || strings.HasPrefix(base, "symvers") && plainName(base) != base:
		first(&at.symvers, p)
	case base == "kernel.release":
		first(&at.releaseFile, p)
	case kmod.IsName(base) && strings.Contains(p, "/kernel/"):
		first(&at.module, p)
	}
	return nil
}

func first(to *string, p string) {
	if *to == "" {
		*to = p
	}
}

func (k *kernelFiles) at(release string) *files {
	if k.of[release] == nil {
		k.of[release] = &files{release: release}
	}
	return k.of[release]
}

// releaseOf reads the release out of config-RELEASE, modules/RELEASE/ and
// linux-headers-RELEASE/; "" where the path has none.
func releaseOf(p string) string {
	parts := strings.Split(p, "/")
	for i, s := range parts {
		if i > 0 && parts[i-1] == "modules" && parseVersion(s).known() {
			return s
		}
		for _, prefix := range []string{"config-", "linux-headers-", "kernel-devel-", "symvers-"} {
			r, ok := strings.CutPrefix(s, prefix)
			if r = plainName(r); ok && parseVersion(r).known() && !strings.HasSuffix(r, "-common") {
				return r
			}
		}
	}
	return ""
}

// plainName is a file's name without the ending of a codec.
func plainName(name string) string {
	for _, ending := range []string{".gz", ".xz", ".zst"} {
		name = strings.TrimSuffix(name, ending)
	}
	return name
}

// readReleases moves what a kernel.release file names to that release.
func (k *kernelFiles) readReleases(dir fs.FS) error {
	nameless := k.of[""]
	if nameless == nil || nameless.releaseFile == "" {
		return nil
	}
	b, err := readFile(dir, nameless.releaseFile, 256)
	if err != nil {
		return fault.New(fault.Input, "read %s: %w", nameless.releaseFile, err)
	}
	to := k.at(strings.TrimSpace(string(b)))
	first(&to.config, nameless.config)
	first(&to.symvers, nameless.symvers)
	first(&to.module, nameless.module)
	return nil
}

// pick gives the release asked for, or the only one.
func (k *kernelFiles) pick(release string) (*files, error) {
	var names []string
	for r, f := range k.of {
		if r != "" && f.config+f.symvers+f.module != "" {
			names = append(names, r)
		}
	}
	slices.Sort(names)
	if len(names) == 0 && k.of[""] != nil && k.of[""].config+k.of[""].symvers != "" {
		f := k.of[""]
		f.release = release
		return f, nil
	}
	switch {
	case release != "" && slices.Contains(names, release):
		return k.of[release], nil
	case len(names) == 0:
		return nil, fault.New(fault.Input, "look for a kernel: no config, Module.symvers or module in the folder").
			Hint("name the root of an unpacked linux-image or linux-headers package, or of an image that holds one")
	case release != "":
		return nil, fault.New(fault.Usage, "look for kernel %s: the folder has %s", release, strings.Join(names, ", "))
	case len(names) > 1:
		return nil, fault.New(fault.Usage, "look for a kernel: the folder has several: %s", strings.Join(names, ", ")).
			Hint("say which with --kernel")
	}
	return k.of[names[0]], nil
}

func (f *files) load(dir fs.FS) (*Kernel, error) {
	k := &Kernel{Release: f.release, From: strings.Join(slices.DeleteFunc([]string{f.config, f.symvers, f.module}, func(s string) bool { return s == "" }), ", ")}
	var err error
	if f.config != "" {
		if k.Config, err = parseIn(dir, f.config, ParseConfig); err != nil {
			return nil, err
		}
	}
	if f.symvers != "" {
		if k.Symvers, err = parseIn(dir, f.symvers, ParseSymvers); err != nil {
			return nil, err
		}
	}
	if f.module != "" {
		return k, k.learn(dir, f.module)
	}
	return k, nil
}

func parseIn[T any](dir fs.FS, name string, parse func(io.Reader) (T, error)) (T, error) {
	f, err := dir.Open(name)
	if err != nil {
		var none T
		return none, fault.New(fault.Input, "open %s: %w", name, err)
	}
	defer func() { _ = f.Close() }() // read only
	return parse(f)
}

// learn takes vermagic, machine and the size of struct module from a module
// of this kernel.
func (k *Kernel) learn(dir fs.FS, name string) error {
	stored, err := readFile(dir, name, maxKernelModule)
	if err != nil {
		return fault.New(fault.Input, "read %s: %w", name, err)
	}
	plain, _, err := kmod.Decode(stored, maxKernelModule)
	if err != nil {
		return fault.New(fault.Input, "read %s: %w", name, err)
	}
	m, err := kmod.Parse(plain)
	if err != nil {
		return fault.New(fault.Input, "read %s: %w", name, err)
	}
	if release, _, _ := strings.Cut(m.Vermagic, " "); release != k.Release {
		return nil
	}
	k.Vermagic, k.Machine, k.ModuleSize = m.Vermagic, m.Machine, moduleSize(plain)
	return nil
}

// moduleSize is the size of .gnu.linkonce.this_module, 0 without one.
func moduleSize(plain []byte) int {
	f, err := elf.NewFile(bytes.NewReader(plain))
	if err != nil {
		return 0
	}
	if s := f.Section(".gnu.linkonce.this_module"); s != nil {
		return int(s.Size) //nolint:gosec // bounded by the file
	}
	return 0
}
