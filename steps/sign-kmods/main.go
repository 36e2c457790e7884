// Command sign-kmods is described by sign-kmods --help.
package main

import (
	"os"

	"github.com/kmodseal/kmodseal/pkg/step"
	"github.com/kmodseal/kmodseal/pkg/step/signkmods"
)

func main() { os.Exit(step.Main(signkmods.New())) }
