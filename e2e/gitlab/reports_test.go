//go:build e2e

package gitlab

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/e2e/cilab"
)

// validate holds a report to the schema of its form: SARIF's own, and what GitLab
// takes as JUnit and as code quality.
func validate(t *testing.T, file string) (complaint string, err error) {
	t.Helper()
	root := cilab.Root(t)
	npm := filepath.Join(root, ".cache/npm/node_modules")
	json := func(schema string) *exec.Cmd {
		return exec.Command(npm+"/.bin/node", root+"/e2e/gitlab/schemas/validate.js", npm, schema, file)
	}
	var cmd *exec.Cmd
	switch {
	case strings.HasSuffix(file, ".xml"):
		cmd = exec.Command("xmllint", "--noout", "--nonet", "--schema", root+"/e2e/gitlab/schemas/junit.xsd", file)
	case strings.HasSuffix(file, ".sarif"):
		cmd = json(npm + "/@microsoft/jest-sarif/lib/schemas/sarif-2.1.0-rtm.5.json")
	default:
		cmd = json(root + "/e2e/gitlab/schemas/codequality.json")
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// reports: of hostile names, of what does not load, and of nothing wrong.
func (p *project) reports(t *testing.T) {
	cilab.Write(t, p.dir, "signing.pem", p.lab.Cert)
	for _, c := range []struct{ image, code string }{
		{"hostile:1", "exit status 5"},
		{"driver:unsigned", "exit status 5"},
		{"driver:signed", ""},
	} {
		t.Run(c.image, func(t *testing.T) {
			dir := t.TempDir()
			files := []string{dir + "/r.xml", dir + "/r.sarif", dir + "/r.codequality.json"}
			cmd := exec.Command(p.lab.Bin+"/verify-kmods", "--source", p.lab.Registry+"/"+c.image, "--insecure",
				"--trust", p.dir+"/signing.pem", "--report", strings.Join(files, ","))
			out, err := cmd.CombinedOutput()
			if c.code == "" {
				require.NoError(t, err, string(out))
			} else {
				require.EqualError(t, err, c.code, string(out))
			}
			for _, f := range files {
				complaint, err := validate(t, f)
				assert.NoError(t, err, "%s: %s", f, complaint)
			}
		})
	}
}

// TestSchemasRefuse: a schema that takes anything proves nothing.
func TestSchemasRefuse(t *testing.T) {
	const (
		suite   = `<testsuites><testsuite name="s" tests="1" failures="0">%</testsuite></testsuites>`
		issue   = `[{"description": "d", "check_name": "c", "fingerprint": "f", "severity": "minor", "location": {"path": "p", "lines": {"begin": 1}}}]`
		results = `{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "x"}}, "results": [{"message": {"text": "m"}}]}]}`
	)
	for name, c := range map[string]struct {
		file, text, old, new string
		valid                bool
	}{
		"junit":                      {"a.xml", suite, "%", `<testcase name="n" classname="c"/>`, true},
		"junit without a name":       {"a.xml", suite, "%", `<testcase classname="c"/>`, false},
		"junit with a word for time": {"a.xml", suite, "%", `<testcase name="n" classname="c" time="long"/>`, false},
		"junit of another tag":       {"a.xml", suite, "%", `<test name="n"/>`, false},
		"junit with a bare failure":  {"a.xml", suite, "%", `<testcase name="n" classname="c"><failure/></testcase>`, false},
		"no xml":                     {"a.xml", suite, "%", `<`, false},
		"issue":                      {"a.codequality.json", issue, "%", "", true},
		"issue without fingerprint":  {"a.codequality.json", issue, `"fingerprint": "f", `, "", false},
		"issue of another severity":  {"a.codequality.json", issue, `minor`, "error", false},
		"issue with an absolute path": {
			"a.codequality.json", issue, `"path": "p"`, `"path": "/p"`, false,
		},
		"issue on line 0":            {"a.codequality.json", issue, `"begin": 1`, `"begin": 0`, false},
		"no list":                    {"a.codequality.json", issue, issue, "null", false},
		"sarif":                      {"a.sarif", results, "%", "", true},
		"sarif without message":      {"a.sarif", results, `"message": {"text": "m"}`, "", false},
		"sarif of another version":   {"a.sarif", results, "2.1.0", "2.0.0", false},
		"sarif of an unknown level":  {"a.sarif", results, `"message"`, `"level": "fatal", "message"`, false},
		"sarif with a field of ours": {"a.sarif", results, `"message"`, `"ours": 1, "message"`, false},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), c.file)
			require.NoError(t, os.WriteFile(file, []byte(strings.Replace(c.text, c.old, c.new, 1)), 0o600))
			complaint, err := validate(t, file)
			if c.valid {
				require.NoError(t, err, complaint)
			} else {
				require.Error(t, err)
				assert.NotContains(t, complaint, "Cannot find module")
			}
		})
	}
}
