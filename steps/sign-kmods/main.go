// Command sign-kmods is described by sign-kmods --help.
package main

import (
	"os"
	"runtime/debug"

	"github.com/kmodseal/kmodseal/pkg/step"
	"github.com/kmodseal/kmodseal/pkg/step/signkmods"
)

func main() {
	// What lives is little and what a module needs is soon garbage: collecting
	// it less often saves a twentieth of the time. The limit keeps large
	// modules from holding more than they must.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
		debug.SetMemoryLimit(96 << 20)
	}
	os.Exit(step.Main(signkmods.New()))
}
