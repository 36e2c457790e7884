//go:build e2e

package tekton_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// bundled runs a Task out of the bundle that e2e/images pushes, by Tekton's bundle resolver, in a
// namespace that has none of the Tasks.
func bundled(t *testing.T) {
	dir := t.TempDir()
	files, err := filepath.Glob("../../tasks/*/*.yaml")
	require.NoError(t, err)
	for _, f := range files {
		content, err := os.ReadFile(f)
		require.NoError(t, err)
		to := filepath.Join(dir, filepath.Base(filepath.Dir(f)), filepath.Base(f))
		require.NoError(t, os.MkdirAll(filepath.Dir(to), 0o755))
		require.NoError(t, os.WriteFile(to, []byte(local(string(content))), 0o644))
	}
	out, err := exec.Command(filepath.Join(lab(), "bin", "images"), "-version", "e2e", "-only", "none", "-bundle", dir, "-push", registry+"/kmodseal").CombinedOutput()
	require.NoError(t, err, "%s", out)
	assert.Equal(t, "tasks "+digest(t, "kmodseal/tasks:e2e")+"\n", string(out))
	pushDriver(t, "drv", kernel)

	resolver := func(bundle, task string) string {
		return "taskRef:\n    resolver: bundles\n    params:\n      - {name: bundle, value: " + registry + "/" + bundle + "}\n" +
			"      - {name: name, value: " + task + "}\n      - {name: kind, value: task}\n"
	}
	for name, c := range map[string]struct{ bundle, task, problem string }{
		"bundle":           {"kmodseal/tasks:e2e", "seal-image", ""},
		"bundle-no-task":   {"kmodseal/tasks:e2e", "seal-nothing", "seal-nothing"},
		"bundle-no-bundle": {"kmodseal/tasks:absent", "seal-image", "manifests/absent: MANIFEST_UNKNOWN"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			y := taskRun(name, "signing-cert", params(kernel, "drv:"+name))
			y = strings.Replace(y, "taskRef: {name: seal-image}\n", resolver(c.bundle, c.task), 1)
			must(t, y, "create", "-n", "bundled", "-f", "-")
			o := await(t, "bundled", "taskrun/"+name)
			if c.problem != "" {
				assert.False(t, o.ok())
				assert.Contains(t, o.message(), c.problem)
				assert.Empty(t, o.Status.PodName)
				return
			}
			require.True(t, o.ok(), "%s\n%s", o.message(), logs(t, "bundled", name))
			assert.Equal(t, digest(t, "drv:"+name), o.result("IMAGE_DIGEST"))
		})
	}
}
