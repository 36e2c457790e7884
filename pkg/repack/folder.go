package repack

import (
	"archive/tar"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/kmodseal/kmodseal/pkg/extract"
	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/imagefs"
	"github.com/kmodseal/kmodseal/pkg/kmod"
	"github.com/kmodseal/kmodseal/pkg/manifest"
	"github.com/kmodseal/kmodseal/pkg/source"
)

// folder gives the image of a folder source: one layer with the folder's tree,
// its modules signed, on the base or on nothing. For a folder destination it
// gives the tree only.
func (j *job) folder(ctx context.Context, dir string) (*outcome, error) {
	if len(j.manifest.Platforms) != 1 {
		return nil, fault.New(fault.Input, "the kmods folder has %d platforms, a folder source has one", len(j.manifest.Platforms))
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open source folder: %w", err)
	}
	j.closers = append(j.closers, root)
	if err := j.sameFolder(ctx, root); err != nil {
		return nil, err
	}
	modules, err := j.inFolder(ctx, root)
	if err != nil {
		return nil, err
	}
	out := &outcome{signed: len(modules)}
	if out.signers, err = signersOf(modules); err != nil {
		return nil, err
	}
	p, err := j.pack(root, modules, out.signers)
	if err != nil {
		return nil, err
	}
	base, err := j.base(ctx)
	if err != nil {
		return nil, err
	}
	p.dirs = j.Base == "" // the base may have links where the folder has folders
	if p.facts = j.to.Kind == source.Dir; p.facts {
		if out.tars, err = tarsOf(base); err != nil {
			return nil, err
		}
		out.tars = append(out.tars, p.tar)
		return out, nil
	}
	if err := j.onto(ctx, base, p.tar, out); err != nil {
		return nil, err
	}
	return out, j.sameFolder(ctx, root) // nor has it changed meanwhile
}

// inFolder passes the modules through the gate.
func (j *job) inFolder(ctx context.Context, root *os.Root) ([]passed, error) {
	var ms []*manifest.Module
	var now []module
	for i := range j.manifest.Modules {
		m := &j.manifest.Modules[i]
		fi, err := root.Lstat(filepath.FromSlash(m.Path))
		if err != nil || !fi.Mode().IsRegular() || fi.Size() > kmod.DefaultLimit {
			return nil, fault.New(fault.Input, "module %s is not in the source folder", m.Path).Hint(extractAgain)
		}
		data, err := readFile(root, m.Path)
		if err != nil {
			return nil, err
		}
		ms = append(ms, m)
		now = append(now, module{File: imagefs.File{Path: m.Path}, original: newOriginal(&tar.Header{ModTime: fi.ModTime()}, data)})
	}
	return j.gate.all(ctx, ms, now)
}

func readFile(root *os.Root, name string) ([]byte, error) {
	f, err := root.Open(filepath.FromSlash(name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, kmod.DefaultLimit+1))
}

// pack lists the folder and puts the signed modules and the certificate in.
func (j *job) pack(root *os.Root, modules []passed, s *signers) (*packer, error) {
	p, special, err := newPacker(root)
	if err != nil {
		return nil, fmt.Errorf("list source folder: %w", err)
	}
	if len(special) > 0 {
		j.Warn("left out: %d device nodes, pipes and sockets, the first is %s", len(special), special[0])
	}
	known := map[string]bool{}
	p.new = map[string]content{}
	for i := range modules {
		known[modules[i].module.Path] = true
		for _, l := range modules[i].module.HardLinks {
			known[l] = true
		}
		if modules[i].changed {
			p.new[modules[i].module.Path] = j.gate.content(&modules[i])
		}
	}
	if j.certPath != "" && s.anchor != nil {
		p.tail = []file{certificate(j.certPath, s.anchor.Raw, time.Unix(0, 0))}
	}
	return p, j.leftInFolder(root, p, known)
}

// leftInFolder warns of unsigned modules that the kmods folder leaves out.
func (j *job) leftInFolder(root *os.Root, p *packer, known map[string]bool) error {
	var left []string
	for _, n := range p.nodes {
		if !n.info.Mode().IsRegular() || !isModule(n.path) || known[n.path] || n.info.Size() > kmod.DefaultLimit {
			continue
		}
		data, err := readFile(root, n.path)
		if err != nil {
			return err
		}
		if newOriginal(nil, data).sigs == 0 {
			left = append(left, n.path)
		}
	}
	leftover(j.Warn, j.manifest.Platforms[0].Platform, left)
	return nil
}

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

// sameFolder compares the folder with the digest that was recorded.
func (j *job) sameFolder(ctx context.Context, root *os.Root) error {
	got, err := extract.FolderDigest(ctx, root)
	if err != nil {
		return fmt.Errorf("read source folder: %w", err)
	}
	if got != j.manifest.Source.Digest {
		return fault.New(fault.Input, "source %s is not as it was when the modules were extracted", j.from).Hint(extractAgain)
	}
	return nil
}
