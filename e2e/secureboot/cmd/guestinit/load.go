package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kmodseal/kmodseal/e2e/secureboot/mutate"
	"github.com/kmodseal/kmodseal/e2e/secureboot/wire"
)

// try loads a module, tells what the kernel said, and takes it out again.
func try(out io.Writer, j wire.Job) {
	messages()
	var err error
	switch j.Method {
	case wire.Finit, wire.Keep:
		err = finit(j.Path, 0)
	case wire.FinitZ:
		err = finit(j.Path, unix.MODULE_INIT_COMPRESSED_FILE)
	case wire.Init:
		var b []byte
		if b, err = os.ReadFile(j.Path); err == nil {
			err = unix.InitModule(b, "")
		}
	case wire.Insmod:
		err = insmod(j.Path)
	default:
		err = errors.New("unknown method " + j.Method)
	}
	wire.Answer{Name: j.Name, Result: result(err), Lines: messages()}.Write(out)
	if err == nil && j.Method != wire.Keep {
		name, _, _ := strings.Cut(filepath.Base(j.Path), wire.ModuleName)
		if err := remove(name); err != nil {
			wire.Note(out, "%s: remove %s: %v", j.Name, name, err)
		}
	}
}

var errInsmod = errors.New("insmod")

func insmod(path string) error {
	if err := exec.Command("/bin/insmod", path).Run(); err != nil {
		return errInsmod
	}
	return nil
}

func finit(path string, flags int) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.FinitModule(int(f.Fd()), "", flags)
}

func remove(name string) error { return unix.DeleteModule(name, unix.O_NONBLOCK) }

// fuzz loads mutations of one module, which the host can make as well.
func fuzz(out io.Writer, j wire.Job) error {
	base, err := os.ReadFile(j.Path)
	if err != nil {
		return err
	}
	s, c, _ := strings.Cut(j.Arg, ":")
	seed, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return err
	}
	count, err := strconv.Atoi(c)
	if err != nil {
		return err
	}
	for i := range count {
		module := mutate.Make(base, seed, i).Bytes
		messages()
		var err error = unix.EFAULT
		if len(module) > 0 {
			err = unix.InitModule(module, "")
		}
		wire.Answer{Name: fmt.Sprintf("%s/%d", j.Name, i), Result: result(err), Lines: messages()}.Write(out)
		if err == nil {
			name, _, _ := strings.Cut(filepath.Base(j.Path), wire.ModuleName)
			_ = remove(name)
		}
	}
	return nil
}

// result names an errno as errno.h does.
func result(err error) string {
	if err == nil {
		return wire.OK
	}
	if errors.Is(err, errInsmod) {
		return wire.InsmodFail
	}
	var e unix.Errno
	if errors.As(err, &e) {
		if e == unix.EOPNOTSUPP { // has two names; the kernel uses this one
			return "EOPNOTSUPP"
		}
		return unix.ErrnoName(e)
	}
	return strings.Map(wire.Printable, "ERROR:"+err.Error())
}

// messages drains the kernel's ring buffer and gives its lines without level and time.
func messages() []string {
	buf := make([]byte, 1<<18)
	n, err := unix.Klogctl(4 /* SYSLOG_ACTION_READ_CLEAR */, buf)
	if err != nil {
		return nil
	}
	var lines []string
	for _, l := range bytes.Split(buf[:n], []byte("\n")) {
		s := string(bytes.TrimSpace(l))
		if i := strings.Index(s, "] "); i > 0 {
			s = s[i+2:]
		}
		if s != "" {
			lines = append(lines, strings.Map(wire.Printable, s))
		}
	}
	return lines
}
