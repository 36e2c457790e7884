package kmm

import (
	"fmt"
	"regexp"
)

// match gives the first mapping for a release, as KMM does with the normalized one: a
// literal must be equal, a regular expression may match anywhere in the name.
//
// A literal with a '+' can never be equal to KMM's normalized name; here it
// matches the real one, with a warning.
func (m *Module) match(real string) (*Mapping, []string, error) {
	release := Normalize(real)
	for i := range m.Container.Mappings {
		mp := &m.Container.Mappings[i]
		switch {
		case (mp.Literal.string == "") == (mp.Regexp.string == ""):
			return nil, nil, m.refuse(mp.line, fmt.Errorf("a kernel mapping has exactly one of literal and regexp"))
		case mp.Literal.string != "":
			if mp.Literal.string == release {
				return mp, nil, nil
			}
			if mp.Literal.string == real {
				return mp, []string{fmt.Sprintf("line %d: KMM knows this kernel as %s and would not match the literal", mp.Literal.line, release)}, nil
			}
		default:
			re, err := regexp.Compile(mp.Regexp.string)
			if err != nil {
				return nil, nil, m.refuse(mp.Regexp.line, err)
			}
			if at := re.FindStringIndex(release); at != nil {
				return mp, loose(mp, at, release), nil
			}
		}
	}
	return nil, nil, nil
}

// loose warns of an expression that matched by accident: somewhere inside the
// release only, and not because it was written to end there.
func loose(mp *Mapping, at []int, release string) []string {
	if at[0] == 0 {
		return nil
	}
	return []string{fmt.Sprintf("line %d: regexp %q is not anchored and matches %q in the middle of %s",
		mp.Regexp.line, mp.Regexp.string, release[at[0]:at[1]], release)}
}

// merge puts a mapping's sign section over the container's as KMM does:
// names replace, files are appended, and the mapping's own registry TLS is lost
// (KMM: internal/sign/helper.go). The second result says what was lost.
func merge(container, mapping *Sign) (*Sign, []string) {
	if container == nil || mapping == nil {
		if container == nil {
			return mapping, nil
		}
		return container, nil
	}
	s := *container
	if mapping.UnsignedImage.string != "" {
		s.UnsignedImage = mapping.UnsignedImage
	}
	if mapping.KeySecret.Name.string != "" {
		s.KeySecret = mapping.KeySecret
	}
	if mapping.CertSecret.Name.string != "" {
		s.CertSecret = mapping.CertSecret
	}
	s.Files = append(append([]text{}, container.Files...), mapping.Files...)
	if mapping.UnsignedTLS != nil && (container.UnsignedTLS == nil || *container.UnsignedTLS != *mapping.UnsignedTLS) {
		return &s, []string{fmt.Sprintf(
			"line %d: KMM ignores this mapping's unsignedImageRegistryTLS because the container has a sign section", mapping.line)}
	}
	return &s, nil
}
