package report

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Plain makes s safe to print on one line: control characters, bytes that are
// no UTF-8, line separators and characters that reorder text (bidi overrides)
// become \xNN or \uNNNN, and so does what GitHub's runner takes for a command
// anywhere in a line: ##[ (actions/runner, ActionCommand.cs). A private key in
// PEM is left out. It refuses nothing and changes nothing else.
func Plain(s string) string {
	s = strings.ReplaceAll(withoutKey(s), "##[", `#\x23[`)
	if !strings.ContainsFunc(s, hides) && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		c, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case c == utf8.RuneError && n == 1, c < 0x100 && hides(c):
			fmt.Fprintf(&b, `\x%02x`, s[i+n-1])
		case hides(c):
			fmt.Fprintf(&b, `\u%04x`, c)
		default:
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	return b.String()
}

// withoutKey takes private keys out, from the first one's beginning to the last
// one's end: a message quotes what was given for a file's name, and a CI
// variable that should hold the name can hold the file.
func withoutKey(s string) string {
	const mark = "PRIVATE KEY-----" // ends the first line and the last one (RFC 7468)
	first := strings.Index(s, mark)
	if first < 0 {
		return s
	}
	begin, rest := first, ""
	if i := strings.LastIndex(s[:first], "-----BEGIN"); i >= 0 {
		begin = i
	}
	if last := strings.LastIndex(s, mark); last > first {
		rest = s[last+len(mark):]
	}
	return s[:begin] + "(private key left out)" + rest
}

// begin is Plain for what begins a line, where the runner also takes :: for a
// command.
func begin(s string) string {
	s = Plain(s)
	if i := len(s) - len(strings.TrimLeft(s, " ")); strings.HasPrefix(s[i:], "::") {
		return s[:i] + `\x3a` + s[i+1:]
	}
	return s
}

// hides is true for what a terminal, a log or a browser acts upon instead of
// showing it: categories Cc and Cf, line and paragraph separators.
func hides(c rune) bool {
	return unicode.In(c, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}
