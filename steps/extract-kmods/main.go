// Command extract-kmods is described by extract-kmods --help.
package main

import (
	"os"

	"github.com/kmodseal/kmodseal/pkg/step"
	"github.com/kmodseal/kmodseal/pkg/step/extractkmods"
)

func main() { os.Exit(step.Main(extractkmods.New())) }
