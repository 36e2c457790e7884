package kmm

import (
	"regexp"
	"strings"

	"github.com/kmodseal/kmodseal/pkg/fault"
)

// signed is NAME@sha256:<hex>, as repack-image gives it in the result image-ref.
var signed = regexp.MustCompile(`^(?:docker://)?(.+)@(sha256:[0-9a-f]{64})$`) //nolint:gochecknoglobals // a constant

// Settle turns a plan into the index of what came of it: each job gets the
// digest of its image. A job without an image, an image that no job asked for
// and two digests for one image are faults of class Input; so is a name
// that is not NAME@sha256:<hex>.
func (p *Plan) Settle(images []string) error {
	got := map[string]string{}
	for _, image := range images {
		m := signed.FindStringSubmatch(image)
		if m == nil {
			return fault.New(fault.Input, "signed image %q is not NAME@sha256:HEX", image)
		}
		if old := got[m[1]]; old != "" && old != m[2] {
			return fault.New(fault.Input, "signed image %s is both %s and %s", m[1], old, m[2])
		}
		got[m[1]] = m[2]
	}
	for i := range p.Jobs {
		j := &p.Jobs[i]
		name := strings.TrimPrefix(j.Destination, "docker://")
		if j.Digest = got[name]; j.Digest == "" {
			return fault.New(fault.Input, "module %s for %s: no signed image of %s", j.Module, j.Kernel, j.Destination).
				Hint("give an image for every job of the plan, with the names that the plan has")
		}
		delete(got, name)
	}
	for name := range got {
		return fault.New(fault.Input, "signed image %s is of no job of this plan", name)
	}
	return nil
}
