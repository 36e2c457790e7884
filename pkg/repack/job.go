package repack

import (
	"cmp"
	"context"
	"io"
	"os"
	"path"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/manifest"
	"github.com/kmodseal/kmodseal/pkg/source"
	"github.com/kmodseal/kmodseal/pkg/verdict"
)

// job is one Run with its options checked.
type job struct {
	Options
	manifest *manifest.Manifest
	gate     *gate
	from, to source.Ref
	certPath string
	baseRef  string              // full reference of Base, where a registry holds it
	dest     *source.Destination // nil for a folder
	closers  []io.Closer
}

// prepare refuses what can be refused without looking at an image.
func prepare(o Options) (*job, error) {
	j := &job{Options: o}
	if j.Warn == nil {
		j.Warn = func(string, ...any) {}
	}
	if j.Mode = cmp.Or(o.Mode, Append); j.Mode != Append && j.Mode != Rewrite {
		return nil, fault.New(fault.Usage, "unknown mode %q", o.Mode).Hint("the modes are %s and %s", Append, Rewrite)
	}
	if len(o.Trust) == 0 {
		return nil, fault.New(fault.Usage, "no trusted certificate is given").Hint("name the signer's certificate with --trust")
	}
	var err error
	if j.certPath, err = cleanCertPath(o.CertPath); err != nil {
		return nil, err
	}
	if j.manifest, err = manifest.Load(o.Kmods); err != nil {
		return nil, err
	}
	if err := j.names(); err != nil {
		return nil, err
	}
	return j, j.guard()
}

// cleanCertPath gives the name of the tar entry.
func cleanCertPath(p string) (string, error) {
	if p == "" {
		return "", nil
	}
	c := strings.TrimPrefix(p, "/")
	if err := manifest.CheckPath(c); err != nil || !path.IsAbs(p) || strings.HasPrefix(path.Base(c), ".wh.") || isModule(c) {
		return "", fault.New(fault.Usage, "certificate path %q is not a clean absolute path of a file", p).
			Hint("for example %s", DefaultCertPath)
	}
	return c, nil
}

// names parses SRC and DST and keeps them apart.
func (j *job) names() error {
	var err error
	if j.from, err = source.Parse(cmp.Or(j.Source, j.manifest.Source.Name)); err != nil {
		return err
	}
	if j.to, err = source.Parse(j.Destination); err != nil {
		return err
	}
	if source.Same(j.from, j.to) && !j.InPlace {
		return fault.New(fault.Usage, "destination %s is the source", j.to).
			Hint("choose another tag, or allow it with --in-place")
	}
	if (j.from.Kind == source.Dir) != (j.manifest.Source.Kind == string(source.Dir)) {
		return fault.New(fault.Input, "source %s is not of the kind that was extracted", j.from).Hint(extractAgain)
	}
	if j.Base != "" && j.from.Kind != source.Dir {
		return fault.New(fault.Usage, "a base is for modules that come from a folder").Hint("leave --base out: the image is its own base")
	}
	return nil
}

// guard opens the kmods folder and makes the judge.
func (j *job) guard() error {
	judge, err := verdict.New(verdict.Config{Trust: j.Trust})
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(j.Kmods)
	if err != nil {
		return err
	}
	j.closers = append(j.closers, root)
	j.gate = &gate{root: root, judge: judge, trust: j.Trust}
	return nil
}

// target checks DST, so that nothing is read for a place that cannot be written.
func (j *job) target(ctx context.Context) error {
	if j.to.Kind == source.Dir {
		if len(j.AlsoTags) > 0 {
			return fault.New(fault.Usage, "a folder has no tags").Hint("leave --also-tag out")
		}
		_, err := emptyOrNew(j.to.Name)
		return err
	}
	o := j.Images
	if j.Progress != nil {
		o.Progress = func(done, total int64) { j.Progress("push", done, total) }
	}
	var err error
	if j.dest, err = source.Create(ctx, j.to, o); err != nil {
		return err
	}
	return j.dest.CheckTags(j.AlsoTags)
}

func (j *job) close() {
	for _, c := range j.closers {
		_ = c.Close() // read only
	}
}

// open opens the source by the digest that was extracted, where it can be named
// by one. A tag that has moved on is told, and not followed.
func (j *job) open(ctx context.Context) (*source.Source, error) {
	o := j.Images
	o.Warn = j.Warn
	if len(o.Platforms) == 0 && j.from.Kind != source.Dir {
		for _, p := range j.manifest.Platforms {
			o.Platforms = append(o.Platforms, p.Platform)
		}
	}
	pinned := j.from
	switch j.from.Kind {
	case source.Docker:
		r, err := name.ParseReference(j.from.Name)
		if err != nil {
			return nil, fault.New(fault.Usage, "image reference %q: %w", j.from.Name, err)
		}
		pinned.Name = r.Context().Digest(j.manifest.Source.Digest).Name()
	case source.OCI, source.OCIArchive:
		pinned.Tag = j.manifest.Source.Digest
	}
	src, err := source.Open(ctx, pinned, o)
	if err != nil {
		return nil, gone(err, j.from)
	}
	j.moved(ctx)
	return src, nil
}

// gone adds what to do where the digest cannot be had any more.
func gone(err error, from source.Ref) error {
	return fault.New(fault.ClassOf(err), "open the source by its digest: %w", err).
		Hint("if %s no longer holds what was extracted, extract and sign again", from)
}

// moved warns where the name leads elsewhere by now. It is no check, so an
// error is left to others.
func (j *job) moved(ctx context.Context) {
	if j.from.Kind == source.DockerArchive || j.from.Kind == source.Dir {
		return
	}
	d, err := source.Create(ctx, j.from, j.Images)
	if err != nil {
		return
	}
	if h, ok, err := d.Digest(ctx); err == nil && ok && h.String() != j.manifest.Source.Digest {
		j.Warn("%s names %s by now; what was extracted, %s, is repacked", j.from, h, j.manifest.Source.Digest)
	}
}

// agree compares the opened source with the extracted one.
func (j *job) agree(src *source.Source) error {
	if src.Ref.Kind == source.Dir {
		return nil // its files are compared one by one
	}
	if got := src.Digest.String(); got != j.manifest.Source.Digest {
		return fault.New(fault.Input, "source %s is %s, extracted was %s", j.from, got, j.manifest.Source.Digest).Hint(extractAgain)
	}
	if (src.Index != nil) != j.manifest.Source.Index {
		return fault.New(fault.Input, "source %s: kmods.json is wrong on whether it is an index", j.from).Hint(extractAgain)
	}
	return nil
}
