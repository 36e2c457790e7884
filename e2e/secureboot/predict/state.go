package predict

import (
	"slices"
	"strings"

	"github.com/kmodseal/kmodseal/pkg/verdict"
)

// fits tells whether a state is one that the kernel's own words leave open. It
// is written from the kernel's side, so that judge and comparison cannot make
// the same mistake.
func fits(s verdict.State, result string, lines []string) bool {
	has := func(words string) bool {
		return slices.ContainsFunc(lines, func(l string) bool { return strings.Contains(l, words) })
	}
	is := func(states ...verdict.State) bool { return slices.Contains(states, s) }
	switch {
	case result == "OK":
		return is(verdict.Loads)
	case has("Loading of unsigned module"):
		return is(verdict.Unsigned, verdict.NotModule)
	case has("with unavailable key"):
		return is(verdict.UnavailableKey)
	case has("with unsupported crypto"):
		return is(verdict.UnsupportedCrypto)
	case has("Unknown symbol") && result == "ENOENT":
		return is(verdict.MissingSymbol, verdict.MissingDependency)
	case result == "EKEYREJECTED":
		return is(verdict.Tampered, verdict.Malformed)
	case result == "EOPNOTSUPP", has("compressed module"), has("decompression failed"):
		return is(verdict.BadCompression)
	}
	return !is(verdict.Loads)
}
