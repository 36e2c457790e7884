package report

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
)

// issue is an element of GitLab's code quality report (GitLab docs: Code
// Quality, "Code Quality report format"), a part of Code Climate's.
type issue struct {
	Description string        `json:"description"`
	CheckName   string        `json:"check_name"`  // the verdict, or "warning"
	Fingerprint string        `json:"fingerprint"` // the same in the next run, so that GitLab shows what changed
	Severity    string        `json:"severity"`
	Location    issueLocation `json:"location"`
}

type issueLocation struct {
	Path  string     `json:"path"` // in the image, without leading slash
	Lines issueLines `json:"lines"`
}

type issueLines struct {
	Begin int `json:"begin"` // a module has no lines: 1
}

// CodeQuality writes what is wrong in r as GitLab's code quality report: an
// issue for each module that would not load (blocker) and for each warning (minor).
func CodeQuality(w io.Writer, r *Report) error {
	issues := []issue{} // an empty report is [], not null
	for i := range r.Modules {
		m := &r.Modules[i]
		if m.Bad() {
			issues = append(issues, m.issue(m.Verdict, "blocker", sentence(m)))
		}
		for _, text := range m.Warnings {
			issues = append(issues, m.issue("warning", "minor", Plain(text)))
		}
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(issues)
}

func (m *Module) issue(check, severity, text string) issue {
	id := sha256.Sum256([]byte(check + "\x00" + m.Platform + "\x00" + m.Path + "\x00" + text))
	return issue{
		Description: text, CheckName: check, Severity: severity, Fingerprint: hex.EncodeToString(id[:]),
		Location: issueLocation{Path: fileURI(m.Path), Lines: issueLines{Begin: 1}},
	}
}
