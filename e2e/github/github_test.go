//go:build e2e

// Package github runs the actions and the reusable workflow with act, without
// a container engine.
package github

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/e2e/cilab"
)

func TestActions(t *testing.T) {
	p := newProject(t)
	p.lab.TestNoKeyFinds(t)
	t.Run("seal", p.seal)
	t.Run("fail", p.fail)
	t.Run("matrix", p.matrix)
	t.Run("hostile", p.hostile)
	t.Run("steps", p.steps)
}

func (p *project) seal(t *testing.T) {
	log := p.act(t, "seal")
	digest := p.lab.Digest(t, "driver:signed")
	require.NotEmpty(t, digest)
	var out map[string]string
	p.result(t, "seal.json", &out)
	for name, want := range map[string]string{
		"image": p.lab.Registry + "/driver:signed", "digest": digest, "verdict": "loads", "report": "report.sarif",
		"source-digest": p.lab.Digest(t, "driver:unsigned"), "kernel-releases": "6.1.0-sample+1",
		"module-count": "10", "signed-count": "10", "signer": "Test key of the runners, throw away",
	} {
		assert.Equal(t, want, out[name], name)
	}
	assert.Regexp(t, `^[0-9a-f]{64}$`, out["cert-fingerprint"])
	got, err := os.ReadFile(filepath.Join(p.results, "digest"))
	require.NoError(t, err)
	assert.Equal(t, digest, string(got), "the output of the job")
	assert.Empty(t, log.errors())
	verdicts, published := log.step("seal", "verify").summary(), log.step("seal", "repack").summary()
	assert.Contains(t, verdicts, "/sample&#95;plain.ko | linux/amd64 | 6.1.0-sample+1 | Test key of the runners, throw away | loads |")
	assert.Contains(t, published, strings.ReplaceAll(digest, ":", "&#58;"))
	assert.Empty(t, log.step("seal", "extract").summary()+log.step("seal", "sign").summary(), "two tables a job are enough")
	assert.Equal(t, strings.Split(strings.TrimSpace(string(p.lab.Key)), "\n"), log.step("seal", "sign").masks())
	assert.Regexp(t, "(?s)::group::sign-kmods\n.*::endgroup::\n", log.step("seal", "sign").text())
	assert.Contains(t, log.step("careless").text(), "\ncareless: ***\n")
	var sarif struct{ Runs []any }
	p.result(t, "report.sarif", &sarif)
	assert.Len(t, sarif.Runs, 1)
}

func (p *project) fail(t *testing.T) {
	log := p.act(t, "fail")
	var steps map[string]struct{ Outcome, Conclusion string }
	p.result(t, "steps.json", &steps)
	for _, c := range []struct{ step, inner, code, file, title, message, hint string }{
		{"unsigned", "run", "5", "sample_plain.ko", "unsigned", "the module has no signature", "sign-kmods --key KEY --cert CERT FILE"},
		{"unsigned", "run", "5", "", "verify-kmods", "10 of 10 modules would not load", ""},
		{"unknown", "verify", "6", "sample_plain.ko", "unavailable-key", "certificate is in no keyring", "mokutil --import"},
		{"unknown", "verify", "6", "", "verify-kmods", "10 of 10 modules would not load", ""},
		{"pair", "sign", "4", "", "sign-kmods", "other.pem", "a"},
		{"nokey", "sign", "4", "", "sign-kmods", "SIGNING_KEY", "a"},
		{"none", "run", "3", "", "extract-kmods", "no module", ""},
		{"missing", "extract", "2", "", "extract-kmods", "--source", ""},
	} {
		t.Run(c.step+" "+c.title, func(t *testing.T) {
			of := log.step(c.step)
			assert.Equal(t, "failure", steps[c.step].Outcome)
			assert.Equal(t, []string{c.code}, of.exits())
			assert.Equal(t, of.errors(), log.step(c.step, c.inner).errors(), "one of its commands fails, none after it runs")
			var found []string
			for _, a := range of.errors() {
				if a.title == c.title && strings.HasSuffix(a.file, c.file) {
					found = append(found, a.message)
				}
			}
			require.NotEmpty(t, found, of.text())
			assert.Contains(t, found[0], c.message)
			if c.hint != "" {
				assert.Contains(t, found[0], "\nhint: ")
				assert.Contains(t, found[0], c.hint)
			}
			if c.file == "" {
				assert.Len(t, found, 1, "the step's own error is told once")
			}
			if c.step != "unsigned" {
				assert.Empty(t, p.lab.Digest(t, "driver:"+c.step), "nothing is published")
			}
		})
	}
}

func (p *project) matrix(t *testing.T) {
	log := p.act(t, "matrix")
	var got, want []image
	p.result(t, "images.json", &got)
	for _, k := range cilab.Kernels {
		digest := p.lab.Digest(t, "matrix:"+k)
		assert.NotEmpty(t, digest, k)
		want = append(want, image{"driver", k, p.lab.Registry + "/matrix:" + k, digest})
		assert.Contains(t, log.summary(), digest)
	}
	assert.ElementsMatch(t, want, got)
	assert.Contains(t, log.summary(), "seal-driver: success")
	assert.Contains(t, log.summary(), "4 jobs")
}

// image is an element of the output images of the reusable workflow.
type image struct{ Module, Kernel, Image, Digest string }

func (p *project) hostile(t *testing.T) {
	log := p.act(t, "hostile")
	var steps map[string]struct {
		Outcome string
		Outputs map[string]string
	}
	p.result(t, "hostile.json", &steps)
	for step, outcome := range map[string]string{
		"seal": "success", "verify": "failure", "control": "failure", "delimiter": "failure",
	} {
		assert.Equal(t, outcome, steps[step].Outcome, step)
		assert.Subset(t, p.outputs(), slices.Collect(maps.Keys(steps[step].Outputs)), step)
	}
	assert.Equal(t, p.lab.Digest(t, "hostile:signed"), steps["seal"].Outputs["digest"])
	assert.Equal(t, strconv.Itoa(p.lab.Hostile), steps["seal"].Outputs["module-count"])
	assert.Equal(t, []string{"3"}, log.step("control").exits(), "control characters are refused")
	assert.Empty(t, steps["delimiter"].Outputs["kernel-releases"])
	for _, step := range []string{"verify", "control", "delimiter"} {
		assert.Empty(t, log.step(step).masks(), step)
	}
	assert.NotContains(t, log.step("seal", "sign").masks(), "hello")
	assert.Contains(t, log.text(), "not-a-mask: hello", "a name in the image is no mask")
	assert.NotContains(t, log.text(), "\x1b[31mred")
	assert.NotContains(t, log.text(), "##[add-mask]", "GitHub's runner, unlike act, takes it for a command anywhere in a line")
	for _, markup := range []string{"<img", "<b>", "](", "`", "www.", "@team"} {
		assert.NotContains(t, log.summary(), markup)
	}
	assert.Contains(t, log.step("verify").summary(), "&#60;img src&#61;x onerror&#61;alert&#40;1&#41;&#62;")
	assert.Contains(t, log.step("verify").text(), "Signer\ufffd::add-mask::hello")
	_, err := os.Stat(filepath.Join(p.dir, "forged"))
	assert.ErrorIs(t, err, os.ErrNotExist)
}

// outputs are the names that the actions declare, none of which is forged.
func (p *project) outputs() []string {
	return []string{
		"image", "digest", "source-digest", "kernel-releases", "module-count", "signed-count",
		"signer", "cert-fingerprint", "verdict", "report",
	}
}

func (p *project) steps(t *testing.T) {
	p.act(t, "steps")
	var steps map[string]struct{ Outputs map[string]string }
	p.result(t, "each.json", &steps)
	assert.Equal(t, "1", steps["plan"].Outputs["job-count"])
	assert.Equal(t, "10", steps["extract"].Outputs["module-count"])
	assert.Equal(t, "10", steps["sign"].Outputs["signed-count"])
	assert.Equal(t, "loads", steps["verify"].Outputs["verdict"])
	assert.Equal(t, "2", steps["again"].Outputs["signed-count"])
	digest := steps["repack"].Outputs["digest"]
	assert.NotEmpty(t, digest)
	for _, tag := range []string{"steps", "one", "two"} {
		assert.Equal(t, digest, p.lab.Digest(t, "driver:"+tag))
	}
}

func (p *project) result(t *testing.T, file string, v any) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(p.results, file))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, v), strings.TrimSpace(string(b)))
}
