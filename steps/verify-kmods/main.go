// Command verify-kmods is described by verify-kmods --help.
package main

import (
	"os"

	"github.com/kmodseal/kmodseal/pkg/step"
	"github.com/kmodseal/kmodseal/pkg/step/verifykmods"
)

func main() { os.Exit(step.Main(verifykmods.New())) }
