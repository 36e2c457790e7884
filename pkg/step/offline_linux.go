package step

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// noNewPrivs is a variable for the test that changes threads in it.
var noNewPrivs = func() error { return unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } //nolint:gochecknoglobals // see above

// goOffline makes the kernel refuse new sockets to this process for good: a
// seccomp filter over all its threads (seccomp(2)), which also holds for code
// that is linked in by a library and never called. Where the kernel has no
// seccomp, or we no filter for the architecture, the step goes on without.
func goOffline() error {
	if arch, _ := convention(); arch == 0 {
		return nil
	}
	// seccomp(2) asks no_new_privs, which prctl(2) sets, of the calling thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := noNewPrivs(); err != nil {
		return fmt.Errorf("give up sockets: %w", err)
	}
	filter := socketFilter()
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&prog))) //nolint:gosec // the call takes an address
	runtime.KeepAlive(filter)
	switch errno {
	case 0, unix.ENOSYS, unix.EINVAL:
		return nil
	}
	return fmt.Errorf("give up sockets: %w", errno)
}

// socketFilter answers EACCES to what makes sockets: socket(2), io_uring and,
// where an architecture has it, socketcall(2), and to every call of another
// calling convention (32 bits, x32). struct seccomp_data begins with the
// call's number and the architecture, 4 bytes each (linux/seccomp.h).
func socketFilter() []unix.SockFilter {
	const x32 = 0x40000000
	calls := []uint32{unix.SYS_SOCKET, unix.SYS_IO_URING_SETUP}
	arch, socketcall := convention()
	if socketcall != 0 {
		calls = append(calls, socketcall)
	}
	n := uint8(len(calls))
	f := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 4},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: arch, Jf: n + 3},
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0},
		{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: x32, Jt: n + 1},
	}
	for i, call := range calls {
		f = append(f, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: call, Jt: n - uint8(i)})
	}
	return append(f,
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EACCES)},
	)
}

// convention gives the architecture's AUDIT_ARCH number (linux/audit.h) and
// that of its socketcall(2), 0 where it has none (arch/*/syscall.tbl).
func convention() (arch, socketcall uint32) {
	switch runtime.GOARCH {
	case "amd64":
		return unix.AUDIT_ARCH_X86_64, 0
	case "arm64":
		return unix.AUDIT_ARCH_AARCH64, 0
	case "ppc64le":
		return unix.AUDIT_ARCH_PPC64LE, 102
	case "s390x":
		return unix.AUDIT_ARCH_S390X, 102
	case "riscv64":
		return unix.AUDIT_ARCH_RISCV64, 0
	}
	return 0, 0
}
