//go:build e2e

package tekton_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/e2e/sample"
	"github.com/kmodseal/kmodseal/pkg/kmm"
	"github.com/kmodseal/kmodseal/pkg/kmodtest"
)

func TestTekton(t *testing.T) {
	ready(t)
	pushSteps(t)
	key, err := sample.NewKey("e2e driver signing (TEST KEY)")
	require.NoError(t, err)
	for _, ns := range []string{"drivers", "bundled"} {
		namespace(t, ns)
		secrets(t, ns, key)
	}
	restricted(t)
	tasks(t, "drivers")
	t.Run("SealImage", func(t *testing.T) { sealImage(t, key) })
	t.Run("Samples", func(t *testing.T) { samples(t, key) })
	t.Run("RealDriver", func(t *testing.T) { realDriver(t, key) })
	t.Run("Parallel", func(t *testing.T) { parallel(t, key) })
	t.Run("Failures", failures)
	t.Run("Hostile", func(t *testing.T) { hostile(t, key) })
	t.Run("Pipeline", func(t *testing.T) { pipeline(t, key) })
	t.Run("Bundle", bundled)
	t.Run("Refusals", refusals)
}

func params(kernel, destination string) map[string]string {
	return map[string]string{
		"source": registry + "/drv:" + kmm.Normalize(kernel) + "-unsigned", "destination": registry + "/" + destination,
		"kernel": kernel, "insecure": "true",
	}
}

const kernel = "6.1.0-56-amd64"

func sealImage(t *testing.T, key *sample.Key) {
	pushDriver(t, "drv", kernel)
	var first string
	for i, run := range []string{"seal-1", "seal-2"} {
		start, before := time.Now(), requests(t, "drv")
		must(t, taskRun(run, "signing-cert", params(kernel, "drv:one")), "create", "-n", "drivers", "-f", "-")
		o := await(t, "drivers", "taskrun/"+run)
		require.True(t, o.ok(), "%s\n%s", o.message(), logs(t, "drivers", run))
		asked := requests(t, "drv").since(before)
		t.Logf("%s took %v, %d reads and %d writes: %v", run, time.Since(start), asked.reads(), asked.writes(), asked)
		assert.Equal(t, registry+"/drv:one", o.result("IMAGE_URL"))
		assert.Equal(t, digest(t, "drv:one"), o.result("IMAGE_DIGEST"))
		assert.Equal(t, "2", o.result("signed-count"))
		assert.Equal(t, "loads", o.result("verdict"))
		assert.Equal(t, registry+"/drv:one@"+digest(t, "drv:one"), o.result("image-ref"))
		assert.JSONEq(t, fmt.Sprintf(`{"uri": "oci://%s/drv:%s-unsigned", "digest": %q}`, registry, kernel, digest(t, "drv:"+kernel+"-unsigned")),
			o.result("source_ARTIFACT_INPUTS"))
		if i == 0 {
			first = o.result("IMAGE_DIGEST")
			mounts(t, o.Status.PodName)
			continue
		}
		assert.Equal(t, first, o.result("IMAGE_DIGEST"))
		assert.Zero(t, asked.writes(), "the second run writes to the registry")
	}
	plain := kmodtest.Build(kmodtest.Spec{Name: "drv", Release: kernel, Pad: 50_000})
	signed(t, "drv:one", module(kernel, "drv"), key, plain)
}

const moduleYAML = `apiVersion: kmm.sigs.x-k8s.io/v1beta1
kind: Module
metadata: {name: drv, namespace: drivers}
spec:
  moduleLoader:
    container:
      modprobe: {moduleName: drv, modulesLoadingOrder: [drv, drv_helper]}
      kernelMappings:
        - regexp: '^6\..*$'
          containerImage: 10.200.0.1:5000/fleet:${KERNEL_FULL_VERSION}
          registryTLS: {insecure: true}
          sign:
            keySecret: {name: signing-key}
            certSecret: {name: signing-cert}
            unsignedImage: 10.200.0.1:5000/fleet:${KERNEL_FULL_VERSION}-unsigned
            unsignedImageRegistryTLS: {insecure: true}
            filesToSign:
              - /opt/lib/modules/${KERNEL_FULL_VERSION}/drv*.ko
  selector: {}
`

func pipeline(t *testing.T, key *sample.Key) {
	var kernels []string
	for i := range 8 {
		k := fmt.Sprintf("6.12.%d+deb12-amd64", i)
		kernels = append(kernels, k)
		pushDriver(t, "fleet", k)
	}
	configMap(t, "drv-module", moduleYAML)
	digests := map[string]string{}
	for _, run := range []string{"fleet-1", "fleet-2"} {
		start, before := time.Now(), requests(t, "fleet")
		must(t, pipelineRun(run, kernels), "create", "-n", "drivers", "-f", "-")
		o := await(t, "drivers", "pipelinerun/"+run)
		out, _ := kubectl(t, "", "logs", "-n", "drivers", "-l", "tekton.dev/pipelineRun="+run, "--all-containers", "--prefix", "--tail=-1")
		require.True(t, o.ok(), "%s\n%s", o.message(), out)
		asked := requests(t, "fleet").since(before)
		t.Logf("%s: 8 kernels in %v, %d reads and %d writes: %v", run, time.Since(start), asked.reads(), asked.writes(), asked)
		for _, k := range kernels {
			d := digest(t, "fleet:"+kmm.Normalize(k))
			require.NotEmpty(t, d, k)
			if run == "fleet-2" {
				assert.Equal(t, digests[k], d)
			}
			digests[k] = d
			signed(t, "fleet:"+kmm.Normalize(k), module(k, "drv_helper"), key, kmodtest.Build(kmodtest.Spec{Name: "drv_helper", Release: k, Pad: 50_000}))
		}
		assert.Contains(t, o.result("kernels"), kernels[7])
		index := logs(t, "drivers", run+"-summary")
		for _, k := range kernels {
			assert.Contains(t, o.result("images"), "/fleet:"+kmm.Normalize(k)+"@"+digests[k])
			assert.Contains(t, index, `"digest": "`+digests[k]+`"`)
		}
		if run == "fleet-2" {
			assert.Zero(t, asked.writes(), "the second run writes to the registry")
		}
		footprint(t, run)
	}
}

// configMap holds a Module for workspace module.
func configMap(t *testing.T, name, module string) {
	t.Helper()
	must(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: "+name+"}\ndata:\n  module.yaml: |\n    "+
		strings.ReplaceAll(strings.TrimSpace(module), "\n", "\n    ")+"\n", "apply", "-n", "drivers", "-f", "-")
}

func pipelineRun(name string, kernels []string) string {
	return "apiVersion: tekton.dev/v1\nkind: PipelineRun\nmetadata: {name: " + name + "}\nspec:\n  pipelineRef: {name: seal-driver}\n" +
		fmt.Sprintf("  params:\n    - {name: kernel, value: %q}\n", strings.Join(kernels, "\n")) +
		"  workspaces:\n    - {name: signing-key, secret: {secretName: signing-key}}\n    - {name: certificate, secret: {secretName: signing-cert}}\n" +
		"    - {name: module, configMap: {name: drv-module}}\n"
}

// refusals: what the webhook must not let in.
func refusals(t *testing.T) {
	good, err := os.ReadFile("../../tasks/seal-image/seal-image.yaml")
	require.NoError(t, err)
	for name, c := range map[string]struct{ old, new, message string }{
		"undeclared param": {"$(params.source)", "$(params.nope)", "nope"},
		"unknown field":    {"  steps:", "  stepz: []\n  steps:", "stepz"},
		"step name":        {"- name: sign\n", "- name: Sign_It\n", "DNS"},
		"workspace":        {"        - name: signing-key\n", "        - name: no-such\n", "no-such"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, string(good), c.old)
			out, err := kubectl(t, local(strings.Replace(string(good), c.old, c.new, 1)), "apply", "--dry-run=server", "-n", "drivers", "-f", "-")
			require.Error(t, err)
			assert.Contains(t, out, c.message)
		})
	}
}
