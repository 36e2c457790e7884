//go:build e2e

package tekton_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestHang fails while a pod runs, at once or after the time that HANG has: teardown.sh looks at what that leaves.
func TestHang(t *testing.T) {
	ready(t)
	must(t, "", "run", "hang", "--image=localhost/shell:1", "--image-pull-policy=Never", "--command", "--", "/bin/sleep", "600")
	must(t, "", "wait", "--for=condition=Ready", "--timeout=60s", "pod/hang")
	fmt.Println("a pod runs")
	if wait, err := time.ParseDuration(os.Getenv("HANG")); err == nil {
		time.Sleep(wait)
	}
	require.Fail(t, "as it should")
}
