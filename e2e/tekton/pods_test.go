//go:build e2e

package tekton_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/e2e/sample"
	"github.com/kmodseal/kmodseal/pkg/kmodtest"
)

// pod is what is looked at of one.
type pod struct {
	Spec struct {
		Volumes []struct {
			Name      string
			Secret    struct{ SecretName string }
			Projected struct{ Sources []map[string]any }
		}
		InitContainers, Containers []struct {
			Name            string
			VolumeMounts    []struct{ Name string }
			SecurityContext struct{ ReadOnlyRootFilesystem bool }
		}
	}
}

// secretsOf says which containers mount a Secret, whatever the path, and which the API server's token.
func secretsOf(t *testing.T, name string) map[string][]string {
	t.Helper()
	var p pod
	require.NoError(t, json.Unmarshal([]byte(must(t, "", "get", "pod", "-n", "drivers", name, "-o", "json")), &p))
	held := map[string]string{}
	for _, v := range p.Spec.Volumes {
		held[v.Name] = v.Secret.SecretName
		for _, s := range v.Projected.Sources {
			if s["serviceAccountToken"] != nil {
				held[v.Name] = "API token"
			}
		}
	}
	has := map[string][]string{}
	for _, c := range append(p.Spec.InitContainers, p.Spec.Containers...) {
		if strings.HasPrefix(c.Name, "step-") {
			assert.True(t, c.SecurityContext.ReadOnlyRootFilesystem, c.Name)
		}
		for _, m := range c.VolumeMounts {
			if s := held[m.Name]; s != "" {
				has[s] = append(has[s], c.Name)
			}
		}
	}
	return has
}

// mounts: the key only where modules are signed, credentials only where a registry is, the API
// server's token, which the samples and taskRun leave out, nowhere.
func mounts(t *testing.T, name string) {
	t.Helper()
	assert.Equal(t, map[string][]string{
		"signing-key":   {"step-sign"},
		"registry-auth": {"step-extract", "step-repack"},
		"signing-cert":  {"step-sign", "step-verify", "step-repack"},
	}, secretsOf(t, name))
}

// restricted: the namespace would not let in a pod that wants more.
func restricted(t *testing.T) {
	t.Helper()
	out, err := kubectl(t, "", "run", "loose", "-n", "drivers", "--image=localhost/shell:1", "--image-pull-policy=Never")
	require.Error(t, err)
	assert.Contains(t, out, `violates PodSecurity "restricted`)
}

// parallel runs, one of them with a Secret of type kubernetes.io/tls, two of them to one destination and
// two more that fail on it, all come to what they would come to alone.
func parallel(t *testing.T, key *sample.Key) {
	pushDriver(t, "drv", kernel)
	alone := digest(t, "drv:one")
	require.NotEmpty(t, alone)
	tls := strings.NewReplacer("secretName: signing-key", "secretName: tls-pair",
		"secretName: signing-cert", "secretName: tls-pair, items: [{key: tls.crt, path: tls.crt}]")
	runs := map[string]struct{ cert, to, kernel string }{
		"par-a": {"signing-cert", "par-a", kernel}, "par-tls": {"signing-cert", "par-tls", kernel},
		"par-same-1": {"signing-cert", "par-same", kernel}, "par-same-2": {"signing-cert", "par-same", kernel},
		"par-other-cert": {"other-cert", "par-same", kernel}, "par-other-kernel": {"signing-cert", "par-a", "6.1.0-1-amd64"},
	}
	for name, r := range runs {
		p := params(kernel, "drv:"+r.to)
		p["kernel"] = r.kernel
		y := taskRun(name, r.cert, p)
		if name == "par-tls" {
			y = tls.Replace(y)
		}
		must(t, y, "create", "-n", "drivers", "-f", "-")
	}
	for name, r := range runs {
		o := await(t, "drivers", "taskrun/"+name)
		if strings.HasPrefix(name, "par-other-") {
			assert.False(t, o.ok(), name)
			continue
		}
		require.True(t, o.ok(), "%s: %s\n%s", name, o.message(), logs(t, "drivers", name))
		assert.Equal(t, []string{alone, alone}, []string{o.result("IMAGE_DIGEST"), digest(t, "drv:"+r.to)}, name)
	}
	signed(t, "drv:par-tls", module(kernel, "drv"), key, kmodtest.Build(kmodtest.Spec{Name: "drv", Release: kernel, Pad: 50_000}))
}
