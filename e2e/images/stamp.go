package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
)

// stamp writes tag and digest behind the name of a step's image in every YAML
// and Markdown file below dir.
func stamp(dir, step, version string) error {
	ref := regexp.MustCompile(`(ghcr\.io/kmodseal/` + regexp.QuoteMeta(step) + `):[\w.+-]+(@sha256:[0-9a-f]{64})?`)
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".yaml" && filepath.Ext(path) != ".md" {
			return err
		}
		old, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		text := ref.ReplaceAll(old, []byte("${1}:"+version))
		if string(text) == string(old) {
			return nil
		}
		return os.WriteFile(path, text, 0o644)
	})
}
