package cli_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/step"
	"github.com/kmodseal/kmodseal/pkg/step/catalog"
)

var update = flag.Bool("update", false, "write the reference pages")

func TestReferencePages(t *testing.T) {
	t.Parallel()
	for _, cmd := range catalog.Steps() {
		name := cmd.About().Name
		var page bytes.Buffer
		require.NoError(t, step.Reference(&page, cmd))
		file := filepath.Join("..", "..", "docs", "reference", name+".md")
		if *update {
			require.NoError(t, os.WriteFile(file, page.Bytes(), 0o644))
		}
		have, err := os.ReadFile(file)
		require.NoError(t, err)
		assert.Equal(t, page.String(), string(have), "run: go test ./e2e/cli -run Reference -update")
	}
}

// TestEveryFlagHasAScript: each flag of each step is used in a script at least once.
func TestEveryFlagHasAScript(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txtar")
	require.NoError(t, err)
	used := map[string]string{}
	line := regexp.MustCompile(`(?m)^run \d+ (\S+)(.*)$`)
	for _, f := range files {
		text, err := os.ReadFile(f)
		require.NoError(t, err)
		for _, m := range line.FindAllStringSubmatch(string(text), -1) {
			used[m[1]] += m[2] + " "
		}
	}
	for _, cmd := range catalog.Steps() {
		name := cmd.About().Name
		flags, err := step.Flags(cmd)
		require.NoError(t, err)
		for _, f := range flags {
			assert.Regexp(t, `--`+f.Name+`[ =]`, used[name], "%s --%s", name, f.Name)
		}
	}
}

// TestExitCodesDocumented: every code and its meaning stand in docs/exit-codes.md.
func TestExitCodesDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/exit-codes.md")
	require.NoError(t, err)
	for code, meaning := range step.Meanings() {
		want := "| " + string(rune('0'+code)) + " | " + meaning + " |"
		assert.Contains(t, string(page), want)
	}
}
