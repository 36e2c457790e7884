package tasks_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the tables of the README files")

const begin, end = "<!-- tables -->\n", "<!-- end -->\n"

func TestReadmes(t *testing.T) {
	t.Parallel()
	dirs, err := filepath.Glob("*/README.md")
	require.NoError(t, err)
	require.Len(t, dirs, 8)
	for _, file := range dirs {
		dir := filepath.Dir(file)
		o, _ := load(t, dir+"/"+dir+".yaml")
		b, err := os.ReadFile(file)
		require.NoError(t, err)
		before, rest, ok := strings.Cut(string(b), begin)
		require.True(t, ok, file)
		_, after, ok := strings.Cut(rest, end)
		require.True(t, ok, file)
		want := before + begin + tables(o) + end + after
		if *update {
			require.NoError(t, os.WriteFile(file, []byte(want), 0o644))
			continue
		}
		assert.Equal(t, want, string(b), "run: go test ./tasks -run Readmes -update")
	}
}

func tables(o *object) string {
	cell := func(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
	var b strings.Builder
	b.WriteString("\n| param | default | |\n|---|---|---|\n")
	for _, p := range o.Spec.Params {
		def := "**required**"
		if p.Default != nil {
			def = "`" + *p.Default + "`"
			if *p.Default == "" {
				def = ""
			}
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", p.Name, def, cell(p.Description))
	}
	b.WriteString("\n| workspace | | |\n|---|---|---|\n")
	for _, w := range o.Spec.Workspaces {
		need := "required"
		if w.Optional {
			need = "optional"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", w.Name, need, cell(w.Description))
	}
	b.WriteString("\n| result | |\n|---|---|\n")
	for _, r := range o.Spec.Results {
		fmt.Fprintf(&b, "| `%s` | %s |\n", r.Name, cell(r.Description))
	}
	return b.String() + "\n"
}
