//go:build e2e

// Package github runs the actions and the reusable workflow with act, without
// a container engine.
package github

import (
	"encoding/json"
	"os"
	"path/filepath"
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
	log := p.act(t, "seal", 0)
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
	assert.Contains(t, log, "Summary - ")
	assert.Contains(t, log, "sample_plain.ko")
	assert.Contains(t, log, "careless: ***")
	assert.NotContains(t, log, "::error")
	var sarif struct{ Runs []any }
	p.result(t, "report.sarif", &sarif)
	assert.Len(t, sarif.Runs, 1)
}

func (p *project) fail(t *testing.T) {
	log := p.act(t, "fail", 0)
	var steps map[string]struct{ Outcome, Conclusion string }
	p.result(t, "steps.json", &steps)
	for _, c := range []struct{ step, code, annotation string }{
		{"unsigned", "5", "title=unsigned"},
		{"unknown", "6", "title=unavailable-key"},
		{"pair", "4", "title=sign-kmods"},
		{"nokey", "4", "title=sign-kmods"},
		{"none", "3", "title=extract-kmods"},
		{"missing", "2", "title=extract-kmods"},
	} {
		assert.Equal(t, "failure", steps[c.step].Outcome, c.step)
		assert.Contains(t, log, "exit status "+c.code+"\n", c.step)
		assert.Contains(t, log, c.annotation, c.step)
		if c.step != "unsigned" {
			assert.Empty(t, p.lab.Digest(t, "driver:"+c.step), "nothing is published")
		}
	}
	assert.Contains(t, log, "hint: ")
}

func (p *project) matrix(t *testing.T) {
	log := p.act(t, "matrix", 0)
	for _, k := range cilab.Kernels {
		assert.NotEmpty(t, p.lab.Digest(t, "matrix:"+k), k)
	}
	assert.Contains(t, log, "seal-driver: success")
	assert.Contains(t, log, "4 jobs")
}

func (p *project) hostile(t *testing.T) {
	log := p.act(t, "hostile", 0)
	var steps map[string]struct {
		Outcome string
		Outputs map[string]string
	}
	p.result(t, "hostile.json", &steps)
	assert.Equal(t, "success", steps["seal"].Outcome)
	assert.Equal(t, "failure", steps["verify"].Outcome)
	assert.Equal(t, "failure", steps["control"].Outcome, "control characters are refused")
	assert.Equal(t, p.lab.Digest(t, "hostile:signed"), steps["seal"].Outputs["digest"])
	for _, s := range steps {
		assert.NotContains(t, s.Outputs, "forged")
	}
	assert.Contains(t, log, "not-a-mask: hello", "a name in the image is no mask")
	for line := range strings.Lines(log) {
		if !strings.HasPrefix(line, "[") { // the summary
			assert.NotContains(t, line, "<img")
		}
	}
	_, err := os.Stat(filepath.Join(p.dir, "forged"))
	assert.ErrorIs(t, err, os.ErrNotExist)
}

func (p *project) steps(t *testing.T) {
	p.act(t, "steps", 0)
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
