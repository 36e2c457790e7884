package suite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/ulikunitz/xz"

	"github.com/kmodseal/kmodseal/e2e/secureboot/cases"
	"github.com/kmodseal/kmodseal/e2e/secureboot/fetch"
	"github.com/kmodseal/kmodseal/e2e/secureboot/probe"
)

// Target is one kernel with its modules.
type Target struct {
	Kernel  *fetch.Kernel
	Builtin [][]byte // certificates in the kernel
	Probes  probe.Set
	Cases   *cases.Set
	Distro  map[string][]byte // unpacked modules of the distribution by name; intree: one to make cases of
	// KernelSigner is the certificate of a kernel that Debian did not sign; it goes into db.
	KernelSigner []byte
}

// prepare unpacks the kernels, builds the probes and makes the cases.
func (o Options) prepare(ctx context.Context) (*fetch.Boot, []*Target, error) {
	if err := fetch.Tools(ctx, o.Arch); err != nil {
		return nil, nil, err
	}
	cache := fetch.Cache{Dir: o.Cache}
	chain, err := cache.Boot(ctx, o.Arch)
	if err != nil {
		return nil, nil, err
	}
	var targets []*Target
	for _, series := range o.Kernels {
		t, err := target(ctx, cache, o.Arch, series)
		if err != nil {
			return nil, nil, fmt.Errorf("kernel %s: %w", series, err)
		}
		targets = append(targets, t)
	}
	trust := cases.NewTrust()
	for _, t := range targets {
		other, err := o.foreignTo(ctx, cache, t, targets)
		if err != nil {
			return nil, nil, err
		}
		t.Cases = cases.Make(cases.Input{Probes: t.Probes, Foreign: other.Probes["sbprobe"], Distro: t.Distro}, trust)
		sample, err := sampleCases(t, other)
		if err != nil {
			return nil, nil, err
		}
		t.Cases.Cases = append(t.Cases.Cases, sample...)
		if err := o.addOwn(ctx, t, trust); err != nil {
			return nil, nil, fmt.Errorf("kernel %s: %w", t.Kernel.Release, err)
		}
	}
	return chain, targets, nil
}

// addOwn adds what the project's own steps signed, and a driver.
func (o Options) addOwn(ctx context.Context, t *Target, trust *cases.Trust) error {
	own, err := o.productCases(ctx, t, trust)
	if err != nil {
		return err
	}
	t.Cases.Cases = append(t.Cases.Cases, own...)
	driver, err := o.driverCases(ctx, t, trust)
	t.Cases.Cases = append(t.Cases.Cases, driver...)
	return err
}

// foreignTo is the kernel whose modules are foreign to t: always the same one,
// whichever kernels are booted together.
func (o Options) foreignTo(ctx context.Context, cache fetch.Cache, t *Target, targets []*Target) (*Target, error) {
	series := otherThan(t.Kernel.Series)
	for _, other := range targets {
		if other.Kernel.Series == series {
			return other, nil
		}
	}
	return target(ctx, cache, o.Arch, series)
}

func otherThan(series string) string {
	if series == "6.1" {
		return "6.12"
	}
	return "6.1"
}

func target(ctx context.Context, cache fetch.Cache, arch, series string) (*Target, error) {
	k, err := cache.Kernel(ctx, arch, series)
	if err != nil {
		return nil, err
	}
	t := &Target{Kernel: k, Distro: map[string][]byte{}}
	if t.Probes, err = probe.Build(ctx, k, filepath.Join(cache.Dir, "probe")); err != nil {
		return nil, err
	}
	if t.Builtin, err = k.Builtin(); err != nil {
		return nil, err
	}
	for use, name := range map[string]string{"efivarfs": "efivarfs", "intree": "dummy"} {
		if t.Distro[use], err = t.module(name); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// file finds one of the distribution's modules.
func (t *Target) file(name string) (string, error) {
	var file string
	errFound := errors.New("found")
	err := filepath.WalkDir(filepath.Join(t.Kernel.Modules, "kernel"), func(path string, d fs.DirEntry, err error) error {
		base, _, _ := strings.Cut(filepath.Base(path), ".")
		if err == nil && !d.IsDir() && strings.ReplaceAll(base, "-", "_") == name {
			file, err = path, errFound
		}
		return err
	})
	if !errors.Is(err, errFound) {
		return "", fmt.Errorf("module %s of %s: %w", name, t.Kernel.Release, errors.Join(fs.ErrNotExist, err))
	}
	return file, nil
}

// module reads one of the distribution's modules, unpacked.
func (t *Target) module(name string) ([]byte, error) {
	file, err := t.file(name)
	if err != nil {
		return nil, err
	}
	b, err := os.ReadFile(file)
	if err != nil || !strings.HasSuffix(file, ".xz") {
		return b, err
	}
	r, err := xz.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	_, err = out.ReadFrom(r)
	return out.Bytes(), err
}

// guestInit compiles the guest's init for arch.
func guestInit(ctx context.Context, arch, dir string) ([]byte, error) {
	file := filepath.Join(dir, "guestinit-"+arch)
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", file, "github.com/kmodseal/kmodseal/e2e/secureboot/cmd/guestinit")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build guestinit: %w: %s", err, bytes.TrimSpace(out))
	}
	return os.ReadFile(file)
}
