//go:build e2e

package tekton_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/e2e/sample"
	"github.com/kmodseal/kmodseal/pkg/kmodtest"
)

// readSample gives a sample of tasks/ under a fixed name, with the images and Secrets of this node.
func readSample(t *testing.T, file, name string) string {
	t.Helper()
	b, err := os.ReadFile("../../tasks/" + file)
	require.NoError(t, err)
	y := regexp.MustCompile(`generateName: .*`).ReplaceAllString(string(b), "name: "+name)
	return strings.NewReplacer(
		"registry.example.com/driver:6.1.0-56-amd64-unsigned", registry+"/drv:6.1.0-56-amd64-unsigned",
		"registry.example.com/driver:6.1.0-56-amd64", registry+"/drv:"+name,
	).Replace(y)
}

// samples run as they are, but for the names of images.
func samples(t *testing.T, key *sample.Key) {
	files, err := filepath.Glob("../../tasks/*/samples/*.yaml")
	require.NoError(t, err)
	require.Len(t, files, 7, "one that is not run here")
	pushDriver(t, "drv", kernel)
	plain := kmodtest.Build(kmodtest.Spec{Name: "drv", Release: kernel, Pad: 50_000})
	done := func(t *testing.T, run, name string) *outcome {
		t.Helper()
		o := await(t, "drivers", run)
		out, _ := kubectl(t, "", "logs", "-n", "drivers", "-l", "tekton.dev/memberOf", "--all-containers", "--prefix", "--tail=-1")
		require.True(t, o.ok(), "%s\n%s\n%s", o.message(), out, logs(t, "drivers", name))
		signed(t, "drv:"+name, module(kernel, "drv"), key, plain)
		return o
	}
	t.Run("SealImage", func(t *testing.T) {
		t.Parallel()
		must(t, readSample(t, "seal-image/samples/run.yaml", "sampled"), "create", "-n", "drivers", "-f", "-")
		mounts(t, done(t, "taskrun/sampled", "sampled").Status.PodName)
	})
	t.Run("Pipeline", func(t *testing.T) {
		t.Parallel()
		configMap(t, "driver-module", strings.ReplaceAll(moduleYAML, "/fleet:", "/sampled:"))
		for _, k := range []string{kernel, "6.12.117+deb12-amd64"} {
			pushDriver(t, "sampled", k)
		}
		for _, run := range []struct{ file, name, kind string }{
			{"plan-kmods", "sample-plan", "taskrun/"}, {"seal-driver", "sample-driver", "pipelinerun/"}, {"seal-summary", "sample-summary", "taskrun/"},
		} {
			y := strings.ReplaceAll(readSample(t, run.file+"/samples/run.yaml", run.name), "/drv:"+run.name, "/sampled:"+kernel)
			must(t, y, "create", "-n", "drivers", "-f", "-")
			o := await(t, "drivers", run.kind+run.name)
			require.True(t, o.ok(), "%s\n%s", o.message(), logs(t, "drivers", run.name))
			if run.file != "seal-driver" {
				assert.Empty(t, secretsOf(t, o.Status.PodName))
			}
		}
		assert.NotEmpty(t, digest(t, "sampled:6.12.117_deb12-amd64"))
		signed(t, "sampled:"+kernel, module(kernel, "drv"), key, plain)
	})
	t.Run("StepActions", func(t *testing.T) {
		t.Parallel()
		must(t, readSample(t, "seal-image/samples/stepactions.yaml", "steps"), "create", "-n", "drivers", "-f", "-")
		o := done(t, "taskrun/steps", "steps")
		assert.Equal(t, digest(t, "drv:steps"), o.result("IMAGE_DIGEST"))
		mounts(t, o.Status.PodName)
	})
	t.Run("SeparatePods", func(t *testing.T) {
		t.Parallel()
		// Enforced only where the network plugin does; this node's does not.
		must(t, readSample(t, "sign-kmods/samples/networkpolicy.yaml", ""), "apply", "-n", "drivers", "-f", "-")
		volume(t)
		must(t, readSample(t, "sign-kmods/samples/separate-pods.yaml", "apart"), "create", "-n", "drivers", "-f", "-")
		done(t, "pipelinerun/apart", "apart")
		pod := must(t, "", "get", "pod", "-n", "drivers", "-l", "tekton.dev/pipelineTask=sign,tekton.dev/pipelineRun=apart", "-o", "yaml")
		assert.Contains(t, pod, "tekton.dev/task: sign-kmods", "the label that the NetworkPolicy selects")
		assert.NotContains(t, pod, "secretName: registry-auth")
		for _, other := range []string{"extract", "verify", "repack"} {
			assert.NotContains(t, must(t, "", "get", "pod", "-n", "drivers", "-l", "tekton.dev/pipelineTask="+other+",tekton.dev/pipelineRun=apart", "-o", "yaml"), "secretName: signing-key")
		}
	})
}

// volume is one for the claim of the sample; fsGroup has no hold on a hostPath, so it is open to all.
func volume(t *testing.T) {
	t.Helper()
	dir := filepath.Join(lab(), "run", "volume")
	require.NoError(t, os.MkdirAll(dir, 0o777))
	require.NoError(t, os.Chmod(dir, 0o777))
	must(t, fmt.Sprintf("apiVersion: v1\nkind: PersistentVolume\nmetadata: {name: kmods}\nspec:\n  capacity: {storage: 1Gi}\n"+
		"  accessModes: [ReadWriteOnce]\n  hostPath: {path: %s}\n", dir), "apply", "-f", "-")
}
