package repack

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/kmod"
	"github.com/kmodseal/kmodseal/pkg/source"
)

// base is the image to build on.
func (j *job) base(ctx context.Context) (v1.Image, error) {
	platform := j.manifest.Platforms[0].Platform
	if j.Base == "" {
		return scratch(platform), nil
	}
	r, err := source.Parse(j.Base)
	if err != nil {
		return nil, err
	}
	if r.Kind == source.Dir {
		return nil, fault.New(fault.Usage, "base %s is no image", r)
	}
	o := j.Images
	o.Platforms, o.Warn = []string{platform}, j.Warn
	src, err := source.Open(ctx, r, o)
	if err != nil {
		return nil, fmt.Errorf("open base: %w", err)
	}
	j.closers = append(j.closers, src)
	if len(src.Images) != 1 || src.Images[0].Platform != platform {
		return nil, fault.New(fault.Usage, "base %s has not exactly one image for %s", r, platform)
	}
	if n, err := name.ParseReference(r.Name); err == nil && r.Kind == source.Docker {
		j.baseRef = n.Name()
	}
	return src.Images[0].Image, nil
}

// scratch is an image without layers.
func scratch(platform string) *image {
	parts := strings.SplitN(platform, "/", 3)
	var c, rootfs, m object
	c.set("architecture", parts[1])
	c.set("os", parts[0])
	if len(parts) == 3 {
		c.set("variant", parts[2])
	}
	c.set("config", object{}.raw())
	rootfs.set("type", "layers")
	rootfs.set("diff_ids", list(nil))
	c.set("rootfs", rootfs.raw())
	m.set("schemaVersion", 2)
	m.set("mediaType", types.OCIManifestSchema1)
	m.set("config", v1.Descriptor{MediaType: types.OCIConfigJSON})
	m.set("layers", list(nil))
	return &image{media: types.OCIManifestSchema1, manifest: m.raw(), config: c.raw()}
}

// onto puts the layer on base.
func (j *job) onto(ctx context.Context, base v1.Image, tree tarball, out *outcome) error {
	manifest, err := base.MediaType()
	if err != nil {
		return err
	}
	media, codec := topMedia(manifest, topOf(base)), kmod.Gzip
	if strings.HasSuffix(string(media), "zstd") {
		codec = kmod.Zstd
	}
	top, err := newLayer(ctx, media, codec, quick, tree)
	if err != nil {
		return err
	}
	s := &sealer{signers: out.signers}
	h, err := v1.NewHash(j.manifest.Source.Digest)
	if err != nil {
		return err
	}
	notes := s.notes(h)[:3]
	if j.Base != "" {
		if h, err = base.Digest(); err != nil {
			return err
		}
		notes = append(notes, note{key: noteBaseDigest, value: h.String(), keep: true})
		if j.baseRef != "" {
			notes = append(notes, note{key: noteBaseName, value: j.baseRef, keep: true})
		}
	}
	out.added = top.size
	out.img, err = rebuild(base, nil, top, notes)
	return err
}

// topOf is the media type of the uppermost layer; empty: there is none.
func topOf(img v1.Image) types.MediaType {
	layers, err := img.Layers()
	if err != nil || len(layers) == 0 {
		return ""
	}
	mt, _ := layers[len(layers)-1].MediaType()
	return cmp.Or(mt, "")
}
