package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// Style says how a terminal shows a table; the zero value is plain text of any width.
type Style struct {
	Width int // columns; 0: unlimited
	Color bool
}

// notesShown bounds the explanations under a table; the report file has each module's.
const notesShown = 20

// Table writes r for people: one line a module, then what is wrong with those
// that would not load, what people should mind, the image that was made, and
// the notes.
func Table(w io.Writer, r *Report, s Style) error {
	cols := columns(r)
	t := table.NewWriter()
	t.SetStyle(plainStyle())
	head := table.Row{}
	for _, c := range cols {
		head = append(head, c.head)
	}
	t.AppendHeader(head)
	room := pathRoom(r, cols, s.Width)
	for i := range r.Modules {
		row := table.Row{}
		for _, c := range cols {
			row = append(row, paint(s, c.head, tail(begin(c.value(&r.Modules[i])), c.head, room)))
		}
		t.AppendRow(row)
	}
	out := &strings.Builder{}
	for _, line := range strings.Split(t.Render(), "\n") {
		fmt.Fprintln(out, strings.TrimRight(line, " "))
	}
	explain(out, r)
	if lines := asides(r); len(lines) > 0 {
		fmt.Fprintf(out, "\n%s\n", strings.Join(lines, "\n"))
	}
	if r.Image != "" {
		fmt.Fprintf(out, "\nimage: %s\n", Plain(r.Pinned()))
	}
	for _, n := range r.Notes {
		fmt.Fprintf(out, "\nnote: %s\n", Plain(n))
	}
	_, err := io.WriteString(w, out.String())
	return err
}

type column struct {
	head  string
	value func(*Module) string
}

// columns leaves out what would be empty, or the same in each line.
func columns(r *Report) []column {
	all := []column{
		{"MODULE", func(m *Module) string { return m.Path }},
		{"PLATFORM", func(m *Module) string { return m.Platform }},
		{"KERNEL", func(m *Module) string { return m.Kernel }},
		{"SIGNER", func(m *Module) string { return dash(m.Signer) }},
		{"ACTION", func(m *Module) string { return m.Action }},
		{"VERDICT", func(m *Module) string { return m.Verdict }},
	}
	var out []column
	for _, c := range all {
		values := map[string]bool{}
		for i := range r.Modules {
			values[c.value(&r.Modules[i])] = true
		}
		empty := len(values) == 0 || len(values) == 1 && values[""]
		if c.head == "MODULE" || !empty && (c.head != "PLATFORM" || len(values) > 1) {
			out = append(out, c)
		}
	}
	return out
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// pathRoom is what a terminal of width leaves for the first column; 0: all.
func pathRoom(r *Report, cols []column, width int) int {
	if width == 0 {
		return 0
	}
	room := width
	for _, c := range cols[1:] {
		widest := len(c.head)
		for i := range r.Modules {
			widest = max(widest, text.StringWidth(Plain(c.value(&r.Modules[i]))))
		}
		room -= widest + 2
	}
	return max(room, 20)
}

// tail keeps the end of a path: the file name is what tells modules apart.
func tail(s, head string, room int) string {
	if head != "MODULE" || room == 0 || text.StringWidth(s) <= room {
		return s
	}
	runes := []rune(s)
	for len(runes) > 0 && text.StringWidth(string(runes)) >= room {
		runes = runes[1:]
	}
	return "…" + string(runes)
}

func paint(s Style, head, value string) string {
	switch {
	case !s.Color:
		return value
	case value == "loads", head == "ACTION":
		return "\x1b[32m" + value + "\x1b[0m"
	case head == "VERDICT":
		return "\x1b[31m" + value + "\x1b[0m"
	}
	return value
}

// explain says once what is wrong with several modules: the table tells which.
func explain(w io.Writer, r *Report) {
	type cause struct{ verdict, reason, hint string }
	of := func(m *Module) cause { return cause{m.Verdict, m.Reason, m.Hint} }
	first, count := []*Module{}, map[cause]int{}
	for i := range r.Modules {
		m := &r.Modules[i]
		if !m.Bad() {
			continue
		}
		if count[of(m)]++; count[of(m)] == 1 {
			first = append(first, m)
		}
	}
	for i, m := range first {
		if i == notesShown {
			fmt.Fprintf(w, "\n... and more: --report FILE or --output json has all\n")
			return
		}
		fmt.Fprintf(w, "\n%s: %s: %s\n", begin(m.Path), m.Verdict, Plain(m.Reason))
		if n := count[of(m)] - 1; n > 0 {
			fmt.Fprintf(w, "  the same with %d more\n", n)
		}
		if line := kernelLine(m); line != "" {
			fmt.Fprintf(w, "  kernel: %s\n", line)
		}
		if m.Rule != "" {
			fmt.Fprintf(w, "  rule:   %s\n", Plain(m.Rule))
		}
		if m.Hint != "" {
			fmt.Fprintf(w, "  hint:   %s\n", Plain(m.Hint))
		}
	}
}

func plainStyle() table.Style {
	s := table.StyleDefault
	s.Options = table.OptionsNoBordersAndSeparators
	s.Format.Header = text.FormatDefault
	s.Box.PaddingLeft, s.Box.PaddingRight = "", "  "
	return s
}
