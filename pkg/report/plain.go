package report

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
)

// Plain makes s safe to print on one line: control characters, bytes that are
// no UTF-8, line separators and characters that reorder text (bidi overrides)
// become \xNN or \uNNNN, and so does what GitHub's runner takes for a command
// anywhere in a line: ##[ (actions/runner, ActionCommand.cs). A private key in
// PEM, or in base64 of PEM or DER, is left out. It refuses nothing and changes
// nothing else.
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

// withoutKey takes private keys out, those in PEM from the first one's beginning
// to the last one's end: a message quotes what was given for a file's name, and
// a CI variable that should hold the name can hold the file.
func withoutKey(s string) string {
	const leftOut = "(private key left out)"
	s = base64Words.ReplaceAllStringFunc(s, func(word string) string {
		if holdsKey(word) {
			return leftOut
		}
		return word
	})
	first := strings.Index(s, keyMark)
	if first < 0 {
		return s
	}
	begin, rest := first, ""
	if i := strings.LastIndex(s[:first], "-----BEGIN"); i >= 0 {
		begin = i
	}
	if last := strings.LastIndex(s, keyMark); last > first {
		rest = s[last+len(keyMark):]
	}
	return s[:begin] + leftOut + rest
}

const keyMark = "PRIVATE KEY-----" // ends the first line and the last one (RFC 7468)

// base64Words are one or more lines of base64; %q writes their ends as \n.
var base64Words = regexp.MustCompile(`[A-Za-z0-9+/]{64,}(?:(?:\r?\n|(?:\\r)?\\n)[A-Za-z0-9+/]+)*=*`)

// holdsKey is true for base64 of a private key in PEM, and of a DER SEQUENCE
// that begins with a small version number, as those of PKCS#1, PKCS#8, SEC 1
// and PKCS#12 do and no certificate does.
func holdsKey(word string) bool {
	word = strings.NewReplacer("\r", "", "\n", "", `\r`, "", `\n`, "", "=", "").Replace(word)
	raw, _ := base64.RawStdEncoding.DecodeString(word[:len(word)-len(word)%4])
	if bytes.Contains(raw, []byte(keyMark)) {
		return true
	}
	in := cryptobyte.String(raw)
	var tag, size, version uint8
	if !in.ReadUint8(&tag) || tag != 0x30 || !in.ReadUint8(&size) || size > 0x80 && !in.Skip(int(size&0x7f)) {
		return false
	}
	return in.ReadUint8(&tag) && tag == 2 && in.ReadUint8(&size) && size == 1 && in.ReadUint8(&version) && version <= 3
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
