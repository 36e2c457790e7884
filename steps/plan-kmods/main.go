// Command plan-kmods is described by plan-kmods --help.
package main

import (
	"os"

	"github.com/kmodseal/kmodseal/pkg/step"
	"github.com/kmodseal/kmodseal/pkg/step/plankmods"
)

func main() { os.Exit(step.Main(plankmods.New())) }
