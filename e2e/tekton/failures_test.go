//go:build e2e

package tekton_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/e2e/sample"
	"github.com/kmodseal/kmodseal/pkg/kmodtest"
)

// older are the images that the destinations of failing runs hold before.
type older map[string]string

// failures leave the destination's tag where it was, and say what went wrong.
func failures(t *testing.T) {
	pushDriver(t, "drv", kernel)
	was := older{}
	for _, ref := range []string{"drv:fail", "broken/drv:fail"} {
		was[ref] = pushOlder(t, ref)
	}
	was.stopped(t)
	t.Run("no-secret", was.noSecret)
	t.Run("oom", was.outOfMemory)
	t.Run("left-over", was.leftOver)
	for name, how := range map[string]string{"pod-forced": "--force", "pod-deleted": "--wait=false"} {
		t.Run(name, func(t *testing.T) { podGone(t, name, how) })
	}
}

func pushOlder(t *testing.T, ref string) string {
	t.Helper()
	push(t, ref, []sample.Entry{{Name: "an-older-image", Mode: 0o640}})
	d := digest(t, ref)
	require.NotEmpty(t, d)
	return d
}

func (was older) untouched(t *testing.T) {
	t.Helper()
	for ref, d := range was {
		assert.Equal(t, d, digest(t, ref), ref)
	}
}

// failing are the parameters of a run to one of the older images.
func failing(extra map[string]string) map[string]string {
	p := params(kernel, "drv:fail")
	for k, v := range extra {
		p[k] = v
	}
	return p
}

// stopped by a step that says why.
func (was older) stopped(t *testing.T) {
	for name, c := range map[string]struct {
		cert, step string
		params     map[string]string
		code       int
		message    string
	}{
		"key-and-cert":   {"other-cert", "sign", failing(nil), 4, "certificate"},
		"wrong-kernel":   {"signing-cert", "verify", failing(map[string]string{"kernel": "6.12.0-1-amd64", "source": registry + "/drv:" + kernel + "-unsigned"}), 8, "would not load"},
		"no-source":      {"signing-cert", "extract", failing(map[string]string{"source": registry + "/drv:absent"}), 9, "absent"},
		"no-match":       {"signing-cert", "extract", failing(map[string]string{"include": "/opt/none/*.ko"}), 3, "none"},
		"broken-push":    {"signing-cert", "repack", failing(map[string]string{"destination": registry + "/broken/drv:fail"}), 9, "broken/drv"},
		"unknown-var":    {"signing-cert", "plan", failing(map[string]string{"destination": registry + "/drv:${KERNEL}"}), 3, "not set"},
		"unreachable":    {"signing-cert", "extract", failing(map[string]string{"source": "10.200.0.1:5999/drv:x"}), 9, "5999"},
		"bad-hash-value": {"signing-cert", "sign", failing(map[string]string{"hash": "md5"}), 2, "md5"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			must(t, taskRun(name, c.cert, c.params), "create", "-n", "drivers", "-f", "-")
			o := await(t, "drivers", "taskrun/"+name)
			assert.False(t, o.ok())
			assert.Equal(t, c.code, o.exit(c.step), o.message())
			assert.Contains(t, logs(t, "drivers", name), c.message)
			was.untouched(t)
		})
	}
}

func (was older) noSecret(t *testing.T) {
	t.Parallel()
	y := taskRun("no-secret", "absent", failing(nil)) + "  timeout: 20s\n"
	must(t, y, "create", "-n", "drivers", "-f", "-")
	o := await(t, "drivers", "taskrun/no-secret")
	assert.False(t, o.ok())
	assert.Equal(t, "TaskRunTimeout", o.Status.Conditions[0].Reason, o.message())
	assert.Contains(t, o.message(), `failed to finish within "20s"`)
	events := must(t, "", "get", "events", "-n", "drivers", "--field-selector", "involvedObject.name=no-secret-pod")
	assert.Contains(t, events, `secret "absent" not found`)
	was.untouched(t)
}

// outOfMemory: a module too large for the memory that a step may have, and large enough for what it has by default.
// Tekton's entrypoint gives 255 for a program that a signal ends; where it is ended itself, the code is 137.
func (was older) outOfMemory(t *testing.T) {
	t.Parallel()
	push(t, "drv:large", []sample.Entry{{Name: module(kernel, "large"), Mode: 0o640, Content: kmodtest.Build(kmodtest.Spec{Name: "large", Release: kernel, Pad: 40 << 20})}})
	p := failing(map[string]string{"source": registry + "/drv:large"})
	must(t, taskRun("oom", "signing-cert", p)+
		"  stepSpecs:\n    - {name: sign, computeResources: {requests: {memory: 32Mi}, limits: {memory: 32Mi}}}\n", "create", "-n", "drivers", "-f", "-")
	o := await(t, "drivers", "taskrun/oom")
	assert.False(t, o.ok())
	assert.Equal(t, 0, o.exit("extract"), o.message())
	assert.Contains(t, []int{137, 255}, o.exit("sign"), o.message())
	assert.Regexp(t, `^"step-sign" exited with code (137|255)`, o.message())
	was.untouched(t)

	p["destination"] = registry + "/drv:large-signed"
	must(t, taskRun("room", "signing-cert", p), "create", "-n", "drivers", "-f", "-")
	o = await(t, "drivers", "taskrun/room")
	assert.True(t, o.ok(), o.message())
}

// leftOver: the Module loads two modules and signs one of them.
func (was older) leftOver(t *testing.T) {
	t.Parallel()
	configMap(t, "left-over", strings.NewReplacer("drv*.ko", "drv.ko", "/fleet:${KERNEL_FULL_VERSION}\n", "/drv:fail\n",
		"/fleet:${KERNEL_FULL_VERSION}-", "/drv:${KERNEL_FULL_VERSION}-").Replace(moduleYAML))
	must(t, taskRun("left-over", "signing-cert", map[string]string{"kernel": kernel})+"    - {name: module, configMap: {name: left-over}}\n", "create", "-n", "drivers", "-f", "-")
	o := await(t, "drivers", "taskrun/left-over")
	assert.False(t, o.ok())
	assert.Equal(t, 3, o.exit("verify"), o.message())
	assert.Contains(t, logs(t, "drivers", "left-over"), "module drv_helper is required")
	was.untouched(t)
}

// podGone: a pod goes while its first steps run. Where Tekton starts another, the run ends as if nothing had been.
func podGone(t *testing.T, name, how string) {
	t.Parallel()
	pushDriver(t, "slow/"+name, kernel)
	old := pushOlder(t, "drv:"+name)
	must(t, taskRun(name, "signing-cert", failing(map[string]string{
		"source": registry + "/slow/" + name + ":" + kernel + "-unsigned", "destination": registry + "/drv:" + name,
	})), "create", "-n", "drivers", "-f", "-")
	require.Eventually(t, func() bool { return requests(t, "slow/"+name)["GET manifests"] > 0 }, 4*time.Minute, 200*time.Millisecond)
	first := uid(t, name+"-pod")
	must(t, "", "delete", "pod", "-n", "drivers", name+"-pod", how)
	o := await(t, "drivers", "taskrun/"+name)
	t.Log(o.message())
	if !o.ok() {
		assert.Equal(t, old, digest(t, "drv:"+name))
		return
	}
	assert.NotEqual(t, first, uid(t, name+"-pod"))
	assert.Equal(t, o.result("IMAGE_DIGEST"), digest(t, "drv:"+name))
	assert.NotEqual(t, old, digest(t, "drv:"+name))
}

// uid tells a pod from another of the same name.
func uid(t *testing.T, pod string) string {
	t.Helper()
	return must(t, "", "get", "pod", "-n", "drivers", pod, "-o", "jsonpath={.metadata.uid}", "--ignore-not-found")
}
