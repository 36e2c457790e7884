package verifykmods

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/kmod"
	"github.com/kmodseal/kmodseal/pkg/source"
	"github.com/kmodseal/kmodseal/pkg/step"
	"github.com/kmodseal/kmodseal/pkg/step/image"
	"github.com/kmodseal/kmodseal/pkg/verdict"
)

// maxKernelFile bounds a config, Module.symvers or module taken from an image.
const maxKernelFile = 64 << 20

// kernelFrom reads the target kernel's facts from a folder or an image.
func (c *command) kernelFrom(ctx context.Context, s *step.Session) (*verdict.Kernel, error) {
	src, err := image.Open(ctx, "kernel-from", c.KernelFrom, c.Options(s))
	if err != nil {
		return nil, err
	}
	defer src.Close() //nolint:errcheck // only read from
	if src.Ref.Kind == source.Dir {
		return verdict.LoadKernel(os.DirFS(src.Ref.Name), c.release())
	}
	if len(src.Images) != 1 {
		return nil, fault.New(fault.Usage, "--kernel-from %s: has %d platforms", c.KernelFrom, len(src.Images)).
			Hint("choose one with --platform")
	}
	dir, err := os.MkdirTemp("", "verify-kmods-kernel-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	view := mutate.Extract(src.Images[0])
	defer view.Close() //nolint:errcheck // only read from
	if err := kernelFiles(ctx, view, dir); err != nil {
		return nil, fault.New(fault.Input, "read %s: %w", c.KernelFrom, err)
	}
	return verdict.LoadKernel(os.DirFS(dir), c.release())
}

// kernelFiles writes what verdict.LoadKernel looks at, and of modules one a
// folder of releases, below dir.
func kernelFiles(ctx context.Context, view io.Reader, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	seen := map[string]bool{}
	for r := tar.NewReader(view); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		name := strings.TrimPrefix(path.Clean("/"+h.Name), "/")
		if h.Typeflag != tar.TypeReg || h.Size > maxKernelFile || !kernelFile(name, seen) {
			continue
		}
		if err := write(root, name, r); err != nil {
			return err
		}
	}
}

func kernelFile(name string, seen map[string]bool) bool {
	base := path.Base(name)
	if before, _, ok := strings.Cut(name, "/kernel/"); ok && kmod.IsName(base) {
		first := !seen[before]
		seen[before] = true
		return first
	}
	return base == ".config" || base == "config" || base == "Module.symvers" || base == "kernel.release" ||
		strings.HasPrefix(base, "config-") || strings.HasPrefix(base, "symvers")
}

func write(root *os.Root, name string, r io.Reader) error {
	name = filepath.FromSlash(name)
	if err := root.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, io.LimitReader(r, maxKernelFile))
	return errors.Join(err, f.Close())
}
