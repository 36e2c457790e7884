package source

import (
	"archive/tar"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/progress"
)

// archiveTarget is an oci-archive or docker-archive file. It is written as a
// whole: what the file held before is gone.
type archiveTarget struct {
	ref  Ref
	opts Options
}

func checkArchiveTarget(r Ref) error {
	dir := filepath.Dir(r.Name)
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return fault.New(fault.Usage, "destination %s: %s is no folder", r, dir)
	}
	if info, err := os.Stat(r.Name); err == nil && !info.Mode().IsRegular() {
		return fault.New(fault.Usage, "destination %s is no regular file", r).Hint("for an OCI layout write oci:DIR")
	}
	return checkWritable(r, dir)
}

func (t *archiveTarget) digest(ctx context.Context) (v1.Hash, bool, error) {
	if _, err := os.Stat(t.ref.Name); missingFile(err) {
		return v1.Hash{}, false, nil
	}
	s, err := Open(ctx, t.ref, Options{})
	if err != nil {
		// Whatever it is, it is not the image; Put replaces it.
		return v1.Hash{}, false, ctx.Err()
	}
	defer func() { _ = s.Close() }()
	return s.Digest, true, nil
}

// savedAlready compares the image of a docker-archive; what cannot be read is
// another.
func (r Ref) savedAlready(ctx context.Context, o object) bool {
	want, err := o.only()
	if err != nil {
		return false // Put explains it
	}
	s, err := Open(ctx, r, Options{})
	if err != nil {
		return false
	}
	defer func() { _ = s.Close() }()
	a, aerr := want.ConfigName()
	b, berr := s.Images[0].ConfigName()
	return aerr == nil && berr == nil && a == b
}

func (t *archiveTarget) put(ctx context.Context, o object) error {
	return t.write(ctx, o, []string{t.ref.Tag})
}

// tag writes the archive again, since its table of names is part of it.
func (t *archiveTarget) tag(ctx context.Context, digest v1.Hash, tags []string) error {
	s, err := Open(ctx, t.ref, Options{})
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	if t.ref.Kind == OCIArchive && s.Digest != digest {
		return fault.New(fault.Input, "%s does not hold %s", t.ref, digest)
	}
	o := object{idx: s.Index, digest: s.Digest}
	if s.Index == nil {
		o.img = s.Images[0].Image
	}
	all := []string{t.ref.Tag}
	for _, tag := range tags {
		if t.ref.Kind == DockerArchive {
			repo, err := name.NewTag(t.ref.Tag)
			if err != nil {
				return fault.New(fault.Usage, "%s: %w", t.ref, err)
			}
			tag = strings.TrimSuffix(shortTag(repo), ":"+repo.TagStr()) + ":" + tag
		}
		all = append(all, tag)
	}
	return t.write(ctx, o, all)
}

// write fills a temporary file beside the archive and renames it.
func (t *archiveTarget) write(ctx context.Context, o object, tags []string) (err error) {
	temp := filepath.Join(filepath.Dir(t.ref.Name), tempPrefix+rand.Text())
	f, err := os.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644) //nolint:gosec // an image is no secret
	if err != nil {
		return fmt.Errorf("write %s: %w", t.ref, err)
	}
	tw := tar.NewWriter(f)
	if t.ref.Kind == OCIArchive {
		err = t.layout(ctx, tw, o, tags)
	} else {
		err = t.saved(ctx, tw, o, tags)
	}
	for _, finish := range []func() error{tw.Close, f.Close} {
		if ferr := finish(); err == nil {
			err = ferr
		}
	}
	if err == nil {
		err = os.Rename(temp, t.ref.Name)
	}
	if err != nil {
		_ = os.Remove(temp)
		return fmt.Errorf("write %s: %w", t.ref, err)
	}
	return nil
}

func (t *archiveTarget) layout(ctx context.Context, tw *tar.Writer, o object, tags []string) error {
	desc, err := o.descriptor()
	if err != nil {
		return err
	}
	t.opts.warnDocker(t.ref, desc)
	parts, err := o.parts()
	if err != nil {
		return err
	}
	index := v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex}
	for _, tag := range slices.Compact(tags) {
		d := desc
		if tag != "" {
			d.Annotations = map[string]string{refName: tag}
		}
		index.Manifests = append(index.Manifests, d)
	}
	if err := addBytes(tw, "oci-layout", []byte(layoutVersion)); err != nil {
		return err
	}
	if err := addJSON(tw, "index.json", index); err != nil {
		return err
	}
	m := newMeter(parts, t.opts.Progress)
	for _, dir := range []string{"blobs/", "blobs/sha256/"} {
		if err := tw.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: 0o755}); err != nil {
			return err
		}
	}
	for _, p := range parts {
		if err := addPart(ctx, tw, blobName(p.desc.Digest), p, m); err != nil {
			return err
		}
	}
	return nil
}

// saved writes docker save's format: the configuration, the layers as they are,
// manifest.json.
func (t *archiveTarget) saved(ctx context.Context, tw *tar.Writer, o object, tags []string) error {
	img, err := o.only()
	if err != nil {
		return err
	}
	parts, err := object{img: img}.parts()
	if err != nil {
		return err
	}
	entry, err := savedEntry(img, tags)
	if err != nil {
		return err
	}
	m := newMeter(parts, t.opts.Progress)
	for _, p := range parts {
		if p.manifest {
			continue
		}
		file := p.desc.Digest.Hex + layerExt(p.desc.MediaType)
		if p.what == "configuration" {
			file = entry.Config
		}
		if err := addPart(ctx, tw, file, p, m); err != nil {
			return err
		}
	}
	return addJSON(tw, "manifest.json", []saved{entry})
}

func savedEntry(img v1.Image, tags []string) (saved, error) {
	m, err := img.Manifest()
	if err != nil {
		return saved{}, err
	}
	s := saved{Config: m.Config.Digest.Hex + ".json", Layers: []string{}}
	for _, d := range m.Layers {
		s.Layers = append(s.Layers, d.Digest.Hex+layerExt(d.MediaType))
	}
	for _, word := range tags {
		if word == "" {
			continue
		}
		tag, err := name.NewTag(word)
		if err != nil {
			return saved{}, fault.New(fault.Usage, "%w", err)
		}
		if short := shortTag(tag); !slices.Contains(s.RepoTags, short) {
			s.RepoTags = append(s.RepoTags, short)
		}
	}
	return s, nil
}

// shortTag is NAME:TAG as the user wrote it; docker load knows Docker Hub's
// images by their short names only, and wants the tag.
func shortTag(tag name.Tag) string {
	if s := tag.String(); strings.HasSuffix(s, ":"+tag.TagStr()) {
		return s
	}
	return tag.String() + ":" + tag.TagStr()
}

func layerExt(mt types.MediaType) string {
	switch mt {
	case types.OCILayerZStd:
		return ".tar.zst"
	case types.OCIUncompressedLayer, types.OCIUncompressedRestrictedLayer, types.DockerUncompressedLayer:
		return ".tar"
	}
	return ".tar.gz"
}

// only is the image of o, or the only one of its index.
func (o object) only() (v1.Image, error) {
	if o.img != nil {
		return o.img, nil
	}
	m, err := o.idx.IndexManifest()
	if err != nil {
		return nil, err
	}
	var found []v1.Descriptor
	for _, d := range m.Manifests {
		if d.MediaType.IsIndex() || d.MediaType.IsImage() && !artifact(d) {
			found = append(found, d)
		}
	}
	if len(found) != 1 || found[0].MediaType.IsIndex() {
		return nil, fault.New(fault.Usage, "a docker-archive holds one image, not an index of %d", len(found)).
			Hint("choose one with --platform, or write oci-archive:")
	}
	return o.idx.Image(found[0].Digest)
}

// The members carry no time and no owner, so that the same image gives the same
// file.

func addPart(ctx context.Context, tw *tar.Writer, file string, p part, m *progress.Meter) error {
	if err := tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: file, Mode: 0o644, Size: p.desc.Size}); err != nil {
		return err
	}
	return p.copyTo(ctx, io.MultiWriter(tw, m))
}

func addBytes(tw *tar.Writer, file string, b []byte) error {
	if err := tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: file, Mode: 0o644, Size: int64(len(b))}); err != nil {
		return err
	}
	_, err := tw.Write(b)
	return err
}

func addJSON(tw *tar.Writer, file string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return addBytes(tw, file, b)
}
