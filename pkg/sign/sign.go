// Package sign signs the modules of a kmods folder, or any files and folders.
package sign

import (
	"context"
	"crypto"

	"github.com/kmodseal/kmodseal/pkg/keys"
	"github.com/kmodseal/kmodseal/pkg/manifest"
	"github.com/kmodseal/kmodseal/pkg/modsig"
)

// Policies for a module that is signed already (--on-signed), and for the
// certificate in the signature (--embed-cert).
const (
	Replace, Keep, AppendTo, Fail = "replace", "keep", "append", "fail"
	Auto, Always, Never           = "auto", "always", "never"
)

// Options of Folder and Files.
type Options struct {
	Pair     *keys.Pair
	Hash     crypto.Hash
	ID       modsig.SignerID
	Embed    string
	OnSigned string
	Jobs     int
	Progress func(phase string, done, total int64)
	Warn     func(format string, args ...any)
}

// Result is what happened to one file.
type Result struct {
	Path   string
	Module manifest.Module // facts; of a bare file without platform and layer
}

// Folder signs every module of the kmods folder and rewrites kmods.json. All or nothing:
// no file is replaced before every module has its signature.
func Folder(ctx context.Context, kmods string, o Options) (*manifest.Manifest, error) { panic("stub") }

// Files signs files in place and every module below folders.
func Files(ctx context.Context, paths []string, o Options) ([]Result, error) { panic("stub") }
