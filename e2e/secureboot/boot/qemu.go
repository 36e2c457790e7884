package boot

import (
	"context"
	"fmt"
	"os"
	"os/exec"
)

// qemu runs the machine until it powers off. The first serial port is the
// console, the second one takes the guest's answers.
func (m Machine) qemu(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, m.Limit)
	defer cancel()
	p := platformOf(m.Chain.Arch)
	args := append(p.machine(m.Accel),
		"-smp", "1",
		"-drive", "if=pflash,format=raw,unit=0,readonly=on,file="+m.Chain.Code,
		"-drive", "if=pflash,format=raw,unit=1,file="+m.file("vars.fd"),
		"-drive", "if=none,id=esp,format=raw,readonly=on,file="+m.file("esp.img"),
		"-device", "virtio-blk-pci,drive=esp,bootindex=0",
		"-nodefaults", "-display", "none", "-nic", "none",
	)
	socket := m.file("console.sock")
	if m.Console == nil {
		args = append(args, "-no-reboot", "-serial", "file:"+m.file("console.log"))
	} else {
		args = append(args, "-chardev", "socket,id=con,server=on,wait=on,path="+socket, "-serial", "chardev:con")
	}
	args = append(args, p.answers(m.file("result.log"))...)
	cmd := exec.CommandContext(ctx, "nice", append([]string{p.qemu}, args...)...)
	errs, err := os.Create(m.file("qemu.log"))
	if err != nil {
		return err
	}
	defer errs.Close()
	cmd.Stdout, cmd.Stderr = errs, errs
	if err := cmd.Start(); err != nil {
		return err
	}
	if m.Console != nil {
		if err := m.Console(ctx, socket, m.file("console.log")); err != nil {
			cancel()
			_ = cmd.Wait()
			return err
		}
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("qemu: %w (%s)", err, m.file("qemu.log"))
	}
	return nil
}
