// Package fetch gets the kernels, boot loaders and tools of the Secure Boot
// test from Debian. Tools are installed; kernels and boot loaders are unpacked
// into a cache folder and never installed.
package fetch

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// The architectures of the guests, as GOARCH has them.
const (
	AMD64 = "amd64"
	ARM64 = "arm64"
)

// Cache is the folder that everything is unpacked below.
type Cache struct{ Dir string }

// Boot is the chain before the kernel.
type Boot struct {
	Arch                   string            // GOARCH of the machine
	Userland               string            // folder that programs for the guest come from; empty: this machine's own
	Shim, MokManager, Grub string            // signed EFI programs
	Code, Vars             string            // firmware with Secure Boot, variable store with Microsoft's keys
	Packages               map[string]string // name to version
}

// Tools are the programs the test runs, with the Debian package that has each.
func tools(arch string) map[string]string {
	t := map[string]string{
		"qemu-system-x86_64": "qemu-system-x86", "mkfs.vfat": "dosfstools", "mcopy": "mtools", "openssl": "openssl",
		"make": "make", "gcc": "gcc", "strip": "binutils", "kmod": "kmod", "mokutil": "mokutil", "xz": "xz-utils", "pahole": "dwarves",
	}
	if arch == ARM64 {
		t["qemu-system-aarch64"], t[crossPrefix+"gcc"] = "qemu-system-arm", "gcc-aarch64-linux-gnu"
	}
	return t
}

// Tools installs what is missing for guests of an architecture; that needs
// root, nothing else does.
func Tools(ctx context.Context, arch string) error {
	missing := missingOf(tools(arch))
	if _, err := os.Stat(firmware + "OVMF_CODE_4M.secboot.fd"); err != nil {
		missing = append(missing, "ovmf")
	}
	return install(ctx, missing)
}

// lockWait has apt-get wait for another that installs, such as the timer of a fresh machine.
const lockWait = "-oDPkg::Lock::Timeout=600"

func install(ctx context.Context, missing []string) error {
	if len(missing) == 0 {
		return nil
	}
	if _, err := (apt{}).run(ctx, ".", "apt-get", "update"); err != nil {
		return err
	}
	_, err := apt{}.run(ctx, ".", "apt-get", append([]string{"install", "-y", "--no-install-recommends", lockWait}, missing...)...)
	return err
}

const firmware = "/usr/share/OVMF/"

// missingOf are the packages of the programs that are not there.
func missingOf(programs map[string]string) []string {
	missing := []string{}
	for program, pkg := range programs {
		if _, err := exec.LookPath(program); err != nil {
			missing = append(missing, pkg)
		}
	}
	return missing
}

// Boot unpacks shim, MokManager and GRUB as Debian signed them.
func (c Cache) Boot(ctx context.Context, arch string) (*Boot, error) {
	if arch == ARM64 {
		return c.bootARM64(ctx)
	}
	debs, root, err := c.folders("debs", "root")
	if err != nil {
		return nil, err
	}
	v, err := apt{}.download(ctx, debs, root, "shim-signed", "shim-helpers-amd64-signed", "grub-efi-amd64-signed")
	if err != nil {
		return nil, err
	}
	return &Boot{
		Arch:       AMD64,
		Shim:       filepath.Join(root, "usr/lib/shim/shimx64.efi.signed"),
		MokManager: filepath.Join(root, "usr/lib/shim/mmx64.efi.signed"),
		Grub:       filepath.Join(root, "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed"),
		Code:       firmware + "OVMF_CODE_4M.secboot.fd",
		Vars:       firmware + "OVMF_VARS_4M.ms.fd",
		Packages:   v,
	}, nil
}

// Driver unpacks the source package of a driver and gives the folder that glob
// finds in it: this Debian's, for kernels from 7 on the one of the Debian in the making.
func (c Cache) Driver(ctx context.Context, k *Kernel, pkg, glob string) (string, error) {
	a, debsDir, rootDir := apt{}, "debs", "root"
	if strings.HasPrefix(k.Series, "7.") {
		var err error
		if a, err = c.state(ctx, "apt-forky", AMD64, mirror()+" forky"); err != nil {
			return "", err
		}
		debsDir, rootDir = "debs-forky", "root-forky"
	}
	debs, root, err := c.folders(debsDir, rootDir)
	if err != nil {
		return "", err
	}
	if _, err := a.download(ctx, debs, root, pkg); err != nil {
		return "", err
	}
	found, _ := filepath.Glob(filepath.Join(root, glob))
	if len(found) == 0 {
		return "", fmt.Errorf("package %s: no %s", pkg, glob)
	}
	return found[0], nil
}

func (c Cache) folders(debs, root string) (string, string, error) {
	d, r := filepath.Join(c.Dir, debs), filepath.Join(c.Dir, root)
	for _, dir := range []string{d, r} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return "", "", err
		}
	}
	return d, r, nil
}
