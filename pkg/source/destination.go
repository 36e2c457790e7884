package source

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kmodseal/kmodseal/pkg/fault"
)

// Destination is an opened DST of a kind that holds images (not dir).
type Destination struct {
	ref Ref
	to  target
}

// target is a destination of one kind.
type target interface {
	digest(ctx context.Context) (v1.Hash, bool, error)
	put(ctx context.Context, o object) error
	tag(ctx context.Context, digest v1.Hash, tags []string) error
}

// Create checks r for writing as far as that goes without writing: the form of
// the name, that a folder can be written to, that nothing else is in the way.
// Nothing is written yet. Faults are of class Usage, or Registry for credentials.
func Create(_ context.Context, r Ref, o Options) (*Destination, error) {
	if r.byDigest() {
		return nil, fault.New(fault.Usage, "destination %s is a digest", r).Hint("name a tag; the digest comes out of the signing")
	}
	d := &Destination{ref: r}
	switch r.Kind {
	case Docker:
		g, err := openRepository(r, o)
		if err != nil {
			return nil, err
		}
		if _, ok := g.ref.(name.Tag); !ok {
			return nil, fault.New(fault.Usage, "destination %s is a digest", r).Hint("name a tag; the digest comes out of the signing")
		}
		d.to = &repositoryTarget{registry: g, opts: o}
		return d, nil
	case OCI:
		d.to = &layoutTarget{ref: r, opts: o}
		return d, checkLayoutTarget(r)
	case OCIArchive, DockerArchive:
		d.to = &archiveTarget{ref: r, opts: o}
		return d, checkArchiveTarget(r)
	}
	return nil, fault.New(fault.Usage, "destination %s cannot hold an image", r).
		Hint("write docker://REF, oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker-archive:FILE[:REF]")
}

// Digest is what r names now; ok is false where there is nothing. A
// docker-archive has no digest of its own, so what Open makes of one need not be
// what Put wrote there.
func (d *Destination) Digest(ctx context.Context) (digest v1.Hash, ok bool, err error) {
	return d.to.digest(ctx)
}

// Holds says whether r names img or idx (one of them nil) already. A
// docker-archive has no digest of its own: there the configuration decides, which
// names the content of every layer.
func (d *Destination) Holds(ctx context.Context, img v1.Image, idx v1.ImageIndex) (bool, error) {
	o, err := newObject(img, idx)
	if err != nil {
		return false, err
	}
	if d.ref.Kind == DockerArchive {
		return d.ref.savedAlready(ctx, o), ctx.Err()
	}
	there, ok, err := d.to.digest(ctx)
	return ok && there == o.digest, err
}

// Put writes img or idx (one of them nil): blobs, then manifests by digest, then
// the tag. What the destination holds already is not written again, and blobs
// of the same registry are mounted. After an error the tag names what it named
// before and no temporary file is left; blobs that reached a registry stay there
// without a name. A docker-archive holds one image: an index with more than one
// is a fault of class Usage.
func (d *Destination) Put(ctx context.Context, img v1.Image, idx v1.ImageIndex) error {
	o, err := newObject(img, idx)
	if err != nil {
		return err
	}
	return d.to.put(ctx, o)
}

// CheckTags refuses what Tag would refuse for its form, before anything is
// published. Faults are of class Usage.
func (d *Destination) CheckTags(tags []string) error {
	for _, tag := range tags {
		if !validTag(tag) {
			return fault.New(fault.Usage, "%q is no tag", tag).Hint("up to 128 of A-Z a-z 0-9 _ . -, not starting with . or -")
		}
	}
	if len(tags) > 0 && d.ref.Kind == DockerArchive && d.ref.Tag == "" {
		return fault.New(fault.Usage, "%s: further tags need a name", d.ref).Hint("write docker-archive:FILE:NAME:TAG")
	}
	return nil
}

// Tag lets further tags of the same repository, layout or archive name digest,
// which Put has written or Digest has found.
func (d *Destination) Tag(ctx context.Context, digest v1.Hash, tags []string) error {
	if err := d.CheckTags(tags); err != nil || len(tags) == 0 {
		return err
	}
	return d.to.tag(ctx, digest, tags)
}

// validTag is the tag grammar of the OCI distribution-spec.
func validTag(s string) bool {
	for _, c := range s {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '.', c == '-':
		default:
			return false
		}
	}
	return s != "" && len(s) <= 128 && s[0] != '.' && s[0] != '-'
}

// object is what is to be written.
type object struct {
	img    v1.Image
	idx    v1.ImageIndex
	digest v1.Hash
}

func newObject(img v1.Image, idx v1.ImageIndex) (object, error) {
	if (img == nil) == (idx == nil) {
		return object{}, errors.New("put wants an image or an index")
	}
	// The wrapper hides ConfigLayer, which lets the configuration be mounted.
	switch w := img.(type) {
	case Image:
		img = w.Image
	case *Image:
		img = w.Image
	}
	o := object{img: img, idx: idx}
	var err error
	if img != nil {
		o.digest, err = img.Digest()
	} else {
		o.digest, err = idx.Digest()
	}
	if err != nil {
		return object{}, fmt.Errorf("compute digest: %w", err)
	}
	return o, nil
}

// repositoryTarget is a tag of a registry.
type repositoryTarget struct {
	registry *registry
	opts     Options
}

func (t *repositoryTarget) digest(ctx context.Context) (v1.Hash, bool, error) {
	return t.registry.digest(ctx)
}

func (t *repositoryTarget) put(ctx context.Context, o object) error {
	if o.img != nil {
		return t.registry.put(ctx, o.img, o.digest, t.opts.Progress)
	}
	return t.registry.put(ctx, o.idx, o.digest, t.opts.Progress)
}

func (t *repositoryTarget) tag(ctx context.Context, digest v1.Hash, tags []string) error {
	return t.registry.tag(ctx, digest, tags)
}
