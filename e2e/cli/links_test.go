package cli_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestLinks: every link of a page to another file of the tree leads to one, and
// its anchor to a heading of it.
func TestLinks(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	n := 0
	for _, page := range pages(t) {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			n++
			file, anchor, _ := strings.Cut(m[1], "#")
			target := page
			if file != "" {
				target = filepath.Join(filepath.Dir(page), file)
			}
			info, err := os.Stat(target)
			if assert.NoError(t, err, "%s: %s", page, m[1]) && anchor != "" && !info.IsDir() {
				assert.Contains(t, anchors(t, target), anchor, "%s: %s", page, m[1])
			}
		}
	}
	assert.Greater(t, n, 50, "links seen")
}

// pages are the Markdown files of the tree, what was built or fetched apart.
func pages(t *testing.T) (all []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir("../..", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err == nil && d.IsDir() && slices.Contains([]string{".git", ".cache", "bin", "dist"}, d.Name()):
			return fs.SkipDir
		case err == nil && strings.HasSuffix(p, ".md"):
			all = append(all, p)
		}
		return err
	}))
	return all
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
