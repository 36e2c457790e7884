package report_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/report"
)

type issue struct {
	Description string
	CheckName   string `json:"check_name"`
	Fingerprint string
	Severity    string
	Location    struct {
		Path  string
		Lines struct{ Begin int }
	}
}

func issues(t *testing.T, r *report.Report) (all []issue) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(render(t, report.CodeQuality, r)))
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(&all))
	return all
}

func TestCodeQuality(t *testing.T) {
	t.Parallel()
	all := issues(t, sample())
	require.Len(t, all, 4)
	seen := map[string]bool{}
	for _, i := range all {
		assert.Regexp(t, `^[0-9a-f]{64}$`, i.Fingerprint)
		assert.False(t, seen[i.Fingerprint], "GitLab drops a second issue of the same fingerprint")
		seen[i.Fingerprint] = true
		assert.Equal(t, 1, i.Location.Lines.Begin)
		assert.NotContains(t, i.Location.Path, ":", "no scheme, no drive")
		assert.False(t, strings.HasPrefix(i.Location.Path, "/"))
	}
	assert.Equal(t, []string{"unsigned", "warning", "tampered", "warning"},
		[]string{all[0].CheckName, all[1].CheckName, all[2].CheckName, all[3].CheckName})
	assert.Equal(t, []string{"blocker", "minor", "blocker", "minor"},
		[]string{all[0].Severity, all[1].Severity, all[2].Severity, all[3].Severity})
	assert.Equal(t, "lib/bare.ko.xz", all[0].Location.Path)
	assert.Contains(t, all[0].Description, "Hint: sign it with sign-kmods")
	assert.Equal(t, all, issues(t, sample()), "the same in the next run")
}

func TestCodeQualityOfWhatLoadsIsAnEmptyList(t *testing.T) {
	t.Parallel()
	r := &report.Report{Modules: []report.Module{{Path: "a.ko", Verdict: "loads"}}}
	assert.Equal(t, "[]\n", render(t, report.CodeQuality, r))
}

// TestJUnitAttachesNothing: GitLab turns [[ATTACHMENT|path]] in the output of a
// test into a link.
func TestJUnitAttachesNothing(t *testing.T) {
	t.Parallel()
	const attachment = "[[ATTACHMENT|/etc/passwd]]"
	r := &report.Report{Modules: []report.Module{{
		Path: "a.ko", Verdict: "unsigned", Reason: "x", Hint: attachment, Signer: attachment, Warnings: []string{attachment},
	}}}
	out := render(t, report.JUnit, r)
	assert.NotContains(t, out, "[[ATTACHMENT")
	assert.Equal(t, 3, strings.Count(out, `[\x5bATTACHMENT|/etc/passwd]]`))
}
