package repack

import (
	"encoding/json"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/source"
)

// index is an index given as bytes. What is not in images and nested comes from
// the source's index.
type index struct {
	base     v1.ImageIndex
	manifest []byte
	images   map[v1.Hash]v1.Image
	nested   map[v1.Hash]v1.ImageIndex
}

var _ v1.ImageIndex = (*index)(nil)

// MediaType is the source's.
func (i *index) MediaType() (types.MediaType, error) { return i.base.MediaType() }

// Digest of the index.
func (i *index) Digest() (v1.Hash, error) { return partial.Digest(i) }

// Size of the index, without what it lists.
func (i *index) Size() (int64, error) { return int64(len(i.manifest)), nil }

// RawManifest is the index as it is pushed.
func (i *index) RawManifest() ([]byte, error) { return i.manifest, nil }

// IndexManifest is the parsed index.
func (i *index) IndexManifest() (*v1.IndexManifest, error) {
	var m v1.IndexManifest
	return &m, json.Unmarshal(i.manifest, &m)
}

// Image is a new image, else the source's.
func (i *index) Image(h v1.Hash) (v1.Image, error) {
	if img := i.images[h]; img != nil {
		return img, nil
	}
	return i.base.Image(h)
}

// ImageIndex is a new nested index, else the source's.
func (i *index) ImageIndex(h v1.Hash) (v1.ImageIndex, error) {
	if idx := i.nested[h]; idx != nil {
		return idx, nil
	}
	return i.base.ImageIndex(h)
}

// Layer is what the source lists that is neither image nor index.
func (i *index) Layer(h v1.Hash) (v1.Layer, error) {
	if l, ok := i.base.(interface {
		Layer(v1.Hash) (v1.Layer, error)
	}); ok {
		return l.Layer(h)
	}
	return nil, fmt.Errorf("no blob %s in the index", h)
}

// reindexer makes the index of the new images.
type reindexer struct {
	images []v1.Image // as Source.Images; one that is the source's own is unchanged
	gone   map[string]bool
	notes  []note
	warn   func(format string, args ...any)
}

// index is base with its images replaced, those of other platforms left out,
// and what refers to an image that is no longer there dropped. Order,
// annotations and platform fields stay. An index without change is base itself,
// one of which nothing stays is nil.
func (r *reindexer) index(base v1.ImageIndex, entries []source.Entry) (v1.ImageIndex, error) {
	raw, err := base.RawManifest()
	if err != nil {
		return nil, err
	}
	m, err := parseObject(raw, "manifests", "annotations")
	if err != nil {
		return nil, fault.New(fault.Input, "parse index: %w", err).Hint(brokenImage)
	}
	olds, err := array(m.get("manifests"))
	if err != nil || len(olds) != len(entries) {
		return nil, fault.New(fault.Input, "parse index: %d entries read, %d listed", len(olds), len(entries))
	}
	out := &index{base: base, images: map[v1.Hash]v1.Image{}, nested: map[v1.Hash]v1.ImageIndex{}}
	news := make([]json.RawMessage, len(olds))
	for i := range entries { // images first: what refers to them may come before them
		if !entries[i].Artifact {
			if news[i], err = r.entry(out, olds[i], &entries[i]); err != nil {
				return nil, err
			}
		}
	}
	var kept []json.RawMessage
	changed := false
	for i := range entries {
		if entries[i].Artifact && !r.orphan(&entries[i]) {
			news[i] = olds[i]
		}
		changed = changed || string(news[i]) != string(olds[i])
		if news[i] != nil {
			kept = append(kept, news[i])
		}
	}
	if !changed {
		return base, nil
	}
	if len(kept) == 0 {
		return nil, nil
	}
	m.set("manifests", list(kept))
	if mt, err := base.MediaType(); err == nil && mt == types.OCIImageIndex {
		if err := annotate(&m, r.notes); err != nil {
			return nil, fault.New(fault.Input, "edit index: %w", err).Hint(brokenImage)
		}
	}
	out.manifest = m.raw()
	return out, nil
}

// entry is the new descriptor of an image or a nested index; nil: it goes.
func (r *reindexer) entry(out *index, old json.RawMessage, e *source.Entry) (json.RawMessage, error) {
	var now interface {
		Digest() (v1.Hash, error)
		Size() (int64, error)
	}
	switch {
	case e.Image >= 0:
		now = r.images[e.Image]
	case len(e.Entries) > 0:
		base, err := out.base.ImageIndex(e.Descriptor.Digest)
		if err != nil {
			return nil, err
		}
		nested := *r
		nested.notes = nil
		idx, err := nested.index(base, e.Entries)
		if err != nil || idx == nil {
			return nil, err
		}
		now = idx
	default:
		r.gone[e.Descriptor.Digest.String()] = true
		return nil, nil
	}
	h, err := now.Digest()
	if err != nil || h == e.Descriptor.Digest {
		return old, err
	}
	r.gone[e.Descriptor.Digest.String()] = true
	switch now := now.(type) {
	case v1.Image:
		out.images[h] = now
	case v1.ImageIndex:
		out.nested[h] = now
	}
	size, err := now.Size()
	if err != nil {
		return nil, err
	}
	return repoint(old, h.String(), size)
}

// orphan says whether e is about an image that is no longer there, as a
// BuildKit attestation is.
func (r *reindexer) orphan(e *source.Entry) bool {
	of := e.Descriptor.Annotations["vnd.docker.reference.digest"]
	if of == "" || !r.gone[of] {
		return false
	}
	r.warn("attestation %s is left out: it is about %s, which is not in the new index", e.Descriptor.Digest, of)
	return true
}
