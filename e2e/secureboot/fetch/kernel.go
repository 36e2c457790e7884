package fetch

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Kernel is one unpacked Debian kernel.
type Kernel struct {
	Series   string            // 6.1, 6.12, 7.3: what the user asks for
	Release  string            // uname -r
	Vmlinuz  string            // signed by Debian
	Modules  string            // lib/modules/RELEASE
	Headers  string            // for make -C
	Config   string            // kernel configuration
	Symvers  string            // Module.symvers
	Packages map[string]string // name to version
	Runner   []string          // what runs the package's own programs; empty: nothing is needed
	Arch     string            // GOARCH
	Make     []string          // further arguments of make
	Strip    string            // the program
}

// Kernel unpacks the newest Debian kernel of a series: 6.1 and 6.12 from the
// running Debian's own sources, 7.x from a newer Debian's backports.
func (c Cache) Kernel(ctx context.Context, arch, series string) (*Kernel, error) {
	switch {
	case arch == ARM64:
		return c.kernelARM64(ctx, series)
	case strings.HasPrefix(series, "7."):
		return c.newer(ctx, series)
	}
	return c.kernel(ctx, AMD64, series, apt{}, "debs", "root")
}

// kernel unpacks a kernel of this Debian for arch. Its build tools are programs
// of this machine in any case.
func (c Cache) kernel(ctx context.Context, arch, series string, a apt, debsDir, rootDir string) (*Kernel, error) {
	meta := "linux-image-" + arch
	if series != "6.1" {
		meta = "linux-image-" + series + "-" + arch
	}
	image, err := c.pinned(ctx, a, debsDir, "linux-image-", series, arch, meta)
	if err != nil {
		return nil, err
	}
	release := strings.TrimPrefix(image, "linux-image-")
	abi := strings.TrimSuffix(release, "-"+arch)
	kbuild := "linux-kbuild-" + abi
	if series == "6.1" {
		kbuild = "linux-kbuild-6.1"
	}
	debs, root, err := c.folders(debsDir, rootDir)
	if err != nil {
		return nil, err
	}
	v, err := a.download(ctx, debs, root, image, "linux-headers-"+release, "linux-headers-"+abi+"-common")
	if err != nil {
		return nil, err
	}
	tools, err := apt{}.download(ctx, filepath.Join(c.Dir, "debs"), root, kbuild)
	if err != nil {
		return nil, err
	}
	maps.Copy(v, tools)
	k := kernelAt(root, series, release, v)
	k.Arch = arch
	k.Vmlinuz = filepath.Join(root, "boot/vmlinuz-"+release)
	k.Modules = filepath.Join(root, "lib/modules", release)
	k.Config = filepath.Join(root, "boot/config-"+release)
	return k, relocate(k.Headers, root)
}

// pinned is the image package already in the cache, else the one that meta stands for now.
func (c Cache) pinned(ctx context.Context, a apt, debs, prefix, series, arch, meta string) (string, error) {
	found, _ := filepath.Glob(filepath.Join(c.Dir, debs, prefix+series+".*-"+arch+"_*.deb"))
	if len(found) > 0 {
		name, _, _ := strings.Cut(filepath.Base(found[len(found)-1]), "_")
		return name, nil
	}
	return a.concrete(ctx, meta)
}

func kernelAt(root, series, release string, versions map[string]string) *Kernel {
	headers := filepath.Join(root, "usr/src/linux-headers-"+release)
	return &Kernel{
		Series: series, Release: release, Packages: versions,
		Arch: AMD64, Strip: "strip",
		Headers: headers, Symvers: filepath.Join(headers, "Module.symvers"),
	}
}

// relocate lets an unpacked header package find its common half, which it names by absolute path.
func relocate(headers, root string) error {
	file := filepath.Join(headers, "Makefile")
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	include := regexp.MustCompile(`(?m)^include .*/(linux-headers-[^/\n]*-common/Makefile)$`)
	output := regexp.MustCompile(`(?m)^KBUILD_OUTPUT=.*$`)
	text = include.ReplaceAll(text, []byte("include "+filepath.Join(root, "usr/src")+"/$1"))
	text = output.ReplaceAll(text, []byte("KBUILD_OUTPUT="+headers))
	if err := os.WriteFile(file, text, 0o644); err != nil {
		return fmt.Errorf("relocate %s: %w", headers, err)
	}
	return nil
}
