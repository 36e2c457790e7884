// Package probe builds the test's own kernel modules against unpacked kernel
// headers.
package probe

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/kmodseal/kmodseal/e2e/secureboot/fetch"
)

//go:embed src src7
var sources embed.FS

// Set is the unsigned modules by name, without debug sections.
type Set map[string][]byte

// Build compiles the probes for k below dir, or gives what an earlier run compiled.
func Build(ctx context.Context, k *fetch.Kernel, dir string) (Set, error) {
	out := filepath.Join(dir, k.Release)
	dirs, flags := []string{"src"}, "KCFLAGS="
	if strings.HasPrefix(k.Series, "7.") { // namespaces are strings since 6.13 and may name modules since 6.16
		dirs, flags = append(dirs, "src7"), flags+"-DSB_NS_STRING"
	}
	same, err := copySources(out, dirs)
	if err != nil {
		return nil, err
	}
	if set, err := read(out); err == nil && same {
		return set, nil
	}
	if err := Make(ctx, k, out, flags); err != nil {
		return nil, err
	}
	return read(out)
}

// Digest changes with the sources of the probes for every kernel.
func Digest() string {
	h := sha256.New()
	names, _ := fs.Glob(sources, "src/*")
	for _, name := range names {
		b, _ := sources.ReadFile(name)
		fmt.Fprintf(h, "%s %d\n", name, len(b))
		h.Write(b)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Make runs kbuild for the sources in dir and strips the modules' debug sections.
func Make(ctx context.Context, k *fetch.Kernel, dir string, flags ...string) error {
	args := append([]string{"-s", "-C", k.Headers, "M=" + dir, "KBUILD_MODPOST_WARN=1", "modules"}, append(k.Make, flags...)...)
	if out, err := exec.CommandContext(ctx, "make", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("build modules for %s: %w: %s", k.Release, err, bytes.TrimSpace(out))
	}
	modules, _ := filepath.Glob(filepath.Join(dir, "*.ko"))
	for _, m := range modules {
		if out, err := exec.CommandContext(ctx, k.Strip, "--strip-debug", m).CombinedOutput(); err != nil {
			return fmt.Errorf("strip %s: %w: %s", m, err, bytes.TrimSpace(out))
		}
	}
	return nil
}

// copySources writes the files of dirs to out, of two with one name the later;
// same tells that they were there already.
func copySources(out string, dirs []string) (same bool, err error) {
	files := map[string][]byte{}
	for _, d := range dirs {
		names, err := fs.Glob(sources, d+"/*")
		if err != nil {
			return false, err
		}
		for _, name := range names {
			if files[filepath.Base(name)], err = sources.ReadFile(name); err != nil {
				return false, err
			}
		}
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return false, err
	}
	same = true
	for name, b := range files {
		file := filepath.Join(out, name)
		if old, err := os.ReadFile(file); err == nil && bytes.Equal(old, b) {
			continue
		}
		same = false
		if err := os.WriteFile(file, b, 0o644); err != nil {
			return false, err
		}
	}
	return same, nil
}

func read(dir string) (Set, error) {
	set := Set{}
	names, _ := filepath.Glob(filepath.Join(dir, "sb*.c"))
	for _, c := range names {
		if strings.HasSuffix(c, ".mod.c") {
			continue
		}
		name := strings.TrimSuffix(filepath.Base(c), ".c")
		b, err := os.ReadFile(filepath.Join(dir, name+".ko"))
		if err != nil {
			return nil, err
		}
		set[name] = b
	}
	return set, nil
}
