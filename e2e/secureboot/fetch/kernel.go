package fetch

import (
	"context"
	"fmt"
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
}

// Kernel unpacks the newest Debian kernel of a series: 6.1 and 6.12 from the
// running Debian's own sources, 7.x from a newer Debian's backports.
func (c Cache) Kernel(ctx context.Context, series string) (*Kernel, error) {
	if strings.HasPrefix(series, "7.") {
		return c.newer(ctx, series)
	}
	meta := "linux-image-amd64"
	if series != "6.1" {
		meta = "linux-image-" + series + "-amd64"
	}
	image, err := c.pinned(ctx, apt{}, "debs", "linux-image-", series, meta)
	if err != nil {
		return nil, err
	}
	release := strings.TrimPrefix(image, "linux-image-")
	abi := strings.TrimSuffix(release, "-amd64")
	kbuild := "linux-kbuild-" + abi
	if series == "6.1" {
		kbuild = "linux-kbuild-6.1"
	}
	debs, root, err := c.folders("debs", "root")
	if err != nil {
		return nil, err
	}
	v, err := apt{}.download(ctx, debs, root, image, "linux-headers-"+release, "linux-headers-"+abi+"-common", kbuild)
	if err != nil {
		return nil, err
	}
	k := kernelAt(root, series, release, v)
	k.Vmlinuz = filepath.Join(root, "boot/vmlinuz-"+release)
	k.Modules = filepath.Join(root, "lib/modules", release)
	k.Config = filepath.Join(root, "boot/config-"+release)
	return k, relocate(k.Headers, root)
}

// pinned is the image package already in the cache, else the one that meta stands for now.
func (c Cache) pinned(ctx context.Context, a apt, debs, prefix, series, meta string) (string, error) {
	found, _ := filepath.Glob(filepath.Join(c.Dir, debs, prefix+series+".*-amd64_*.deb"))
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
