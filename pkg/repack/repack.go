// Package repack puts signed modules back into their image.
package repack

import (
	"context"
	"crypto/x509"

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
	Mode        string
	Source      string // SRC of kmods.json unless given
	Base        string // SRC, for a folder source; empty: scratch
	Destination string // DST
	InPlace     bool
	AlsoTags    []string
	CertPath    string // empty: none
	Images      source.Options
	Progress    func(phase string, done, total int64)
	Warn        func(format string, args ...any)
}

// Result is what the destination holds at the end.
type Result struct {
	Manifest            *manifest.Manifest
	URL                 string // destination without digest
	Digest              string
	Pushed              bool // false: the destination held it already
	Signer, Fingerprint string
	Signed              int
	AddedBytes          int64 // compressed size of the new layers
}

// Run checks every module against the source, builds the image and publishes it, the tag last.
func Run(ctx context.Context, o Options) (*Result, error) { panic("stub") }
