// Package catalog lists the steps, for what is built or checked of all of them.
package catalog

import (
	"github.com/kmodseal/kmodseal/pkg/step"
	"github.com/kmodseal/kmodseal/pkg/step/extractkmods"
	"github.com/kmodseal/kmodseal/pkg/step/plankmods"
	"github.com/kmodseal/kmodseal/pkg/step/repackimage"
	"github.com/kmodseal/kmodseal/pkg/step/signkmods"
	"github.com/kmodseal/kmodseal/pkg/step/verifykmods"
)

// Steps are the commands in the order in which a driver passes through them.
func Steps() []step.Command {
	return append([]step.Command{plankmods.New()}, seal()...)
}

// Jobs are the steps by their names, and seal-image with those that it runs.
func Jobs() map[string][]step.Command {
	jobs := map[string][]step.Command{"seal-image": seal()}
	for _, c := range Steps() {
		jobs[c.About().Name] = []step.Command{c}
	}
	return jobs
}

func seal() []step.Command {
	return []step.Command{extractkmods.New(), signkmods.New(), verifykmods.New(), repackimage.New()}
}
