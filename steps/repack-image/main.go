// Command repack-image is described by repack-image --help.
package main

import (
	"os"

	"github.com/kmodseal/kmodseal/pkg/step"
	"github.com/kmodseal/kmodseal/pkg/step/repackimage"
)

func main() { os.Exit(step.Main(repackimage.New())) }
