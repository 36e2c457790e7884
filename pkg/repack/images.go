package repack

import (
	"context"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/progress"
	"github.com/kmodseal/kmodseal/pkg/source"
)

// images gives the signed image or index of src.
func (j *job) images(ctx context.Context, src *source.Source) (*outcome, error) {
	single := len(src.Images) == 1 && (src.Index == nil || len(j.Images.Platforms) > 0 || others(src.Entries))
	if j.to.Kind == source.Dir && !single {
		return nil, fault.New(fault.Usage, "a folder holds one platform, the source has %d", len(src.Images)).
			Hint("choose one with --platform")
	}
	ins, err := j.inspect(ctx, src.Images)
	if err != nil {
		return nil, err
	}
	out := &outcome{}
	for _, in := range ins {
		out.modules = append(out.modules, in.modules...)
	}
	if out.signers, err = signersOf(out.modules); err != nil {
		return nil, err
	}
	s := &sealer{gate: j.gate, mode: j.Mode, certPath: j.certPath, signers: out.signers, baseName: j.baseName()}
	news := make([]v1.Image, len(ins))
	for i, in := range ins {
		if news[i], err = s.image(ctx, in); err != nil {
			return nil, err
		}
	}
	if out.added = s.added; single {
		out.img = news[0]
		return out, nil
	}
	r := &reindexer{images: news, gone: map[string]bool{}, notes: s.notes(src.Digest), warn: j.Warn}
	out.idx, err = r.index(src.Index, src.Entries)
	return out, err
}

// others says whether entries have an image of a platform that was not chosen.
func others(entries []source.Entry) bool {
	return slices.ContainsFunc(entries, func(e source.Entry) bool {
		if len(e.Entries) > 0 {
			return others(e.Entries)
		}
		return e.Image < 0 && !e.Artifact
	})
}

func (j *job) inspect(ctx context.Context, images []source.Image) ([]*inspected, error) {
	i := &inspector{
		manifest: j.manifest, gate: j.gate, certPath: j.certPath, whole: j.Mode == Rewrite, warn: j.Warn,
		meter: &progress.Meter{Phase: "check", Tell: j.Progress},
	}
	var out []*inspected
	for _, img := range images {
		in, err := i.image(ctx, img)
		if err != nil {
			return nil, err
		}
		out = append(out, in)
	}
	return out, nil
}

// baseName is the full reference of a source in a registry.
func (j *job) baseName() string {
	if j.from.Kind != source.Docker {
		return ""
	}
	r, err := name.ParseReference(j.from.Name)
	if err != nil {
		return ""
	}
	return r.Name()
}
