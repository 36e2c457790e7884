// Package repackimage is the step that puts signed modules back into their image.
package repackimage

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/kmodseal/kmodseal/pkg/ci"
	"github.com/kmodseal/kmodseal/pkg/repack"
	"github.com/kmodseal/kmodseal/pkg/report"
	"github.com/kmodseal/kmodseal/pkg/source"
	"github.com/kmodseal/kmodseal/pkg/step"
	"github.com/kmodseal/kmodseal/pkg/step/image"
)

type command struct {
	Kmods       string   `name:"kmods" default:"kmods" placeholder:"DIR" help:"The kmods folder with the signed modules." group:"input"`
	Trust       []string `name:"trust" required:"" sep:"none" placeholder:"FILE" help:"Certificate that every module has to be signed with; a file or a folder, PEM or DER." group:"input"`
	Base        string   `name:"base" placeholder:"SRC" help:"Image to put the modules on where they come from a folder. Default: an empty one." group:"input"`
	Destination string   `name:"destination" required:"" placeholder:"DST" help:"Signed image: REF, docker://REF, oci:DIR[:TAG], oci-archive:FILE, docker-archive:FILE, or dir:PATH for its plain tree." group:"output"`
	Mode        string   `name:"mode" default:"append" enum:"append,rewrite" help:"append adds one layer; rewrite replaces the layers that hold modules, so that no unsigned copy stays." group:"output"`
	InPlace     bool     `name:"in-place" help:"Allow the destination to be the source's own name." group:"output"`
	AlsoTag     []string `name:"also-tag" sep:"none" placeholder:"TAG" help:"Further tag for the signed image in the destination's repository." group:"output"`
	CertPath    string   `name:"cert-path" default:"/usr/share/kmodseal/signer.der" emptyenv:"" placeholder:"PATH" help:"Where the certificate (DER) goes in the image; empty: nowhere." group:"output"`
	image.Flags
	step.Common
}

// New gives the step.
func New() step.Command { return &command{} }

// About implements step.Command.
func (c *command) About() step.About {
	return step.About{
		Name:    "repack-image",
		Summary: "put signed modules back into their image",
		Long: `Checks for itself that each module of the kmods folder is the source's module plus one valid signature
by the trusted certificate, builds the signed image, and publishes it: blobs first, the tag last. Everything else
of the image stays byte for byte. The same modules give the same digest; where the destination holds it already,
nothing is pushed.`,
		Usage: []string{"--destination DST --trust FILE [--kmods DIR] [--mode append|rewrite] [flags]"},
		Examples: []step.Example{
			{Text: "publish beside the source", Line: "repack-image --destination registry.example.com/driver:1.0-signed --trust cert.pem"},
			{Text: "leave no unsigned copy in the image", Line: "repack-image --destination registry.example.com/driver:1.0-signed --trust cert.pem --mode rewrite"},
			{Text: "an image from a folder of modules", Line: "repack-image --destination oci:signed:latest --trust cert.pem --base docker.io/library/debian:12"},
		},
		Codes: []int{3, 4, 5, 6, 7, 8, 9},
	}
}

// Run implements step.Command.
func (c *command) Run(ctx context.Context, s *step.Session) error {
	trust, err := step.Trust(c.Trust)
	if err != nil {
		return err
	}
	res, err := repack.Run(ctx, repack.Options{
		Kmods: c.Kmods, Trust: trust, Mode: c.Mode, Base: c.Base, Destination: c.Destination, InPlace: c.InPlace,
		AlsoTags: c.AlsoTag, CertPath: c.CertPath, Images: c.Options(s), Progress: s.Progress, Warn: s.Warn,
	})
	if err != nil {
		return err
	}
	c.tell(s, res)
	return nil
}

func (c *command) tell(s *step.Session, res *repack.Result) {
	s.Report = report.FromManifest(c.About().Name, res.Manifest)
	s.Report.Image, s.Report.Digest = res.URL, res.Digest
	if !res.Pushed {
		s.Report.Notes = append(s.Report.Notes, "the destination held this image already, nothing was pushed")
	}
	s.Results.Set(ci.Image, res.URL)
	s.Results.Set(ci.Digest, res.Digest)
	tellTekton(s, res)
	s.Results.Set(ci.SourceDigest, res.Manifest.Source.Digest)
	s.Results.Set(ci.KernelReleases, strings.Join(s.Report.Kernels(), ","))
	s.Count(ci.ModuleCount, len(res.Manifest.Modules))
	s.Count(ci.SignedCount, res.Signed)
	s.Results.Set(ci.Signer, res.Signer)
	s.Results.Set(ci.CertFingerprint, res.Fingerprint)
}

// tellTekton adds what later Tasks and Tekton Chains ask for. A source that is
// no image of a registry has no name that would mean anything to Chains.
func tellTekton(s *step.Session, res *repack.Result) {
	s.Results.Set(ci.ImageRef, s.Report.Pinned())
	from := res.Manifest.Source
	if from.Kind != string(source.Docker) {
		return
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(from.Name, "docker://"), "@")
	b, _ := json.Marshal(map[string]string{"uri": "oci://" + name, "digest": from.Digest}) //nolint:errcheck,errchkjson // strings
	s.Results.Set(ci.SourceInput, string(b))
}
