package ci

import (
	"fmt"
	"strings"

	"github.com/sethvargo/go-githubactions"

	"github.com/kmodseal/kmodseal/pkg/report"
)

// delimiter ends a value in GitHub's command files. go-githubactions has this
// one for every call, so a value that held it could forge further outputs.
const delimiter = "_GitHubActionsFileCommandDelimeter_"

// Annotation is an error or warning that GitHub shows beside a run.
type Annotation struct {
	File    string // path, empty: none
	Title   string
	Message string
	Hints   []string
}

// github is the library's view of the host. Commands go to stderr, which the
// runner reads as well as stdout: stdout stays what the user asked for.
func (h *Host) github() *githubactions.Action {
	return githubactions.New(
		githubactions.WithWriter(h.Commands),
		githubactions.WithGetenv(func(name string) string { v, _ := h.Getenv(name); return v }),
	)
}

func (h *Host) onGitHub() bool {
	v, _ := h.Getenv("GITHUB_ACTIONS")
	return v == "true"
}

// outputs needs GITHUB_OUTPUT set; without it the library panics.
func (h *Host) outputs(results Results) (err error) {
	defer recovered(&err)
	for _, r := range results {
		if strings.Contains(r.Value, delimiter) {
			return fmt.Errorf("output %s: value holds GitHub's delimiter", r.Name)
		}
	}
	action := h.github()
	for _, r := range results {
		action.SetOutput(r.Name, r.Value)
	}
	return nil
}

// Summary adds Markdown to the job summary, where there is one.
func (h *Host) Summary(markdown string) (err error) {
	if !h.has("GITHUB_STEP_SUMMARY") {
		return nil
	}
	defer recovered(&err)
	h.github().AddStepSummary(markdown)
	return nil
}

// Error annotates the run with an error.
func (h *Host) Error(a Annotation) error { return h.annotate(a, (*githubactions.Action).Errorf) }

// Warning annotates the run with a warning.
func (h *Host) Warning(a Annotation) error { return h.annotate(a, (*githubactions.Action).Warningf) }

func (h *Host) annotate(a Annotation, print func(*githubactions.Action, string, ...any)) (err error) {
	if !h.onGitHub() {
		return nil
	}
	defer recovered(&err)
	fields := map[string]string{}
	if a.Title != "" {
		fields["title"] = report.Plain(a.Title)
	}
	if a.File != "" {
		fields["file"] = report.Plain(a.File)
	}
	lines := []string{report.Plain(a.Message)}
	for _, hint := range a.Hints {
		lines = append(lines, "hint: "+report.Plain(hint))
	}
	print(h.github().WithFieldsMap(fields), "%s", strings.Join(lines, "\n"))
	return nil
}

// Mask asks GitHub to hide a secret in the logs of the job, line by line: a
// mask of several lines hides none of them by itself. Elsewhere it does
// nothing, so that the secret is not printed at all.
func (h *Host) Mask(secret string) (err error) {
	if !h.onGitHub() {
		return nil
	}
	defer recovered(&err)
	for line := range strings.Lines(secret) {
		if line = strings.TrimSpace(line); line != "" {
			h.github().AddMask(line)
		}
	}
	return nil
}

// recovered turns the library's panics into errors.
func recovered(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("github: %v", p)
	}
}
