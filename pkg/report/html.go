package report

import (
	_ "embed" // the page
	"html/template"
	"io"
	"strings"
)

//go:embed page.html
var page string //nolint:gochecknoglobals // embedded file

// HTML writes r as one self-contained page: no script, no other file, light
// or dark as the reader's system is. What would not load comes first and in full.
func HTML(w io.Writer, r *Report) error {
	t, err := template.New("page").Funcs(template.FuncMap{
		"plain": Plain, "facts": facts, "asides": asides, "headline": headline, "kernelLine": kernelLine, "pieces": pieces,
	}).Parse(page)
	if err != nil {
		return err
	}
	return t.Execute(w, r)
}

// Fine are the modules that load, or that nobody judged.
func (r *Report) Fine() []*Module {
	var out []*Module
	for i := range r.Modules {
		if !r.Modules[i].Bad() {
			out = append(out, &r.Modules[i])
		}
	}
	return out
}

func headline(r *Report) string {
	switch {
	case r.Verdict == "":
		return r.Step + ": " + modules(len(r.Modules))
	case len(r.Fine()) < len(r.Modules):
		short, _, _ := strings.Cut(Refusal(r), ":") // the counts stand below
		return short
	case len(r.Modules) == 1:
		return "The module loads"
	}
	return "All " + modules(len(r.Modules)) + " load"
}

// piece is text, or what one would type, which hints have between `.
type piece struct {
	Text string
	Code bool
}

func pieces(hint string) []piece {
	var out []piece
	for i, text := range strings.Split(Plain(hint), "`") {
		out = append(out, piece{text, i%2 == 1})
	}
	return out
}
