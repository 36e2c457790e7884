package fetch

import (
	"context"
	"path/filepath"
)

// crossPrefix is in front of the names of the compiler's programs for arm64.
const crossPrefix = "aarch64-linux-gnu-"

// The folders of packages for arm64.
const (
	debsARM64 = "debs-arm64"
	rootARM64 = "root-arm64"
)

// armState is the apt state for arm64 packages of this Debian; the system's own
// architectures stay as they are.
func (c Cache) armState(ctx context.Context) (apt, error) {
	return c.state(ctx, "apt-arm64", ARM64, mirror()+" bookworm", mirror()+"-security bookworm-security")
}

// bootARM64 unpacks firmware, shim and GRUB for arm64, and kmod for the guest.
func (c Cache) bootARM64(ctx context.Context) (*Boot, error) {
	a, err := c.armState(ctx)
	if err != nil {
		return nil, err
	}
	debs, root, err := c.folders(debsARM64, rootARM64)
	if err != nil {
		return nil, err
	}
	v, err := a.download(ctx, debs, root, "shim-signed", "shim-helpers-arm64-signed", "grub-efi-arm64-signed", "qemu-efi-aarch64")
	if err != nil {
		return nil, err
	}
	if _, err := a.download(ctx, debs, root, "kmod", "libkmod2", "libc6", "liblzma5", "libzstd1", "libssl3"); err != nil {
		return nil, err
	}
	return &Boot{
		Arch:       ARM64,
		Userland:   root,
		Shim:       filepath.Join(root, "usr/lib/shim/shimaa64.efi.signed"),
		MokManager: filepath.Join(root, "usr/lib/shim/mmaa64.efi.signed"),
		Grub:       filepath.Join(root, "usr/lib/grub/arm64-efi-signed/grubaa64.efi.signed"),
		Code:       filepath.Join(root, "usr/share/AAVMF/AAVMF_CODE.fd"),
		Vars:       filepath.Join(root, "usr/share/AAVMF/AAVMF_VARS.ms.fd"),
		Packages:   v,
	}, nil
}

// kernelARM64 unpacks the newest Debian kernel of a series for arm64.
func (c Cache) kernelARM64(ctx context.Context, series string) (*Kernel, error) {
	a, err := c.armState(ctx)
	if err != nil {
		return nil, err
	}
	k, err := c.kernel(ctx, ARM64, series, a, debsARM64, rootARM64)
	if err != nil {
		return nil, err
	}
	k.Make = []string{"ARCH=arm64", "CROSS_COMPILE=" + crossPrefix}
	k.Strip = crossPrefix + "strip"
	return k, nil
}
