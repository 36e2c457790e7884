package sign

import (
	"os"
	"path/filepath"
	"testing"
)

func beside(file, temp string) string { return filepath.Join(filepath.Dir(file), temp) }

// LeaveTemporary leaves beside file what a run that died leaves.
func LeaveTemporary(t testing.TB, file string) {
	t.Helper()
	base := filepath.Base(file)
	if err := os.WriteFile(beside(file, fresh(base)), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(file, beside(file, spare(base))); err != nil {
		t.Fatal(err)
	}
}

// BlockTemporary makes it impossible to write file's temporary file.
func BlockTemporary(t testing.TB, file string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(beside(file, fresh(filepath.Base(file))), "full"), 0o755); err != nil {
		t.Fatal(err)
	}
}
