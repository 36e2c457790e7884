// Package extract writes the kmods folder of a source.
package extract

import (
	"context"

	"github.com/kmodseal/kmodseal/pkg/imagefs"
	"github.com/kmodseal/kmodseal/pkg/manifest"
	"github.com/kmodseal/kmodseal/pkg/source"
)

// Options of Run.
type Options struct {
	Kmods     string   // the kmods folder to write
	Include   []string // globs on the path in the image; empty: every module
	Exclude   []string
	Kernel    string   // release; empty: every one
	Platforms []string // for a folder source; images carry their own
	Cache     string   // folder of layer indexes; empty: none
	Limits    imagefs.Limits
	Jobs      int
	Progress  func(phase string, done, total int64) // nil: none
	Warn      func(format string, args ...any)
}

// Run reads src once and replaces the kmods folder by what it holds. On any error the
// folder is as it was.
func Run(ctx context.Context, src *source.Source, o Options) (*manifest.Manifest, error) {
	panic("stub")
}
