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

//go:embed src
var sources embed.FS

// Set is the unsigned modules by name, without debug sections.
type Set map[string][]byte

// Build compiles the probes for k below dir, or gives what an earlier run compiled.
func Build(ctx context.Context, k *fetch.Kernel, dir string) (Set, error) {
	out := filepath.Join(dir, k.Release)
	same, err := copySources(out)
	if err != nil {
		return nil, err
	}
	if set, err := read(out); err == nil && same {
		return set, nil
	}
	flags := "KCFLAGS="
	if strings.HasPrefix(k.Series, "7.") { // namespaces became strings in 6.13
		flags += "-DSB_NS_STRING"
	}
	if err := Make(ctx, k, out, flags); err != nil {
		return nil, err
	}
	return read(out)
}

// Digest changes with the probes' sources.
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

// copySources writes the sources to dir; same tells that they were there already.
func copySources(dir string) (same bool, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return false, err
	}
	same = true
	return same, fs.WalkDir(sources, "src", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := sources.ReadFile(name)
		if err != nil {
			return err
		}
		file := filepath.Join(dir, filepath.Base(name))
		if old, err := os.ReadFile(file); err == nil && bytes.Equal(old, b) {
			return nil
		}
		same = false
		return os.WriteFile(file, b, 0o644)
	})
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
