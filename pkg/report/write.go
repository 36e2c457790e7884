package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/kmodseal/kmodseal/pkg/atomicfile"
	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/verdict"
)

// Writer writes a Report in one format.
type Writer func(io.Writer, *Report) error

// ForFile gives the writer that a file name's ending asks for; another ending
// is a fault of class Usage.
func ForFile(name string) (Writer, error) {
	formats := []struct {
		ending string
		write  Writer
	}{
		{".codequality.json", CodeQuality}, // before .json
		{".html", HTML},
		{".json", JSON},
		{".md", Markdown},
		{".sarif", SARIF},
		{".xml", JUnit},
	}
	var endings []string
	for _, f := range formats {
		if strings.HasSuffix(strings.ToLower(name), f.ending) {
			return f.write, nil
		}
		endings = append(endings, f.ending)
	}
	return nil, fault.New(fault.Usage, "report %s: unknown format", name).
		Hint("the ending decides: %s", strings.Join(endings, " "))
}

// WriteFile writes r to the file name, in the format of its ending.
func WriteFile(name string, r *Report) error {
	write, err := ForFile(name)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := write(&b, r); err != nil {
		return fmt.Errorf("write report %s: %w", name, err)
	}
	return atomicfile.Write(name, b.Bytes())
}

// JSON writes r as indented JSON with a final newline. Every ##[ is spelt
// #\u0023[, which is the same to a reader of JSON: see Plain.
func JSON(w io.Writer, r *Report) error {
	if r.Modules == nil {
		r.Modules = []Module{}
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(append(bytes.ReplaceAll(data, []byte("##["), []byte(`#\u0023[`)), '\n'))
	return err
}

// Summary is the counts in one line: "3 modules: 2 loads, 1 unsigned".
func Summary(r *Report) string {
	if parts := counts(r, ""); parts != "" {
		return fmt.Sprintf("%s: %s", modules(len(r.Modules)), parts)
	}
	return modules(len(r.Modules))
}

// Refusal is what is wrong in one line: "1 of 3 modules would not load: 1 unsigned".
func Refusal(r *Report) string {
	loads := string(verdict.Loads)
	return fmt.Sprintf("%d of %s would not load: %s", len(r.Modules)-r.Counts[loads], modules(len(r.Modules)), counts(r, loads))
}

func modules(n int) string {
	if n == 1 {
		return "1 module"
	}
	return fmt.Sprintf("%d modules", n)
}

// counts lists r.Counts in the order of the alphabet, without one word.
func counts(r *Report, without string) string {
	var parts []string
	for _, word := range slices.Sorted(maps.Keys(r.Counts)) {
		if word != without {
			parts = append(parts, fmt.Sprintf("%d %s", r.Counts[word], word))
		}
	}
	return strings.Join(parts, ", ")
}
