// Package oracle finds the tools that tests measure kmodseal against: programs
// that nobody of this project wrote. Tests only.
package oracle

import (
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"testing"
)

// Path is the oracle's program. Where it is not installed the test is skipped,
// or fails if KMODSEAL_REQUIRE_ORACLES is set, as it is in CI.
func Path(t testing.TB, name string) string {
	t.Helper()
	p, err := exec.LookPath(name)
	if err != nil {
		miss(t, name)
	}
	return p
}

// SignFile is the kernel's scripts/sign-file: $SIGN_FILE, or the newest of
// Debian's linux-kbuild packages.
func SignFile(t testing.TB) string {
	t.Helper()
	if p := os.Getenv("SIGN_FILE"); p != "" {
		return p
	}
	found, err := filepath.Glob("/usr/lib/linux-kbuild-*/scripts/sign-file")
	if err != nil || len(found) == 0 {
		miss(t, "sign-file")
	}
	sort.Strings(found)
	return found[len(found)-1]
}

func miss(t testing.TB, name string) {
	t.Helper()
	if os.Getenv("KMODSEAL_REQUIRE_ORACLES") != "" {
		t.Fatalf("%s is not installed and KMODSEAL_REQUIRE_ORACLES is set: run `make oracles`", name)
	}
	t.Skipf("%s is not installed: run `make oracles`", name)
}
