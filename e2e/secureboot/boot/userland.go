package boot

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/kmodseal/kmodseal/e2e/secureboot/fetch"
)

// AddInsmod adds the insmod of the guest's distribution.
func (f Files) AddInsmod(chain *fetch.Boot) error {
	if chain.Userland == "" {
		return f.AddProgram("/bin/insmod", "kmod")
	}
	return f.addForeign("/bin/insmod", chain.Userland, "bin/kmod")
}

// addForeign adds a program of an unpacked userland, with the loader and the
// libraries that its ELF headers name, as ldd cannot run it.
func (f Files) addForeign(as, root, program string) error {
	if _, done := f[as]; done {
		return nil
	}
	b, err := os.ReadFile(filepath.Join(root, program))
	if err != nil {
		return err
	}
	f[as] = b
	file, err := elf.Open(filepath.Join(root, program))
	if err != nil {
		return fmt.Errorf("open %s: %w", program, err)
	}
	defer func() { _ = file.Close() }()
	needs, err := file.ImportedLibraries()
	if err != nil {
		return err
	}
	for _, name := range needs {
		at, err := library(root, name)
		if err != nil {
			return fmt.Errorf("%s: %w", program, err)
		}
		if err := f.addForeign("/lib/"+name, root, at); err != nil {
			return err
		}
	}
	return f.addLoader(root, file)
}

// addLoader adds the program loader that PT_INTERP names.
func (f Files) addLoader(root string, file *elf.File) error {
	for _, p := range file.Progs {
		if p.Type != elf.PT_INTERP {
			continue
		}
		b, err := io.ReadAll(p.Open())
		if err != nil {
			return err
		}
		name := strings.TrimRight(string(b), "\x00")
		if f[name], err = os.ReadFile(filepath.Join(root, name)); err != nil {
			return err
		}
	}
	return nil
}

// library finds a library in the folders that Debian has them in.
func library(root, name string) (string, error) {
	for _, dir := range []string{"lib", "usr/lib"} {
		found, _ := filepath.Glob(filepath.Join(root, dir, "*-linux-gnu", name))
		if len(found) > 0 {
			return strings.TrimPrefix(found[0], path.Clean(root)+"/"), nil
		}
	}
	return "", errors.New("no library " + name)
}
