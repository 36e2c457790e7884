package verifykmods

import (
	"strings"

	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/report"
)

// missing refuses where a required module is not among those checked: modprobe
// would not find it on the machine. For modprobe - and _ are the same.
func (c *command) missing(r *report.Report) error {
	have := map[string]bool{}
	for i := range r.Modules {
		have[plainName(r.Modules[i].Name)] = true
	}
	for _, name := range c.Require {
		if !have[plainName(name)] {
			return fault.New(fault.Input, "module %s is required and not among the %d that were checked", name, len(r.Modules)).
				Hint("look for it among filesToSign or --include, and in the image")
		}
	}
	return nil
}

func plainName(module string) string { return strings.ReplaceAll(module, "-", "_") }
