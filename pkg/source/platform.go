package source

import (
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kmodseal/kmodseal/pkg/fault"
)

// parsePlatforms reads os/arch[/variant] words.
func parsePlatforms(words []string) ([]v1.Platform, error) {
	var ps []v1.Platform
	for _, w := range words {
		parts := strings.Split(w, "/")
		if len(parts) < 2 || len(parts) > 3 {
			return nil, badPlatform(w)
		}
		for _, part := range parts {
			if !plainWord(part) {
				return nil, badPlatform(w)
			}
		}
		p := v1.Platform{OS: parts[0], Architecture: parts[1]}
		if len(parts) == 3 {
			p.Variant = parts[2]
		}
		ps = append(ps, p)
	}
	return ps, nil
}

func badPlatform(w string) error {
	return fault.New(fault.Usage, "platform %q is not os/arch[/variant]", w).Hint("for example --platform linux/arm64")
}

// platformName is p as os/arch[/variant]; ok is false for what cannot be a path
// element or is missing. The platform comes from the image, so it is hostile.
func platformName(p v1.Platform) (string, bool) {
	if !plainWord(p.OS) || !plainWord(p.Architecture) || p.Variant != "" && !plainWord(p.Variant) {
		return "", false
	}
	s := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		s += "/" + p.Variant
	}
	return s, true
}

// plainWord accepts lower-case letters, digits, '_' and inner dots, as GOOS and
// GOARCH have them. No '-': the kmods folder joins the words with it.
func plainWord(s string) bool {
	for _, c := range s {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '_', c == '.':
		default:
			return false
		}
	}
	return s != "" && len(s) <= 32 && s[0] != '.'
}

// wanted says whether p is one of filter, any where filter is empty. A filter
// without variant takes every variant; arm64 is arm64/v8.
func wanted(p v1.Platform, filter []v1.Platform) bool {
	for _, f := range filter {
		if satisfies(p, f) {
			return true
		}
	}
	return len(filter) == 0
}

func satisfies(p, f v1.Platform) bool {
	return p.OS == f.OS && p.Architecture == f.Architecture && (f.Variant == "" || variant(p) == variant(f))
}

func variant(p v1.Platform) string {
	if p.Architecture == "arm64" && p.Variant == "v8" {
		return ""
	}
	return p.Variant
}
