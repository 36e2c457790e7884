package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// stamp writes tag and digest behind the name of a step's image in every YAML
// and Markdown file below dir.
func stamp(dir, step, version string) error {
	return rewrite(dir, `(ghcr\.io/kmodseal/`+regexp.QuoteMeta(step)+`):[\w.+-]+(@sha256:[0-9a-f]{64})?`, "${1}:"+version)
}

// stampLabel writes the version that a catalog shows.
func stampLabel(dir, version string) error {
	return rewrite(dir, `(app\.kubernetes\.io/version: ")[^"]*"`, "${1}"+strings.TrimPrefix(version, "v")+`"`)
}

func rewrite(dir, pattern, by string) error {
	what := regexp.MustCompile(pattern)
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".yaml" && filepath.Ext(path) != ".md" {
			return err
		}
		old, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		text := what.ReplaceAll(old, []byte(by))
		if string(text) == string(old) {
			return nil
		}
		return os.WriteFile(path, text, 0o644)
	})
}
