package source

import (
	"bytes"
	"context"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"

	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/progress"
)

// part is one blob of an object.
type part struct {
	desc     v1.Descriptor
	what     string
	manifest bool
	open     func() (io.ReadCloser, error)
}

// parts lists every blob of o once, children before parents, so that whoever
// writes in this order never has a manifest without what it names.
func (o object) parts() ([]part, error) {
	c := &collector{seen: map[v1.Hash]bool{}}
	var err error
	if o.img != nil {
		err = c.image(o.img)
	} else {
		err = c.index(o.idx)
	}
	return c.parts, err
}

// descriptor is that of the manifest of o.
func (o object) descriptor() (v1.Descriptor, error) {
	var m partial.Describable = o.idx
	if o.img != nil {
		m = o.img
	}
	mt, err := m.MediaType()
	if err != nil {
		return v1.Descriptor{}, err
	}
	size, err := m.Size()
	return v1.Descriptor{MediaType: mt, Size: size, Digest: o.digest}, err
}

type collector struct {
	seen  map[v1.Hash]bool
	parts []part
}

func (c *collector) add(p part) {
	if !c.seen[p.desc.Digest] {
		c.seen[p.desc.Digest] = true
		c.parts = append(c.parts, p)
	}
}

func (c *collector) bytes(b []byte, what string, manifest bool) error {
	h, n, err := v1.SHA256(bytes.NewReader(b))
	if err != nil {
		return err
	}
	c.add(part{
		desc: v1.Descriptor{Digest: h, Size: n}, what: what, manifest: manifest,
		open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil },
	})
	return nil
}

func (c *collector) layer(l v1.Layer, what string) error {
	h, err := l.Digest()
	if err != nil {
		return err
	}
	n, err := l.Size()
	if err != nil {
		return err
	}
	mt, err := l.MediaType()
	if err != nil {
		return err
	}
	c.add(part{desc: v1.Descriptor{MediaType: mt, Digest: h, Size: n}, what: what, open: l.Compressed})
	return nil
}

func (c *collector) image(img v1.Image) error {
	layers, err := img.Layers()
	if err != nil {
		return fmt.Errorf("list layers: %w", err)
	}
	for _, l := range layers {
		if err := c.layer(l, "layer"); err != nil {
			return fmt.Errorf("list layers: %w", err)
		}
	}
	config, err := img.RawConfigFile()
	if err != nil {
		return err
	}
	if err := c.bytes(config, "configuration", false); err != nil {
		return err
	}
	return c.raw(img)
}

type rawManifest interface{ RawManifest() ([]byte, error) }

func (c *collector) raw(m rawManifest) error {
	raw, err := m.RawManifest()
	if err != nil {
		return err
	}
	return c.bytes(raw, "manifest", true)
}

func (c *collector) index(idx v1.ImageIndex) error {
	m, err := idx.IndexManifest()
	if err != nil {
		return err
	}
	for _, d := range m.Manifests {
		if err := c.child(idx, d); err != nil {
			return err
		}
	}
	return c.raw(idx)
}

func (c *collector) child(idx v1.ImageIndex, d v1.Descriptor) error {
	switch {
	case d.MediaType.IsIndex():
		child, err := idx.ImageIndex(d.Digest)
		if err != nil {
			return err
		}
		return c.index(child)
	case d.MediaType.IsImage():
		child, err := idx.Image(d.Digest)
		if err != nil {
			return err
		}
		return c.image(child)
	}
	withLayer, ok := idx.(interface {
		Layer(h v1.Hash) (v1.Layer, error)
	})
	if !ok {
		return fmt.Errorf("index entry %s of type %q cannot be read", d.Digest, clean(string(d.MediaType)))
	}
	child, err := withLayer.Layer(d.Digest)
	if err != nil {
		return err
	}
	return c.layer(child, "blob")
}

// written is the origin of what is being written; a fault in it is our own,
// unless a source below has said otherwise.
type written struct{}

func (written) String() string     { return "the image to write" }
func (written) class() fault.Class { return fault.Internal }

// copyTo writes the bytes of p and checks that they are the ones it names.
func (p part) copyTo(ctx context.Context, w io.Writer) error {
	rc, err := p.open()
	if err != nil {
		return wrapRead(ctx, written{}, p.desc, p.what, err)
	}
	c, err := newChecked(ctx, written{}, p.desc, p.what, rc, false)
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = io.Copy(w, c)
	return err
}

func newMeter(parts []part, tell func(done, total int64)) *progress.Meter {
	m := &progress.Meter{}
	if tell != nil {
		m.Tell = func(_ string, done, total int64) { tell(done, total) }
	}
	for _, p := range parts {
		m.Total += p.desc.Size
	}
	return m
}
