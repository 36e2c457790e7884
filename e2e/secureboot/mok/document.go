package mok

import (
	"fmt"
	"regexp"
)

// Commands are the shell blocks of a document that follow a comment
// `<!-- run: NAME -->`, joined by name in their order.
func Commands(document string) (map[string]string, error) {
	block := regexp.MustCompile("(?s)<!-- run: ([a-z]+) -->\n```sh\n(.*?)```")
	out := map[string]string{}
	for _, m := range block.FindAllStringSubmatch(document, -1) {
		out[m[1]] += m[2]
	}
	for _, name := range []string{"host", "import", "check", "rollover", "revoke"} {
		if out[name] == "" {
			return nil, fmt.Errorf("no commands to run as %s", name)
		}
	}
	return out, nil
}
