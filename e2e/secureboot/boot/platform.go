package boot

import "github.com/kmodseal/kmodseal/e2e/secureboot/fetch"

// platform is what differs between the machines of two architectures.
type platform struct {
	qemu    string
	efi     string // EFI's word for the architecture, in file names
	cmdline string // kernel parameters: the consoles
	esp     int64  // size of the EFI system partition
	board   string
	more    []string
}

func platformOf(arch string) platform {
	if arch == fetch.ARM64 {
		// The board has one serial port, so that the answers go over a second one on PCI.
		return platform{
			qemu: "qemu-system-aarch64", efi: "aa64", cmdline: "console=ttyAMA0 result=ttyS0", esp: 128 << 20,
			board: "virt", more: []string{"-cpu", "cortex-a72", "-m", "1024"},
		}
	}
	return platform{
		qemu: "qemu-system-x86_64", efi: "x64", cmdline: "console=ttyS0", esp: 64 << 20,
		board: "q35,smm=on", more: []string{
			"-cpu", "max", "-m", "512",
			"-global", "driver=cfi.pflash01,property=secure,value=on", "-global", "ICH9-LPC.disable_s3=1",
		},
	}
}

func (p platform) machine(accel string) []string {
	return append([]string{"-machine", p.board + ",accel=" + accel}, p.more...)
}

// answers is the serial port that the guest writes its answers on.
func (p platform) answers(file string) []string {
	if p.board == "virt" {
		return []string{"-chardev", "file,id=answers,path=" + file, "-device", "pci-serial,chardev=answers"}
	}
	return []string{"-serial", "file:" + file}
}
