// Package image holds the flags of the steps that touch images. It is apart
// from package step so that sign-kmods links no registry client.
package image

import (
	"context"
	"strings"

	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/source"
	"github.com/kmodseal/kmodseal/pkg/step"
)

// Flags are those of source.Options.
type Flags struct {
	Platform      []string `name:"platform" sep:"none" placeholder:"OS/ARCH" help:"Platform of an index to work on; several with commas or by repeating the flag. Default: all." group:"registry"`
	Insecure      bool     `name:"insecure" help:"Talk plain HTTP to the registry." group:"registry"`
	SkipTLSVerify bool     `name:"insecure-skip-tls-verify" help:"Do not check the registry's TLS certificate." group:"registry"`
	CAFile        string   `name:"ca-file" placeholder:"FILE" help:"PEM file of further certificate authorities for the registry." group:"registry"`
	RegistryAuth  string   `name:"registry-auth" placeholder:"FILE" help:"Credentials: a docker config.json. Default: the usual places (DOCKER_CONFIG, REGISTRY_AUTH_FILE, ~/.docker)." group:"registry"`
}

// Options are the flags as package source takes them.
func (f *Flags) Options(s *step.Session) source.Options {
	o := source.Options{
		Insecure: f.Insecure, SkipTLSVerify: f.SkipTLSVerify, CAFile: f.CAFile, AuthFile: f.RegistryAuth,
		Warn: s.Warn,
	}
	for _, p := range f.Platform {
		o.Platforms = append(o.Platforms, strings.Split(p, ",")...)
	}
	return o
}

// Open opens the SRC that a flag names; a name that is none is a fault of
// class Usage.
func Open(ctx context.Context, flag, src string, o source.Options) (*source.Source, error) {
	ref, err := source.Parse(src)
	if err != nil {
		return nil, fault.New(fault.Usage, "--%s: %w", flag, err)
	}
	return source.Open(ctx, ref, o)
}
