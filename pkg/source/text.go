package source

import (
	"strings"
	"unicode"
)

// clean makes text from outside fit for one line of a message: at most 200
// runes, control characters and line breaks replaced.
func clean(s string) string {
	var b strings.Builder
	n := 0
	for _, c := range s {
		if n++; n > 200 {
			b.WriteString("...")
			break
		}
		if !unicode.IsPrint(c) {
			c = ' '
		}
		b.WriteRune(c)
	}
	return strings.TrimSpace(b.String())
}
