package source

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// image is an image manifest in a store. It holds the context of Open, since
// the interfaces of go-containerregistry take none.
type image struct {
	ctx    context.Context
	store  store
	desc   v1.Descriptor
	raw    []byte
	parsed *v1.Manifest
	config func() ([]byte, error)
}

var _ v1.Image = (*image)(nil)

func newImage(ctx context.Context, s store, desc v1.Descriptor, raw []byte) (*image, error) {
	m, err := v1.ParseManifest(bytes.NewReader(raw))
	if err != nil {
		return nil, wrapRead(ctx, s, desc, "manifest", err)
	}
	config := sync.OnceValues(func() ([]byte, error) { return readAll(ctx, s, m.Config, "configuration") })
	return &image{ctx: ctx, store: s, desc: desc, raw: raw, parsed: m, config: config}, nil
}

func (i *image) MediaType() (types.MediaType, error)     { return i.desc.MediaType, nil }
func (i *image) Size() (int64, error)                    { return i.desc.Size, nil }
func (i *image) Digest() (v1.Hash, error)                { return i.desc.Digest, nil }
func (i *image) Descriptor() (*v1.Descriptor, error)     { return i.desc.DeepCopy(), nil }
func (i *image) RawManifest() ([]byte, error)            { return i.raw, nil }
func (i *image) Manifest() (*v1.Manifest, error)         { return i.parsed.DeepCopy(), nil }
func (i *image) ConfigName() (v1.Hash, error)            { return i.parsed.Config.Digest, nil }
func (i *image) RawConfigFile() ([]byte, error)          { return i.config() }
func (i *image) ConfigFile() (*v1.ConfigFile, error)     { return partial.ConfigFile(i) }
func (i *image) ConfigLayer() (v1.Layer, error)          { return i.layer(i.parsed.Config) }
func (i *image) layer(d v1.Descriptor) (v1.Layer, error) { return newLayer(i.ctx, i.store, d, i) }

func (i *image) Layers() ([]v1.Layer, error) {
	ls := make([]v1.Layer, 0, len(i.parsed.Layers))
	for _, d := range i.parsed.Layers {
		l, err := i.layer(d)
		if err != nil {
			return nil, err
		}
		ls = append(ls, l)
	}
	return ls, nil
}

func (i *image) LayerByDigest(h v1.Hash) (v1.Layer, error) {
	d, err := partial.BlobDescriptor(i, h)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", i.store, err)
	}
	return i.layer(*d)
}

func (i *image) LayerByDiffID(h v1.Hash) (v1.Layer, error) {
	d, err := partial.DiffIDToBlob(i, h)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", i.store, err)
	}
	return i.LayerByDigest(d)
}

// blob is a layer or a configuration of an image, or another child of an index.
type blob struct {
	ctx   context.Context
	store store
	desc  v1.Descriptor
	image *image // nil: of an index
}

// newLayer makes the blob a layer; one of a registry can be mounted by a push to
// the same registry, for which the push wants exactly this outermost type.
func newLayer(ctx context.Context, s store, d v1.Descriptor, of *image) (v1.Layer, error) {
	l, err := partial.CompressedToLayer(&blob{ctx: ctx, store: s, desc: d, image: of})
	if err != nil {
		return nil, err
	}
	if repo, ok := s.repository(); ok {
		return &remote.MountableLayer{Layer: l, Reference: repo.Digest(d.Digest.String())}, nil
	}
	return l, nil
}

func (b *blob) Digest() (v1.Hash, error)            { return b.desc.Digest, nil }
func (b *blob) Size() (int64, error)                { return b.desc.Size, nil }
func (b *blob) MediaType() (types.MediaType, error) { return b.desc.MediaType, nil }
func (b *blob) Descriptor() (*v1.Descriptor, error) { return b.desc.DeepCopy(), nil }
func (b *blob) Compressed() (io.ReadCloser, error)  { return openBlob(b.ctx, b.store, b.desc, b.what()) }

func (b *blob) what() string {
	switch {
	case b.image == nil:
		return "blob"
	case b.desc.Digest == b.image.parsed.Config.Digest:
		return "configuration"
	}
	return "layer"
}

// DiffID is the one that the image's configuration gives, unchecked.
func (b *blob) DiffID() (v1.Hash, error) {
	if b.image == nil {
		return v1.Hash{}, fmt.Errorf("%s is no layer of an image", b.desc.Digest)
	}
	return partial.BlobToDiffID(b.image, b.desc.Digest)
}
