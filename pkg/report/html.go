package report

import (
	_ "embed" // the page
	"html/template"
	"io"
)

//go:embed page.html
var page string //nolint:gochecknoglobals // embedded file

// HTML writes r as one self-contained page: no script, no other file, light
// or dark as the reader's system is.
func HTML(w io.Writer, r *Report) error {
	t, err := template.New("page").Funcs(template.FuncMap{
		"plain": Plain, "facts": facts, "summary": Summary,
	}).Parse(page)
	if err != nil {
		return err
	}
	return t.Execute(w, r)
}
