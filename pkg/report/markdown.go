package report

import (
	"fmt"
	"io"
	"strings"
)

// summaryRows bounds the table of a job summary, which GitHub cuts at 1 MiB.
const summaryRows = 1000

// Markdown writes r as a table for a job summary. Names are shown as text: no
// character of theirs can open a link, a tag, a table cell or a code span.
func Markdown(w io.Writer, r *Report) error {
	out := &strings.Builder{}
	fmt.Fprintf(out, "### %s\n\n", mark(r.Step))
	for _, f := range facts(r) {
		fmt.Fprintf(out, "- %s: %s\n", f[0], mark(f[1]))
	}
	for _, line := range asides(r) {
		fmt.Fprintf(out, "- %s\n", mark(line))
	}
	cols := columns(r)
	var heads, rules []string
	for _, c := range cols {
		heads, rules = append(heads, strings.ToLower(c.head)), append(rules, "---")
	}
	if judged(r) {
		heads, rules = append(heads, "reason", "what to do"), append(rules, "---", "---")
	}
	fmt.Fprintf(out, "\n| %s |\n| %s |\n", strings.Join(heads, " | "), strings.Join(rules, " | "))
	for i := range r.Modules {
		if i == summaryRows {
			fmt.Fprintf(out, "\n%d further modules are in the report.\n", len(r.Modules)-i)
			break
		}
		m := &r.Modules[i]
		var cells []string
		for _, c := range cols {
			cells = append(cells, mark(c.value(m)))
		}
		if judged(r) {
			cells = append(cells, mark(m.Reason), mark(m.Hint))
		}
		fmt.Fprintf(out, "| %s |\n", strings.Join(cells, " | "))
	}
	_, err := io.WriteString(w, out.String())
	return err
}

func judged(r *Report) bool { return r.Verdict != "" }

// facts are the lines above the modules: name and value, empty ones left out.
func facts(r *Report) [][2]string {
	var out [][2]string
	add := func(name, value string) {
		if value != "" {
			out = append(out, [2]string{name, value})
		}
	}
	add("source", r.Source)
	add("source digest", r.SourceDigest)
	add("image", r.Image)
	add("digest", r.Digest)
	add("verdict", r.Verdict)
	add("modules", Summary(r))
	for _, n := range r.Notes {
		add("note", n)
	}
	return out
}

// mark escapes s for a cell of a Markdown table: ASCII punctuation becomes a
// character reference (CommonMark section 2.5), which no later stage reads as
// markup, except for what is harmless in names.
func mark(s string) string {
	var b strings.Builder
	for _, c := range Plain(s) {
		if c < 0x80 && strings.ContainsRune("!\"#$&'()*:;<=>?@[\\]^`{|}~", c) || c == '_' {
			fmt.Fprintf(&b, "&#%d;", c)
			continue
		}
		b.WriteRune(c)
	}
	return breakLinks(b.String())
}

// breakLinks stops GitHub's own autolinks, which need no punctuation.
func breakLinks(s string) string {
	return strings.ReplaceAll(s, "www.", "www&#46;")
}
