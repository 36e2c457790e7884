package kmm

import (
	"errors"
	"fmt"
	"regexp"

	"github.com/kmodseal/kmodseal/pkg/fault"
)

// match gives the first mapping for a release, as KMM does with the normalized
// one: a literal must be equal, a regular expression may match anywhere in the
// name. A literal with a '+' never equals KMM's normalized name: KMM passes it
// over, and so does match, with a warning; where nothing else matches either,
// that is an error.
func (m *Module) match(real string) (*Mapping, []string, error) {
	release := Normalize(real)
	var dead []string
	for i := range m.Container.Mappings {
		mp := &m.Container.Mappings[i]
		switch {
		case mp.re != nil:
			if at := mp.re.FindStringIndex(release); at != nil {
				return mp, append(dead, loose(mp, at, release)...), nil
			}
		case mp.Literal.string == release:
			return mp, dead, nil
		case mp.Literal.string == real:
			dead = append(dead, fmt.Sprintf("line %d: KMM knows kernel %s as %s and never matches this literal", mp.Literal.line, real, release))
		}
	}
	if dead != nil {
		return nil, nil, fault.New(fault.Input, "module %s, %s", m.Name, dead[0]).Hint("write %s", release)
	}
	return nil, nil, nil
}

// compile refuses mappings that KMM's webhook would (internal/webhook/module.go).
func (m *Module) compile() error {
	for i := range m.Container.Mappings {
		mp := &m.Container.Mappings[i]
		if (mp.Literal.string == "") == (mp.Regexp.string == "") {
			return m.refuse(mp.line, errors.New("a kernel mapping has exactly one of literal and regexp"))
		}
		if mp.Regexp.string == "" {
			continue
		}
		re, err := regexp.Compile(mp.Regexp.string)
		if err != nil {
			return m.refuse(mp.Regexp.line, err)
		}
		mp.re = re
	}
	return nil
}

// loose warns of an expression that matched by accident: in the middle of the
// release, or up to the middle of a number.
func loose(mp *Mapping, at []int, release string) []string {
	digit := func(i int) bool { return release[i] >= '0' && release[i] <= '9' }
	part := release[at[0]:at[1]]
	switch end := at[1]; {
	case at[0] > 0:
		return []string{fmt.Sprintf("line %d: regexp %q is not anchored and matches %q in the middle of %s",
			mp.Regexp.line, mp.Regexp.string, part, release)}
	case end > 0 && end < len(release) && digit(end-1) && digit(end):
		return []string{fmt.Sprintf("line %d: regexp %q is not anchored and its match %q ends inside a number of %s",
			mp.Regexp.line, mp.Regexp.string, part, release)}
	}
	return nil
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
