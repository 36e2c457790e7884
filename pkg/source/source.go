// Package source turns SRC and DST names into images, layouts, archives and
// folders. A source is resolved to a digest first and read by digest from then
// on; a destination gets its blobs first and its name last.
//
//	ref, err := source.Parse("ghcr.io/acme/driver:6.12")
//	src, err := source.Open(ctx, ref, source.Options{})
//	defer src.Close()
//	for _, img := range src.Images { ... }
package source

import (
	"context"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kmodseal/kmodseal/pkg/fault"
)

// Options for everything that touches images. The zero value is safe: HTTPS
// with the system's certificates and the usual credentials.
type Options struct {
	Platforms []string // os/arch[/variant]; empty: all
	// Insecure allows plain HTTP. Loopback, private (RFC 1918) and .local
	// registries are tried with HTTPS, then with plain HTTP, in any case, but get
	// no credentials over it unless they are this machine's own.
	Insecure      bool
	SkipTLSVerify bool
	CAFile        string // PEM, in addition to the system's certificates
	// AuthFile is a docker config.json, a Kubernetes dockerconfigjson or a
	// folder with one of the two, as a mounted Secret is. It replaces the usual
	// keychain: docker's configuration, else podman's auth.json.
	AuthFile  string
	UserAgent string                           // empty: kmodseal
	Warn      func(format string, args ...any) // nil: discard
	// Progress is told the compressed bytes that Put has stored or found stored;
	// total grows while the image is walked. Calls do not overlap. nil: none.
	Progress func(done, total int64)

	fastRetry bool // tests only
}

func (o Options) warn(format string, args ...any) {
	if o.Warn != nil {
		o.Warn(format, args...)
	}
}

// Source is an opened SRC.
type Source struct {
	Ref    Ref
	Digest v1.Hash // of the index or the manifest; zero for a folder
	// Pinned is the name with its digest, for annotations and results; Parse
	// reads it again, except that of a docker-archive.
	Pinned  string
	Index   v1.ImageIndex   // nil for a single image and a folder
	Entries []Entry         // all that Index lists, in its order; empty without Index
	Images  []Image         // one a chosen platform, sorted; empty for a folder
	Dropped []v1.Descriptor // index entries that are no image (attestations), nested ones included

	closer io.Closer
}

// Entry is one descriptor of an index.
type Entry struct {
	Descriptor v1.Descriptor
	Image      int     // index into Source.Images; -1: no image, or of a platform that was not chosen
	Artifact   bool    // no image: listed in Source.Dropped
	Entries    []Entry // of a nested index, in its order
}

// Image is one platform of a Source. Its layers check size and digest while
// they are read: an error at or before the end means that the bytes are not the
// ones the manifest names.
type Image struct {
	Platform   string // os/arch[/variant], fit for a path
	Descriptor v1.Descriptor
	v1.Image
}

// Open resolves r to a digest and gives its images. ctx has to live as long as
// the images are read. Faults are of class Registry for what a registry answers,
// Input for what is wrong with the content, Usage for a file that is not there.
//
// A docker-archive cannot name the digests that its layers had in a registry
// when it holds them inflated, as docker save writes them: such layers keep
// their inflated form, so their digest is their diff id, and the manifest is made
// from the archive.
func Open(ctx context.Context, r Ref, o Options) (*Source, error) {
	if _, err := parsePlatforms(o.Platforms); err != nil {
		return nil, err
	}
	switch r.Kind {
	case Docker:
		return openRegistry(ctx, r, o)
	case OCI:
		return openLayout(ctx, r, o)
	case OCIArchive:
		return openOCIArchive(ctx, r, o)
	case DockerArchive:
		return openDockerArchive(ctx, r, o)
	case Dir:
		return openDir(r)
	}
	return nil, fault.New(fault.Usage, "unknown transport %q", r.Kind)
}

// Close frees what Open holds open.
func (s *Source) Close() error {
	if s.closer == nil {
		return nil
	}
	return s.closer.Close()
}
