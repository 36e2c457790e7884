package repack

import (
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// image is a manifest and a configuration given as bytes, so that nothing in
// them is lost to a Go type, over layers of which most are the source's own.
type image struct {
	media    types.MediaType
	manifest []byte
	config   []byte
	layers   []v1.Layer
}

var _ v1.Image = (*image)(nil)

// Layers, lowest first.
func (i *image) Layers() ([]v1.Layer, error) { return i.layers, nil }

// MediaType of the manifest.
func (i *image) MediaType() (types.MediaType, error) { return i.media, nil }

// Size of the manifest.
func (i *image) Size() (int64, error) { return int64(len(i.manifest)), nil }

// RawManifest is the manifest as it is pushed.
func (i *image) RawManifest() ([]byte, error) { return i.manifest, nil }

// Manifest is the parsed manifest.
func (i *image) Manifest() (*v1.Manifest, error) { return partial.Manifest(i) }

// Digest of the manifest.
func (i *image) Digest() (v1.Hash, error) { return partial.Digest(i) }

// RawConfigFile is the configuration as it is pushed.
func (i *image) RawConfigFile() ([]byte, error) { return i.config, nil }

// ConfigFile is the parsed configuration.
func (i *image) ConfigFile() (*v1.ConfigFile, error) { return partial.ConfigFile(i) }

// ConfigName is the digest of the configuration.
func (i *image) ConfigName() (v1.Hash, error) { return partial.ConfigName(i) }

// LayerByDigest finds a layer by its compressed digest, or the configuration.
func (i *image) LayerByDigest(h v1.Hash) (v1.Layer, error) {
	if name, err := i.ConfigName(); err == nil && name == h {
		return partial.ConfigLayer(i)
	}
	return i.find(h, v1.Layer.Digest)
}

// LayerByDiffID finds a layer by the digest of its tar stream.
func (i *image) LayerByDiffID(h v1.Hash) (v1.Layer, error) { return i.find(h, v1.Layer.DiffID) }

func (i *image) find(h v1.Hash, by func(v1.Layer) (v1.Hash, error)) (v1.Layer, error) {
	for _, l := range i.layers {
		if got, err := by(l); err == nil && got == h {
			return l, nil
		}
	}
	return nil, fmt.Errorf("no layer %s", h)
}
