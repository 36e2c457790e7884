package kmm

import (
	"fmt"
	"strings"

	"github.com/kmodseal/kmodseal/pkg/fault"
)

// match gives the first mapping for a release, as KMM does: a literal must be
// equal, a regular expression may match anywhere in the name. Both are held to
// the release as the node gives it, but for a '+' at its end (known). A literal
// that keeps this '+' can never match: it is passed over with a warning; where
// nothing else matches either, that is an error.
func (m *Module) match(real string) (*Mapping, []string, error) {
	release := known(real)
	var dead []string
	for i := range m.Container.Mappings {
		mp := &m.Container.Mappings[i]
		switch {
		case mp.re != nil:
			if at := mp.re.FindStringIndex(release); at != nil {
				return mp, append(dead, m.loose(mp, at, release)...), nil
			}
		case mp.Literal.string == release:
			return mp, dead, nil
		case mp.Literal.string == real:
			dead = append(dead, fmt.Sprintf("%sKMM knows kernel %s as %s and never matches this literal", m.at(mp.Literal.line), real, release))
		}
	}
	if dead != nil {
		return nil, nil, fault.New(fault.Input, "%s", dead[0]).Hint("write %s", release)
	}
	return nil, nil, nil
}

// known is the release as KMM knows it: one '+' at the end, which a kernel
// built from a changed tree has, is left out (KMM: internal/controllers/module_reconciler.go).
func known(release string) string { return strings.TrimSuffix(release, "+") }

// loose warns of an expression that matched by accident: in the middle of the
// release, or up to the middle of a number.
func (m *Module) loose(mp *Mapping, at []int, release string) []string {
	digit := func(i int) bool { return release[i] >= '0' && release[i] <= '9' }
	part := release[at[0]:at[1]]
	switch end := at[1]; {
	case at[0] > 0:
		return []string{fmt.Sprintf("%sregexp %q is not anchored and matches %q in the middle of %s",
			m.at(mp.Regexp.line), mp.Regexp.string, part, release)}
	case end > 0 && end < len(release) && digit(end-1) && digit(end):
		return []string{fmt.Sprintf("%sregexp %q is not anchored and its match %q ends inside a number of %s",
			m.at(mp.Regexp.line), mp.Regexp.string, part, release)}
	}
	return nil
}

// merge puts a mapping's sign section over the container's as KMM does:
// names replace, files are appended, and the mapping's own registry TLS is lost
// (KMM: internal/module/kernelmapper.go). The second result says what was lost.
func (m *Module) merge(mapping *Sign) (*Sign, []string) {
	container := m.Container.Sign
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
			"%sKMM ignores this mapping's unsignedImageRegistryTLS because the container has a sign section", m.at(mapping.line))}
	}
	return &s, nil
}
