//go:build e2e

package github

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

// entry is a line of act's log (--json), as far as it is looked at.
type entry struct {
	Msg     string            // what act prints without --json, masked
	Command string            // workflow command: error, add-mask, set-output ...; empty: none
	Arg     string            // of the command; of add-mask it is in the clear
	Content string            // of summary
	Stage   string            // Pre, Main or Post
	StepID  []string          // step of the workflow, then of the composite action
	Fields  map[string]string `json:"kvPairs"` // title, file ...
}

// runLog is what act said, in its order.
type runLog []entry

func parseLog(out []byte) (l runLog) {
	for line := range strings.Lines(string(out)) {
		var e entry
		if json.Unmarshal([]byte(line), &e) != nil {
			e.Msg = line // act's own last word
		}
		l = append(l, e)
	}
	return l
}

// step is what was said while a step of the workflow ran, or with further ids
// one of its action's.
func (l runLog) step(id ...string) (of runLog) {
	for _, e := range l {
		if e.Stage == "Main" && len(e.StepID) >= len(id) && slices.Equal(e.StepID[:len(id)], id) {
			of = append(of, e)
		}
	}
	return of
}

// text is what a reader of the log sees.
func (l runLog) text() string {
	var b strings.Builder
	for _, e := range l {
		b.WriteString(strings.TrimSuffix(e.Msg, "\n") + "\n")
	}
	return b.String()
}

// summary is what was added to the job summary.
func (l runLog) summary() string {
	var b strings.Builder
	for _, e := range l {
		if e.Command == "summary" && e.Stage != "" {
			b.WriteString(e.Content)
		}
	}
	return b.String()
}

// secretText is text and the fields of all commands but add-mask, whose argument is the
// secret itself.
func (l runLog) secretText() string {
	b := strings.Builder{}
	b.WriteString(l.text())
	for _, e := range l {
		if e.Command != "add-mask" {
			b.WriteString(e.Arg + "\n" + e.Content + "\n")
		}
	}
	return b.String()
}

// errors are the error annotations: file, title and message.
func (l runLog) errors() (all []annotation) {
	for _, e := range l {
		if e.Command == "error" {
			all = append(all, annotation{e.Fields["file"], e.Fields["title"], e.Arg})
		}
	}
	return all
}

type annotation struct{ file, title, message string }

// exits are the codes with which commands failed, outermost last. Act words them
// in one way on the host and in another in a container.
func (l runLog) exits() (all []string) {
	failed := regexp.MustCompile(`^exit(?: status |code ')(\d+)`)
	for _, e := range l {
		if code := failed.FindStringSubmatch(e.Msg); code != nil {
			all = append(all, code[1])
		}
	}
	return all
}

// masks are the arguments of add-mask.
func (l runLog) masks() (all []string) {
	for _, e := range l {
		if e.Command == "add-mask" {
			all = append(all, e.Arg)
		}
	}
	return all
}
