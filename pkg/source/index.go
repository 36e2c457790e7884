package source

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// index is an image index in a store; what Image and ImageIndex have read once
// is not fetched again.
type index struct {
	ctx    context.Context
	store  store
	desc   v1.Descriptor
	raw    []byte
	parsed *v1.IndexManifest

	mu       sync.Mutex
	children map[v1.Hash][]byte
}

var _ v1.ImageIndex = (*index)(nil)

func newIndex(ctx context.Context, s store, desc v1.Descriptor, raw []byte) (*index, error) {
	m, err := v1.ParseIndexManifest(bytes.NewReader(raw))
	if err != nil {
		return nil, wrapRead(ctx, s, desc, "manifest", err)
	}
	return &index{ctx: ctx, store: s, desc: desc, raw: raw, parsed: m, children: map[v1.Hash][]byte{}}, nil
}

func (x *index) MediaType() (types.MediaType, error)       { return x.desc.MediaType, nil }
func (x *index) Size() (int64, error)                      { return x.desc.Size, nil }
func (x *index) Digest() (v1.Hash, error)                  { return x.desc.Digest, nil }
func (x *index) Descriptor() (*v1.Descriptor, error)       { return x.desc.DeepCopy(), nil }
func (x *index) RawManifest() ([]byte, error)              { return x.raw, nil }
func (x *index) IndexManifest() (*v1.IndexManifest, error) { return x.parsed.DeepCopy(), nil }

func (x *index) Image(h v1.Hash) (v1.Image, error) {
	d, raw, err := x.child(h)
	if err != nil {
		return nil, err
	}
	return newImage(x.ctx, x.store, d, raw)
}

func (x *index) ImageIndex(h v1.Hash) (v1.ImageIndex, error) {
	d, raw, err := x.child(h)
	if err != nil {
		return nil, err
	}
	return newIndex(x.ctx, x.store, d, raw)
}

// Layer is a child that is neither an image nor an index. Pushes look for it.
func (x *index) Layer(h v1.Hash) (v1.Layer, error) {
	d, err := x.find(h)
	if err != nil {
		return nil, err
	}
	return newLayer(x.ctx, x.store, d, nil)
}

func (x *index) find(h v1.Hash) (v1.Descriptor, error) {
	i := slices.IndexFunc(x.parsed.Manifests, func(d v1.Descriptor) bool { return d.Digest == h })
	if i < 0 {
		return v1.Descriptor{}, fmt.Errorf("index %s of %s lists no %s", x.desc.Digest, x.store, h)
	}
	return x.parsed.Manifests[i], nil
}

func (x *index) child(h v1.Hash) (v1.Descriptor, []byte, error) {
	d, err := x.find(h)
	if err != nil {
		return d, nil, err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if raw, ok := x.children[h]; ok {
		return d, raw, nil
	}
	raw, err := readManifest(x.ctx, x.store, d)
	if err == nil {
		err = checkKind(x.ctx, x.store, d, raw)
	}
	if err == nil {
		x.children[h] = raw
	}
	return d, raw, err
}

// checkKind refuses a manifest that could be read as an image and as an index,
// or as another kind than its descriptor says: two tools would see two images
// (OCI image-spec advisory GHSA-77vh-xpmg-72qh).
func checkKind(ctx context.Context, s store, d v1.Descriptor, raw []byte) error {
	var m struct {
		MediaType types.MediaType `json:"mediaType"`
		Manifests json.RawMessage `json:"manifests"`
		Config    json.RawMessage `json:"config"`
		Layers    json.RawMessage `json:"layers"`
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return wrapRead(ctx, s, d, "manifest", err)
	}
	switch {
	case m.MediaType != "" && m.MediaType != d.MediaType:
		return wrapRead(ctx, s, d, "manifest", fmt.Errorf("media type %q where %q was announced", m.MediaType, d.MediaType))
	case m.Manifests != nil && (m.Config != nil || m.Layers != nil):
		return wrapRead(ctx, s, d, "manifest", fmt.Errorf("both an image and an index"))
	}
	return nil
}
