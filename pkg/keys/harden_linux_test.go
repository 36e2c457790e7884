package keys

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Harden is for the whole process: the test runs itself for it.
func TestHarden(t *testing.T) {
	if os.Getenv("KMODSEAL_TEST_HARDEN") == "" {
		c := exec.Command(os.Args[0], "-test.run=^TestHarden$", "-test.v")
		c.Env = append(os.Environ(), "KMODSEAL_TEST_HARDEN=1")
		out, err := c.CombinedOutput()
		require.NoError(t, err, "%s", out)
		assert.Contains(t, string(out), "--- PASS: TestHarden")
		return
	}
	require.NoError(t, Harden())
	dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	require.NoError(t, err)
	assert.Zero(t, dumpable)
	var core unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_CORE, &core))
	assert.Equal(t, unix.Rlimit{}, core)
}
