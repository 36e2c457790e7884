package extract

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/manifest"
)

// pick applies Include and Exclude to the views.
func (j *job) pick(views []*view) error {
	var found []string
	n := 0
	for _, v := range views {
		files, err := v.tree.Files(isModule)
		if err != nil {
			return j.of(v, err)
		}
		for _, f := range files {
			found = append(found, f.Path)
			if j.choice.takes(f) {
				v.picked = append(v.picked, picked{File: f})
			}
		}
		if n += len(v.picked); n > j.MaxModules {
			return fault.New(fault.Input, "more than %d modules", j.MaxModules).Hint("name fewer with --include")
		}
		if err := j.remarks(v); err != nil {
			return err
		}
	}
	if err := j.choice.unmatched(found); err != nil {
		return err
	}
	if n == 0 {
		return noModule(found)
	}
	return nil
}

// remarks notes shadowed copies and warns of what may be a mistake.
func (j *job) remarks(v *view) error {
	wanted := func(p string) bool { return isModule(p) && j.choice.path(p) }
	for _, c := range v.tree.Shadowed(wanted) {
		if err := manifest.CheckPath(c.Path); err != nil {
			return fault.New(fault.Input, "%w", err).Hint("no build makes such a name by itself: look at how the image was made")
		}
		v.Shadowed = append(v.Shadowed, manifest.Copy{Path: c.Path, Layer: v.Layers[c.Layer]})
	}
	dangling, err := v.tree.Dangling(wanted)
	if err != nil {
		return j.of(v, err)
	}
	for _, l := range dangling {
		j.Warn("%slink %q leads to no file", v.prefix(), l)
	}
	if len(v.picked) == 0 && v.Platform.Platform != "" {
		j.Warn("%sno module", v.prefix())
	}
	return nil
}

func (v *view) prefix() string {
	if v.Platform.Platform == "" {
		return ""
	}
	return v.Platform.Platform + ": "
}

func (j *job) of(v *view, err error) error {
	if v.Platform.Platform == "" {
		return err
	}
	return fmt.Errorf("%s: %w", v.Platform.Platform, err)
}

func noModule(found []string) error {
	err := fault.New(fault.Input, "no module found")
	if len(found) > 0 {
		return err.Hint("all %d are left out by --exclude", len(found))
	}
	return err.Hint("modules are files named *.ko, *.ko.gz, *.ko.xz or *.ko.zst; a module that a later layer deletes does not count")
}

// keepKernel drops the modules of other kernels. A module in the folder of the
// right one stays whatever its vermagic says, so that verify-kmods sees it.
func (j *job) keepKernel(views []*view) error {
	if j.Kernel == "" {
		return nil
	}
	seen := map[string]bool{}
	n := 0
	for _, v := range views {
		v.picked = slices.DeleteFunc(v.picked, func(p picked) bool {
			release := p.spooled.facts.Release()
			seen[release] = true
			return release != j.Kernel && !slices.ContainsFunc(p.names(), j.inKernelFolder)
		})
		n += len(v.picked)
	}
	if n > 0 {
		return nil
	}
	err := fault.New(fault.Input, "no module for kernel %q", j.Kernel)
	return err.Hint("the modules found are for %s", few(sortedKeys(seen)))
}

func (j *job) inKernelFolder(p string) bool {
	return strings.Contains("/"+p, "/lib/modules/"+j.Kernel+"/")
}
