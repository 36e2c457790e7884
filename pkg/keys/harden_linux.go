package keys

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Harden keeps the process's memory and environment, and with them the key and
// its passphrase, from other processes of the same user and out of core dumps.
// Root is not stopped. To be called before Load; on systems other than Linux
// it does nothing.
func Harden() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("set dumpable off: %w", err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("set core limit: %w", err)
	}
	return nil
}
