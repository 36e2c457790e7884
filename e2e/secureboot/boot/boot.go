// Package boot starts a Debian kernel under QEMU with UEFI Secure Boot:
// firmware, shim, GRUB and kernel as Debian signed them, and an initrd of our own.
package boot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/kmodseal/kmodseal/e2e/secureboot/fetch"
	"github.com/kmodseal/kmodseal/e2e/secureboot/varstore"
	"github.com/kmodseal/kmodseal/e2e/secureboot/wire"
)

// Machine is one boot.
type Machine struct {
	Chain   *fetch.Boot
	Kernel  string                // vmlinuz
	Vars    func(*varstore.Store) // edits the variables; nil: as Debian ships them
	Cmdline string                // more kernel parameters
	Initrd  Files
	Dir     string // for logs and images; emptied first
	Accel   string // tcg or kvm
	Limit   time.Duration
	// Console, if set, drives the first serial port; the machine then may reboot.
	Console func(ctx context.Context, socket, log string) error
}

// ErrIncomplete is a boot whose guest did not report its end: never a pass.
var ErrIncomplete = errors.New("incomplete boot")

// Run boots the machine until it is off and gives what the guest wrote.
func (m Machine) Run(ctx context.Context) (*wire.Log, error) {
	if err := os.RemoveAll(m.Dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(m.Dir, 0o755); err != nil {
		return nil, err
	}
	if err := m.prepare(ctx); err != nil {
		return nil, fmt.Errorf("prepare %s: %w", m.Dir, err)
	}
	runErr := m.qemu(ctx)
	f, err := os.Open(m.file("result.log"))
	if err != nil {
		return nil, errors.Join(runErr, err)
	}
	defer f.Close()
	log, err := wire.ReadLog(f)
	if err != nil {
		return nil, err
	}
	if !log.Complete {
		return log, errors.Join(fmt.Errorf("%w: see %s", ErrIncomplete, m.file("console.log")), runErr)
	}
	for _, big := range []string{"esp.img", "initrd.img", "vars.fd"} {
		_ = os.Remove(m.file(big))
	}
	return log, nil
}

func (m Machine) file(name string) string { return filepath.Join(m.Dir, name) }

func (m Machine) prepare(ctx context.Context) error {
	image, err := os.ReadFile(m.Chain.Vars)
	if err != nil {
		return err
	}
	store, err := varstore.Parse(image)
	if err != nil {
		return err
	}
	if m.Vars != nil {
		m.Vars(store)
	}
	if image, err = store.Bytes(); err != nil {
		return err
	}
	if err := os.WriteFile(m.file("vars.fd"), image, 0o644); err != nil {
		return err
	}
	var initrd bytes.Buffer
	if err := m.Initrd.Write(&initrd); err != nil {
		return err
	}
	if err := os.WriteFile(m.file("initrd.img"), initrd.Bytes(), 0o644); err != nil {
		return err
	}
	return m.esp(ctx)
}

// refused is what GRUB says when the kernel did not start.
const refused = "GRUB-REFUSED-THE-KERNEL"

// esp makes the EFI system partition: a FAT file system without partition table.
func (m Machine) esp(ctx context.Context) error {
	img := m.file("esp.img")
	// no_timer_check: on a busy host the kernel's test of the timer interrupt fails and it panics.
	p := platformOf(m.Chain.Arch)
	cfg := fmt.Sprintf("set timeout=0\nif linux /vmlinuz %s panic=-1 no_timer_check quiet loglevel=4 %s; then initrd /initrd.img; boot; fi\necho %s\nhalt\n", p.cmdline, m.Cmdline, refused)
	if err := os.WriteFile(m.file("grub.cfg"), []byte(cfg), 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(img, nil, 0o644); err != nil {
		return err
	}
	if err := os.Truncate(img, p.esp); err != nil {
		return err
	}
	steps := [][]string{
		{"mkfs.vfat", "-F", "32", img},
		{"mmd", "-i", img, "::EFI", "::EFI/BOOT", "::EFI/debian"},
		{"mcopy", "-i", img, m.Chain.Shim, "::EFI/BOOT/BOOT" + strings.ToUpper(p.efi) + ".EFI"},
		{"mcopy", "-i", img, m.Chain.MokManager, "::EFI/BOOT/mm" + p.efi + ".efi"},
		{"mcopy", "-i", img, m.Chain.Grub, "::EFI/BOOT/grub" + p.efi + ".efi"},
		{"mcopy", "-i", img, m.file("grub.cfg"), "::EFI/debian/grub.cfg"},
		{"mcopy", "-i", img, m.Kernel, "::vmlinuz"},
		{"mcopy", "-i", img, m.file("initrd.img"), "::initrd.img"},
	}
	for _, s := range steps {
		if out, err := exec.CommandContext(ctx, s[0], s[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", s[0], err, bytes.TrimSpace(out))
		}
	}
	return nil
}
