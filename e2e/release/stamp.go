package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// stamp makes the actions and components below dir take this release's archives:
// actions/pins, and the defaults of release and checksum in each component and its
// README. all is SHA256SUMS.
func stamp(dir, version, all string) error {
	pins, sums := "version "+version+"\n", []string{}
	for _, m := range regexp.MustCompile(`(?m)^([0-9a-f]{64})  kmodseal_([a-z]+)_(\w+)\.tar\.gz\n`).FindAllStringSubmatch(all, -1) {
		pins += m[0]
		if m[2] == "linux" { // what GitLab's components run on
			sums = append(sums, m[3]+":"+m[1])
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "actions", "pins"), []byte(pins), 0o644); err != nil { //nolint:gosec // published
		return err
	}
	for _, pattern := range []string{"template.yml", "README.md"} {
		files, err := filepath.Glob(filepath.Join(dir, "templates", "*", pattern))
		if err != nil {
			return err
		}
		if len(files) == 0 {
			return fmt.Errorf("stamp %s: no templates/*/%s", dir, pattern)
		}
		for _, f := range files {
			if err := stampInput(f, map[string]string{"release": version, "checksum": strings.Join(sums, " ")}); err != nil {
				return err
			}
		}
	}
	return nil
}

// stampInput sets the defaults of inputs in a component, or in the table of its
// README. A file in which one is not found is an error: it would keep an old value.
func stampInput(file string, values map[string]string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	text := string(b)
	for name, value := range values {
		place, quote := regexp.MustCompile(`(?m)^(    `+name+`:\n      description: .*\n      default: )".*"$`), `"`
		if strings.HasSuffix(file, ".md") {
			place, quote = regexp.MustCompile("(?m)^(\\| `"+name+"` \\| )(?:`[^`|]*`)?( \\|)"), "`"
		}
		if n := len(place.FindAllString(text, -1)); n != 1 {
			return fmt.Errorf("stamp %s: %d inputs %s", file, n, name)
		}
		text = place.ReplaceAllString(text, "${1}"+quote+value+quote+"${2}")
	}
	return os.WriteFile(file, []byte(text), 0o644) //nolint:gosec // published
}
