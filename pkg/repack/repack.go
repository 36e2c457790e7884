// Package repack puts signed modules back into their image. It believes nobody:
// each module is held against the source's own bytes before anything is published.
//
// append adds one layer with the changed modules, rewrite replaces the layers
// that hold modules. Everything else of the image stays byte for byte, and the
// same modules give the same digest.
package repack

import (
	"context"
	"crypto/x509"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kmodseal/kmodseal/pkg/manifest"
	"github.com/kmodseal/kmodseal/pkg/source"
)

// Modes.
const (
	Append  = "append"
	Rewrite = "rewrite"
)

// DefaultCertPath is where the DER certificate goes in the image.
const DefaultCertPath = "/usr/share/kmodseal/signer.der"

// Options of Run.
type Options struct {
	Kmods       string
	Trust       []*x509.Certificate
	Mode        string // Append unless given
	Source      string // SRC of kmods.json unless given
	Base        string // SRC, for a folder source; empty: scratch
	Destination string // DST
	InPlace     bool
	AlsoTags    []string
	CertPath    string // empty: none
	Images      source.Options
	Progress    func(phase string, done, total int64) // bytes; nil: none
	Warn        func(format string, args ...any)      // nil: discard
}

// Result is what the destination holds at the end.
type Result struct {
	Manifest            *manifest.Manifest // with the modules of the platforms that were chosen
	URL                 string             // destination without digest
	Digest              string             // sha256:<hex>; empty for a folder
	Pushed              bool               // false: the destination held it already
	Signer, Fingerprint string             // of the signing certificates; several are joined by ", "
	Signed              int                // modules with a good signature in the destination
	AddedBytes          int64              // compressed size of the new layers
}

// outcome is the image or the index (one of them nil) that is to be published.
type outcome struct {
	img     v1.Image
	idx     v1.ImageIndex
	tars    []tarball // instead of both, for a folder from a folder
	added   int64
	signers *signers
	modules []passed
}

// Run checks every module against the source, builds the image and publishes
// it, the tag last. On any error the destination is as it was. Faults: Usage
// for the options, Input for a kmods folder that is not of the source, Unsigned,
// Untrusted and Damaged for a module, Registry for what a registry answers.
func Run(ctx context.Context, o Options) (*Result, error) {
	j, err := prepare(o)
	if err != nil {
		return nil, err
	}
	defer j.close()
	if err := j.target(ctx); err != nil {
		return nil, err
	}
	src, err := j.open(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = src.Close() }() // read only
	if err := j.agree(src); err != nil {
		return nil, err
	}
	var out *outcome
	if src.Ref.Kind == source.Dir {
		out, err = j.folder(ctx, src.Ref.Name)
	} else {
		out, err = j.images(ctx, src)
	}
	if err != nil {
		return nil, err
	}
	return j.publish(ctx, out)
}
