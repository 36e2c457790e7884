package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestLinks: every link of a page to another file of the tree leads to one, and
// its anchor to a heading of it.
func TestLinks(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("git", "-C", "../..", "ls-files", "-z", "*.md").Output()
	require.NoError(t, err)
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	n := 0
	for _, page := range strings.FieldsFunc(string(out), func(c rune) bool { return c == 0 }) {
		text, err := os.ReadFile(filepath.Join("../..", page))
		require.NoError(t, err)
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			n++
			file, anchor, _ := strings.Cut(m[1], "#")
			target := filepath.Join("../..", page)
			if file != "" {
				target = filepath.Join("../..", filepath.Dir(page), file)
			}
			info, err := os.Stat(target)
			if assert.NoError(t, err, "%s: %s", page, m[1]) && anchor != "" && !info.IsDir() {
				assert.Contains(t, anchors(t, target), anchor, "%s: %s", page, m[1])
			}
		}
	}
	assert.Greater(t, n, 50, "links seen")
}

// anchors are those that GitHub gives to the headings of a page.
func anchors(t *testing.T, page string) (all []string) {
	t.Helper()
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	drop := regexp.MustCompile(`[^\p{L}\p{N}\- _]`)
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(string(text), -1) {
		all = append(all, strings.ReplaceAll(drop.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-"))
	}
	return all
}
