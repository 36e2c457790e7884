package report

import (
	"encoding/xml"
	"io"
	"strings"
)

// The JUnit form that GitLab, Jenkins and the like read: one suite a run, one
// case a module.
type (
	junitSuites struct {
		XMLName  xml.Name   `xml:"testsuites"`
		Tests    int        `xml:"tests,attr"`
		Failures int        `xml:"failures,attr"`
		Suite    junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"`
		Skipped  int         `xml:"skipped,attr"`
		Time     string      `xml:"time,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Name      string        `xml:"name,attr"`
		Classname string        `xml:"classname,attr"`
		File      string        `xml:"file,attr"`
		Time      string        `xml:"time,attr"`
		Failure   *junitFailure `xml:"failure,omitempty"`
		SystemOut string        `xml:"system-out,omitempty"`
	}
	junitFailure struct {
		Type    string `xml:"type,attr"`
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// JUnit writes r as JUnit XML; a module that would not load is a failure.
func JUnit(w io.Writer, r *Report) error {
	s := junitSuite{Name: r.Step, Tests: len(r.Modules), Time: "0"}
	for i := range r.Modules {
		m := &r.Modules[i]
		c := junitCase{Name: Plain(m.Path), Classname: Plain(classname(r, m)), File: Plain(m.Path), Time: "0"}
		if m.Bad() {
			s.Failures++
			c.Failure = &junitFailure{Type: m.Verdict, Message: Plain(m.Reason), Text: unattached(details(m))}
		}
		c.SystemOut = unattached(strings.Join(append(lines("warning: ", m.Warnings), lines("not checked: ", m.Unchecked)...), "\n"))
		s.Cases = append(s.Cases, c)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(junitSuites{Tests: s.Tests, Failures: s.Failures, Suite: s}); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// unattached breaks the marks by which GitLab and Jenkins make a link to a file out
// of a test's output: [[ATTACHMENT|path]].
func unattached(s string) string { return strings.ReplaceAll(s, "[[", `[\x5b`) }

func classname(r *Report, m *Module) string {
	if m.Platform != "" {
		return r.Step + "." + m.Platform
	}
	return r.Step
}

// details is what is known of a module that would not load, a line each.
func details(m *Module) string {
	var out []string
	for _, l := range [][2]string{
		{"kernel: ", kernelLine(m)},
		{"signer: ", m.Signer},
		{"built for: ", m.Kernel},
		{"hint: ", m.Hint},
	} {
		if l[1] != "" {
			out = append(out, l[0]+Plain(l[1]))
		}
	}
	return strings.Join(out, "\n")
}

func lines(head string, in []string) []string {
	out := make([]string, 0, len(in))
	for _, s := range in {
		out = append(out, head+Plain(s))
	}
	return out
}
