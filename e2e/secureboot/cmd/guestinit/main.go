// Command guestinit is PID 1 of the Secure Boot test's guest. It reports the
// kernel's state, does every job of the job list, writes the answers on the
// second serial port and powers off.
package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/kmodseal/kmodseal/e2e/secureboot/wire"
)

func main() {
	start := time.Now()
	defer powerOff(syscall.LINUX_REBOOT_CMD_POWER_OFF)
	for _, m := range [][3]string{
		{"proc", "/proc", "proc"},
		{"sysfs", "/sys", "sysfs"},
		{"devtmpfs", "/dev", "devtmpfs"},
		{"securityfs", "/sys/kernel/security", "securityfs"},
		{"tmpfs", "/tmp", "tmpfs"},
	} {
		mount(m[0], m[1], m[2])
	}
	out := port()
	defer func() {
		if r := recover(); r != nil {
			wire.Note(out, "PANIC %v", r)
		}
	}()
	wire.Begin(out)
	state(out)
	if err := work(out); err != nil {
		wire.Note(out, "ERROR %v", err)
		return
	}
	wire.Fact(out, "TAINTED", first("/proc/sys/kernel/tainted"))
	wire.Fact(out, "INIT_MS", fmt.Sprint(time.Since(start).Milliseconds()))
	wire.Fact(out, "UPTIME", first("/proc/uptime"))
	wire.End(out)
}

func work(out io.Writer) error {
	f, err := os.Open(wire.JobFile)
	if err != nil {
		return err
	}
	jobs, err := wire.ReadJobs(f)
	if err != nil {
		return err
	}
	mok := ""
	for _, j := range jobs {
		if mok != "" {
			j.Name = mok + ":" + j.Name
		}
		if err := do(out, j, &mok); err != nil {
			return fmt.Errorf("job %s: %w", j.Name, err)
		}
	}
	return nil
}

func do(out io.Writer, j wire.Job, mok *string) error {
	switch j.Method {
	case wire.Efivars:
		efivars(out)
	case wire.Keyrings:
		keyrings(out)
	case wire.Fuzz:
		return fuzz(out, j)
	case wire.MokState:
		*mok = mokState(j.Path)
	case wire.MokStep:
		if j.Arg == *mok {
			shell(out, j.Path, *mok)
			powerOff(syscall.LINUX_REBOOT_CMD_RESTART)
		}
	case wire.Shell:
		shell(out, j.Path, *mok)
	case wire.Remove:
		if err := remove(j.Path); err != nil {
			wire.Note(out, "%s: %v", j.Name, err)
		}
	default:
		try(out, j)
	}
	return nil
}

// port is the second serial port, or what result= on the kernel command line names.
func port() io.Writer {
	name := "ttyS1"
	for _, w := range strings.Fields(first("/proc/cmdline")) {
		if v, ok := strings.CutPrefix(w, "result="); ok {
			name = v
		}
	}
	f, err := os.OpenFile("/dev/"+name, os.O_WRONLY, 0)
	if err != nil {
		return os.Stdout
	}
	return f
}

func mount(src, dst, fs string) {
	_ = os.MkdirAll(dst, 0o755)
	_ = syscall.Mount(src, dst, fs, 0, "")
}

func first(file string) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return "unreadable"
	}
	line, _, _ := strings.Cut(string(b), "\n")
	return strings.TrimSpace(line)
}

func powerOff(how int) {
	syscall.Sync()
	time.Sleep(300 * time.Millisecond) // until the serial port is drained
	_ = syscall.Reboot(how)
	select {}
}
