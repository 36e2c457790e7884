// Package cli_test is the specification of the command lines: scripts in
// testdata run the steps as a user would, against a registry in the test's own
// process. After each command every output is searched for bytes of the key.
package cli_test

import (
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/kmodseal/kmodseal/pkg/step"
	"github.com/kmodseal/kmodseal/pkg/step/catalog"
)

func TestMain(m *testing.M) {
	mains := map[string]func(){}
	for _, cmd := range catalog.Steps() {
		mains[cmd.About().Name] = func() { os.Exit(step.Main(cmd)) }
	}
	testscript.Main(m, mains)
}

func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		Setup:               setup,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"module": module, "push": push, "craft": craft, "hostile": hostile, "run": run, "noleak": noleak, "damage": damage, "tags": tags,
			"same": same, "keyenv": keyenv, "emptydir": emptydir,
		},
	})
}
