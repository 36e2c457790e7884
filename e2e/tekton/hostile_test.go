//go:build e2e

package tekton_test

import (
	"archive/tar"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/e2e/sample"
	"github.com/kmodseal/kmodseal/pkg/kmodtest"
)

// hostileNames are names of modules that a step, Tekton, a CI or a page might take for something else.
func hostileNames() []string {
	return []string{
		"lib/a$(params.destination).ko",
		"lib/b$(results.IMAGE_URL.path).ko",
		"lib/c$(steps.plan.results.destination).ko",
		"lib/d$(workspaces.signing-key.path)$(context.taskRun.name).ko",
		"lib/e$(cat /workspace/signing-key/key);`id`|id.ko",
		"::set-output name=verdict::forged.ko",
		"lib/f%0A::add-mask::e2e.ko",
		"lib/g{{ .Values.x }}${HOME}$(HOME).ko",
		"lib/h|`x`<img src=x onerror=alert(1)>[l](javascript:alert(1)).ko",
		`lib/i","value":"forged"},{"name":"verdict.ko`,
		"-lib/--key=x.ko",
	}
}

// hostileRelease is what the modules say that they are built for: free text, too.
const hostileRelease = "6.1$(params.source)::set-output"

// hostile are images that try to get out of the data, into the results or onto the terminal.
func hostile(t *testing.T, key *sample.Key) {
	for name, c := range map[string]struct {
		entries func(*testing.T) []sample.Entry
		params  map[string]string
		step    string // that fails; empty: none
		code    int
		says    string // in the log
	}{
		"names":   {entries: modules(hostileRelease, hostileNames()...)},
		"control": {modules(kernel, "lib/a\n::set-output name=verdict::forged\n\x1b[31mred\x1b]0;title\a.ko"), nil, "extract", 3, "control characters"},
		"release": {modules("6.1\n::set-output name=verdict::forged\x1b[2J", "lib/a.ko"), nil, "extract", 3, "control characters"},
		"upwards": {modules(kernel, "lib/../../../workspace/x.ko"), nil, "extract", 3, "lib/../../../workspace/x.ko"},
		"link":    {escapingLink, nil, "extract", 3, ""},
		"signer":  {strangerSigned, map[string]string{"on-signed": "keep"}, "verify", 6, "Signer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			push(t, "hostile:"+name, c.entries(t))
			p := map[string]string{"source": registry + "/hostile:" + name, "destination": registry + "/hostile:" + name + "-signed"}
			for k, v := range c.params {
				p[k] = v
			}
			run := "hostile-" + name
			must(t, taskRun(run, "signing-cert", p), "create", "-n", "drivers", "-f", "-")
			o := await(t, "drivers", "taskrun/"+run)
			text := logs(t, "drivers", run)
			unharmed(t, run, text)
			if c.step == "" {
				require.True(t, o.ok(), "%s\n%s", o.message(), text)
				assert.Equal(t, digest(t, "hostile:"+name+"-signed"), o.result("IMAGE_DIGEST"))
				assert.Equal(t, "loads", o.result("verdict"))
				assert.Equal(t, fmt.Sprint(len(hostileNames())), o.result("signed-count"))
				assert.Equal(t, hostileRelease, o.result("kernel-releases"))
				for i, n := range hostileNames() {
					signed(t, "hostile:"+name+"-signed", n, key, kmodtest.Build(kmodtest.Spec{Name: fmt.Sprintf("m%d", i), Release: hostileRelease}))
				}
				return
			}
			assert.False(t, o.ok())
			assert.Equal(t, c.code, o.exit(c.step), "%s\n%s", o.message(), text)
			assert.Contains(t, text, c.says)
			assert.Empty(t, digest(t, "hostile:"+name+"-signed"))
		})
	}
}

// modules gives a layer of modules under the names as they are.
func modules(release string, names ...string) func(*testing.T) []sample.Entry {
	return func(*testing.T) []sample.Entry {
		var out []sample.Entry
		for i, n := range names {
			out = append(out, sample.Entry{Name: n, Mode: 0o640, Content: kmodtest.Build(kmodtest.Spec{Name: fmt.Sprintf("m%d", i), Release: release})})
		}
		return out
	}
}

// escapingLink would have a module written through a link to where the key is.
func escapingLink(*testing.T) []sample.Entry {
	return []sample.Entry{
		{Name: "lib", Type: tar.TypeSymlink, Link: "../../../workspace/signing-key"},
		{Name: "lib/key.ko", Type: tar.TypeLink, Link: "../../../workspace/signing-key/key"},
	}
}

// strangerSigned has a module by a signer whose name is markup and commands.
func strangerSigned(t *testing.T) []sample.Entry {
	stranger, err := sample.NewKey("Signer\n::set-output name=verdict::forged\n\x1b[31m<b>$(params.source)")
	require.NoError(t, err)
	content, err := stranger.Sign(kmodtest.Build(kmodtest.Spec{Name: "m", Release: kernel}))
	require.NoError(t, err)
	return []sample.Entry{{Name: "lib/m.ko", Mode: 0o640, Content: content}}
}

// unharmed: a TaskRun has the results that its Task declares and no other, nowhere in
// its status or its logs is there a control character, and no line of a log is a command of a CI.
func unharmed(t *testing.T, run, text string) {
	t.Helper()
	var all struct {
		Status map[string]any
	}
	raw := must(t, "", "get", "taskrun", "-n", "drivers", run, "-o", "json")
	require.NoError(t, json.Unmarshal([]byte(raw), &all))
	assert.Empty(t, controls(all.Status), "control characters in the status")
	assert.Empty(t, controls(text), "control characters in the log")
	conditions, _ := all.Status["conditions"].([]any)
	require.Len(t, conditions, 1)
	assert.Equal(t, "Succeeded", conditions[0].(map[string]any)["type"])
	task, err := os.ReadFile("../../tasks/seal-image/seal-image.yaml")
	require.NoError(t, err)
	results, _ := all.Status["results"].([]any)
	for _, r := range results {
		assert.Contains(t, string(task), fmt.Sprintf("- name: %s\n", r.(map[string]any)["name"]))
		assert.NotEqual(t, "forged", r.(map[string]any)["value"])
	}
	command := regexp.MustCompile(`(?m)^(\[[^]]*\] )?(::|##\[)`)
	assert.Empty(t, command.FindAllString(text, -1), "commands in the log")
}

// controls are the strings of a document with a character that steers a terminal.
func controls(v any) []string {
	var out []string
	switch v := v.(type) {
	case string:
		if strings.ContainsFunc(v, func(r rune) bool { return r != '\n' && unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }) {
			out = append(out, fmt.Sprintf("%q", v))
		}
	case []any:
		for _, e := range v {
			out = append(out, controls(e)...)
		}
	case map[string]any:
		for k, e := range v {
			out = append(append(out, controls(k)...), controls(e)...)
		}
	}
	return out
}
