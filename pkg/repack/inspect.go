package repack

import (
	"context"
	"fmt"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/imagefs"
	"github.com/kmodseal/kmodseal/pkg/kmod"
	"github.com/kmodseal/kmodseal/pkg/manifest"
	"github.com/kmodseal/kmodseal/pkg/progress"
	"github.com/kmodseal/kmodseal/pkg/source"
)

// inspected is an image of the source whose modules have passed the gate. view
// is nil for an image without modules, which stays as it is.
type inspected struct {
	source.Image
	view    *view
	modules []passed
}

// inspector checks the images of a source against a kmods folder.
type inspector struct {
	manifest *manifest.Manifest
	gate     *gate
	certPath string
	whole    bool // read every layer, whatever kmods.json says of them
	meter    *progress.Meter
	warn     func(format string, args ...any)
}

// image reads the layers of img that hold modules and all above them; all of
// its layers where unsigned copies below have to be found, too.
func (s *inspector) image(ctx context.Context, img source.Image) (*inspected, error) {
	out := &inspected{Image: img}
	layers, err := img.Layers()
	if err != nil {
		return nil, err
	}
	p, err := s.platform(img, layers)
	if err != nil {
		return nil, err
	}
	var ms []*manifest.Module
	for i := range s.manifest.Modules {
		if s.manifest.Modules[i].Platform == img.Platform {
			ms = append(ms, &s.manifest.Modules[i])
		}
	}
	if len(ms) == 0 {
		return out, nil
	}
	low := 0
	if !s.whole {
		low = lowest(p, ms)
	}
	now, err := s.find(ctx, out, layers, low, ms)
	if err != nil {
		return nil, err
	}
	if out.modules, err = s.gate.all(ctx, ms, now); err == nil {
		s.strangers(img.Platform, out.modules)
	}
	return out, err
}

// platform is what kmods.json says of img; it must be the image that was extracted.
func (s *inspector) platform(img source.Image, layers []v1.Layer) (*manifest.Platform, error) {
	for i := range s.manifest.Platforms {
		p := &s.manifest.Platforms[i]
		if p.Platform != img.Platform {
			continue
		}
		digests := make([]string, len(layers))
		for n, l := range layers {
			h, err := l.Digest()
			if err != nil {
				return nil, err
			}
			digests[n] = h.String()
		}
		if p.Digest != img.Descriptor.Digest.String() || !slices.Equal(p.Layers, digests) {
			return nil, fault.New(fault.Input, "platform %s: kmods.json describes another image", p.Platform).Hint(extractAgain)
		}
		return p, nil
	}
	return nil, fault.New(fault.Input, "platform %s is not in the kmods folder", img.Platform).
		Hint("run extract-kmods with --platform %s too, or repack-image with --platform for what was extracted", img.Platform)
}

// lowest is the first layer to be read.
func lowest(p *manifest.Platform, ms []*manifest.Module) int {
	low := len(p.Layers)
	for _, m := range ms {
		if n := slices.Index(p.Layers, m.Layer); n >= 0 && n < low {
			low = n
		}
	}
	return low
}

// find gives the copy in the image of each of ms. Where the upper layers alone
// make no sense or lack one, a link to or in a lower layer may be why: all are
// read then.
func (s *inspector) find(ctx context.Context, out *inspected, layers []v1.Layer, low int, ms []*manifest.Module) ([]module, error) {
	now, missing, err := s.look(ctx, out, layers, low, ms)
	if low > 0 && (missing != "" || out.view.tree == nil && fault.ClassOf(err) == fault.Input) {
		now, missing, err = s.look(ctx, out, layers, 0, ms)
	}
	if err == nil && missing != "" {
		err = fault.New(fault.Input, "module %s (%s) is not in the source", missing, out.Platform).Hint(extractAgain)
	}
	return now, err
}

// look is find from layer low on; missing is the first module that is not there.
func (s *inspector) look(ctx context.Context, out *inspected, layers []v1.Layer, low int, ms []*manifest.Module) (now []module, missing string, err error) {
	if out.view, err = newView(ctx, layers, low, s.certPath, s.meter); err != nil {
		return nil, "", err
	}
	if out.view.tree, err = imagefs.Flatten(out.view.read); err != nil {
		return nil, "", err
	}
	all, err := out.view.modules(ctx)
	if err != nil {
		return nil, "", err
	}
	if now, missing = match(ms, all); missing == "" {
		s.leftovers(out.Platform, ms, all)
	}
	return now, missing, nil
}

// match pairs modules by path; missing is one that has no pair.
func match(ms []*manifest.Module, all []module) (now []module, missing string) {
	byPath := map[string]module{}
	for _, m := range all {
		byPath[m.Path] = m
	}
	for _, m := range ms {
		n, ok := byPath[m.Path]
		if !ok {
			return nil, m.Path
		}
		now = append(now, n)
	}
	return now, ""
}

// leftovers tells of live modules that nobody has signed and that the kmods
// folder leaves out, maybe on purpose.
func (s *inspector) leftovers(platform string, ms []*manifest.Module, all []module) {
	known := map[string]bool{}
	for _, m := range ms {
		known[m.Path] = true
	}
	var left []string
	for _, m := range all {
		if !known[m.Path] && m.sigs == 0 {
			left = append(left, m.Path)
		}
	}
	leftover(s.warn, platform, left)
}

func leftover(warn func(string, ...any), platform string, left []string) {
	if len(left) > 0 {
		warn("%s: unsigned and not in the kmods folder: %s", platform, few(left))
	}
}

// strangers tells of modules for another machine than the image's, which only
// an image that is no more than a carrier of files can mean.
func (s *inspector) strangers(platform string, modules []passed) {
	arch, known := kmod.ArchOf(platform)
	if !known {
		return
	}
	var other []string
	for i := range modules {
		if m := &modules[i]; m.machine != arch {
			other = append(other, m.module.Path+" for "+m.machine)
		}
	}
	if len(other) > 0 {
		s.warn("%s: modules for another machine do not load there: %s", platform, few(other))
	}
}

// few lists names, at most a few.
func few(names []string) string {
	const most = 5
	if n := len(names); n > most {
		return fmt.Sprintf("%s, and %d more", strings.Join(names[:most], ", "), n-most)
	}
	return strings.Join(names, ", ")
}
