package source

import (
	"context"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/kmodseal/kmodseal/pkg/fault"
)

// Bounds on an index from outside; real ones have a dozen entries, unnested.
const (
	maxDepth   = 4
	maxEntries = 1000
)

// Hints on what is no usable image.
const (
	nameImage  = "name an image, or an index of images, that a container engine can run"
	writeAgain = "it is incomplete or damaged: write it again"
)

// resolver collects the images below one manifest.
type resolver struct {
	ctx     context.Context
	store   store
	filter  []v1.Platform
	out     *Source
	present []string // platforms met
	entries int
}

// resolve fills out from the manifest raw that desc names.
func resolve(ctx context.Context, s store, desc v1.Descriptor, raw []byte, o Options, out *Source) error {
	filter, err := parsePlatforms(o.Platforms)
	if err != nil {
		return err
	}
	r := &resolver{ctx: ctx, store: s, filter: filter, out: out}
	out.Digest = desc.Digest
	if !desc.MediaType.IsIndex() && !desc.MediaType.IsImage() {
		return refuseType(s, desc)
	}
	if err := checkKind(ctx, s, desc, raw); err != nil {
		return err
	}
	collect := r.single
	if desc.MediaType.IsIndex() {
		collect = r.index
	}
	if err := collect(desc, raw); err != nil {
		return err
	}
	for _, d := range out.Dropped {
		o.warn("%s: %s is no image (%s): left alone", s, d.Digest, clean(artifactWord(d)))
	}
	return nil
}

func refuseType(s store, d v1.Descriptor) error {
	if d.MediaType.IsSchema1() || d.MediaType == "application/json" {
		return fault.New(fault.Input, "%s is of Docker's schema 1, which has no usable digest", s).
			Hint("rebuild it, or convert it with: skopeo copy --format v2s2")
	}
	return fault.New(fault.Input, "%s is no image: media type %q", s, clean(string(d.MediaType))).Hint(nameImage)
}

func (r *resolver) single(desc v1.Descriptor, raw []byte) error {
	img, err := newImage(r.ctx, r.store, desc, raw)
	if err != nil {
		return err
	}
	if !img.parsed.Config.MediaType.IsConfig() {
		return fault.New(fault.Input, "%s is an artifact, no image: its configuration is of type %q", r.store, clean(string(img.parsed.Config.MediaType))).Hint(nameImage)
	}
	if _, err := r.add(img, nil); err != nil {
		return err
	}
	return r.missing()
}

func (r *resolver) index(desc v1.Descriptor, raw []byte) error {
	x, err := newIndex(r.ctx, r.store, desc, raw)
	if err != nil {
		return err
	}
	r.out.Index = x
	if r.out.Entries, err = r.walk(x, 1); err != nil {
		return err
	}
	if err := r.missing(); err != nil {
		return err
	}
	if len(r.out.Images) == 0 {
		return fault.New(fault.Input, "%s is an index without images", r.store).Hint(nameImage)
	}
	r.sort()
	return nil
}

func (r *resolver) walk(x *index, depth int) ([]Entry, error) {
	r.entries += len(x.parsed.Manifests)
	if depth > maxDepth || r.entries > maxEntries {
		return nil, fault.New(fault.Input, "%s: indexes nested deeper than %d or with more than %d entries", r.store, maxDepth, maxEntries).Hint(nameImage)
	}
	entries := make([]Entry, 0, len(x.parsed.Manifests))
	for _, d := range x.parsed.Manifests {
		e, err := r.entry(x, d, depth)
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	return entries, nil
}

func (r *resolver) entry(x *index, d v1.Descriptor, depth int) (Entry, error) {
	e := Entry{Descriptor: d, Image: -1}
	var err error
	switch {
	case d.MediaType.IsIndex():
		var child v1.ImageIndex
		if child, err = x.ImageIndex(d.Digest); err == nil {
			e.Entries, err = r.walk(child.(*index), depth+1)
		}
	case d.MediaType.IsSchema1():
		err = refuseType(r.store, d)
	case !d.MediaType.IsImage() || artifact(d):
		e.Artifact = true
	default:
		err = r.image(x, d, &e)
	}
	if e.Artifact {
		r.out.Dropped = append(r.out.Dropped, d)
	}
	return e, err
}

func (r *resolver) image(x *index, d v1.Descriptor, e *Entry) error {
	if d.Platform != nil && !wanted(*d.Platform, r.filter) {
		if word, ok := platformName(*d.Platform); ok {
			r.present = append(r.present, word)
		}
		return nil
	}
	child, err := x.Image(d.Digest)
	if err != nil {
		return err
	}
	img := child.(*image)
	if !img.parsed.Config.MediaType.IsConfig() {
		e.Artifact = true
		return nil
	}
	e.Image, err = r.add(img, d.Platform)
	return err
}

// add takes img into the source if its platform is wanted; p is what the index
// says of it. It gives the image's place, -1 where it is not wanted.
func (r *resolver) add(img *image, p *v1.Platform) (int, error) {
	if p == nil || p.OS == "" && p.Architecture == "" {
		var err error
		if p, err = r.configPlatform(img); err != nil {
			return -1, err
		}
	}
	word, ok := platformName(*p)
	if !ok {
		return -1, fault.New(fault.Input, "image %s of %s: bad platform %q", img.desc.Digest, r.store, clean(p.OS+"/"+p.Architecture+"/"+p.Variant)).
			Hint("a platform is written as Go writes it, as linux/amd64")
	}
	r.present = append(r.present, word)
	if !wanted(*p, r.filter) {
		return -1, nil
	}
	for i, have := range r.out.Images {
		switch {
		case have.Platform != word:
		case have.Descriptor.Digest == img.desc.Digest:
			return i, nil
		default:
			return -1, fault.New(fault.Input, "%s holds two images for %s: %s and %s", r.store, word, have.Descriptor.Digest, img.desc.Digest).
				Hint("name one of them by its digest")
		}
	}
	r.out.Images = append(r.out.Images, Image{Platform: word, Descriptor: img.desc, Image: img})
	return len(r.out.Images) - 1, nil
}

// configPlatform is the platform of the configuration; one without any, as
// images built from scratch can be, is of the one platform asked for.
func (r *resolver) configPlatform(img *image) (*v1.Platform, error) {
	c, err := img.ConfigFile()
	if err != nil {
		return nil, wrapRead(r.ctx, r.store, img.parsed.Config, "configuration", err)
	}
	switch {
	case c.OS != "" || c.Architecture != "":
		return &v1.Platform{OS: c.OS, Architecture: c.Architecture, Variant: c.Variant}, nil
	case len(r.filter) == 1:
		return &r.filter[0], nil
	}
	return nil, fault.New(fault.Input, "image %s of %s does not say its platform", img.desc.Digest, r.store).
		Hint("name it with --platform os/arch")
}

// missing is the fault for a platform asked for that is not there.
func (r *resolver) missing() error {
	slices.Sort(r.present)
	for _, f := range r.filter {
		if slices.ContainsFunc(r.out.Images, func(i Image) bool { return satisfies(split(i.Platform), f) }) {
			continue
		}
		word, _ := platformName(f)
		return fault.New(fault.Input, "%s has no image for %s", r.store, word).
			Hint("it has: %s", strings.Join(slices.Compact(r.present), ", "))
	}
	return nil
}

// split reads back what platformName has written.
func split(word string) v1.Platform {
	parts := append(strings.Split(word, "/"), "")
	return v1.Platform{OS: parts[0], Architecture: parts[1], Variant: parts[2]}
}

// sort orders the images by platform and the entries' places with them.
func (r *resolver) sort() {
	old := slices.Clone(r.out.Images)
	slices.SortFunc(r.out.Images, func(a, b Image) int { return strings.Compare(a.Platform, b.Platform) })
	place := make(map[string]int, len(old))
	for i, img := range r.out.Images {
		place[img.Platform] = i
	}
	var move func([]Entry)
	move = func(entries []Entry) {
		for i := range entries {
			if e := &entries[i]; e.Image >= 0 {
				e.Image = place[old[e.Image].Platform]
			}
			move(entries[i].Entries)
		}
	}
	move(r.out.Entries)
}

// artifact says whether an index entry of an image's media type is something
// else: BuildKit's attestation manifests and OCI artifacts.
func artifact(d v1.Descriptor) bool {
	if d.Annotations["vnd.docker.reference.type"] != "" {
		return true
	}
	if d.Platform != nil && d.Platform.OS == "unknown" && d.Platform.Architecture == "unknown" {
		return true
	}
	return d.ArtifactType != "" && !types.MediaType(d.ArtifactType).IsConfig()
}

func artifactWord(d v1.Descriptor) string {
	for _, w := range []string{d.Annotations["vnd.docker.reference.type"], d.ArtifactType} {
		if w != "" {
			return w
		}
	}
	return string(d.MediaType)
}
