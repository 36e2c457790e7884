// Package source turns SRC and DST names into images, layouts, archives and
// folders.
package source

import (
	"context"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Kind is the transport before the colon.
type Kind string

// The transports, spelt as skopeo spells them.
const (
	Docker        Kind = "docker"
	OCI           Kind = "oci"
	OCIArchive    Kind = "oci-archive"
	DockerArchive Kind = "docker-archive"
	Dir           Kind = "dir"
)

// Ref is a parsed SRC or DST.
type Ref struct {
	Kind Kind
	Name string // registry reference with tag or digest, or a path
	Tag  string // oci: only
}

// Parse reads REF, docker://REF, oci:DIR[:TAG], oci-archive:FILE, docker-archive:FILE or dir:PATH.
func Parse(s string) (Ref, error) { panic("stub") }

func (r Ref) String() string { panic("stub") }

// Options for everything that touches images.
type Options struct {
	Platforms               []string // os/arch[/variant]; empty: all
	Insecure, SkipTLSVerify bool
	CAFile                  string
	AuthFile                string                           // docker config.json; empty: the usual keychain
	Warn                    func(format string, args ...any) // nil: discard
}

// Source is an opened SRC.
type Source struct {
	Ref     Ref
	Digest  v1.Hash         // of the index or the manifest; zero for a folder
	Pinned  string          // the name with its digest, for annotations and results
	Index   v1.ImageIndex   // nil for a single image and a folder
	Images  []Image         // one a chosen platform, sorted; empty for a folder
	Dropped []v1.Descriptor // index entries that are no image (attestations)
}

// Image is one platform of a Source.
type Image struct {
	Platform   string
	Descriptor v1.Descriptor
	v1.Image
}

// Open resolves r to a digest and gives its images. Faults are of class Registry or Input.
func Open(ctx context.Context, r Ref, o Options) (*Source, error) { panic("stub") }

// Close frees what Open holds open.
func (s *Source) Close() error { panic("stub") }

// Destination is an opened DST of a kind that holds images (not dir).
type Destination struct{}

// Create checks r for writing; nothing is written yet.
func Create(ctx context.Context, r Ref, o Options) (*Destination, error) { panic("stub") }

// Digest is what r names now; ok is false where there is nothing.
func (d *Destination) Digest(ctx context.Context) (digest v1.Hash, ok bool, err error) { panic("stub") }

// Put writes img or idx (one of them nil): blobs, then manifests by digest, then the tag.
func (d *Destination) Put(ctx context.Context, img v1.Image, idx v1.ImageIndex) error { panic("stub") }

// Tag lets further tags of the same repository name digest.
func (d *Destination) Tag(ctx context.Context, digest v1.Hash, tags []string) error { panic("stub") }
