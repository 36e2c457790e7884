package repack

import (
	"context"
	"io"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/imagefs"
	"github.com/kmodseal/kmodseal/pkg/manifest"
	"github.com/kmodseal/kmodseal/pkg/source"
)

// digest of what is to be published.
func (o *outcome) digest() (v1.Hash, error) {
	if o.idx != nil {
		return o.idx.Digest()
	}
	return o.img.Digest()
}

// publish puts out where DST says, unless it is there already.
func (j *job) publish(ctx context.Context, out *outcome) (*Result, error) {
	res := &Result{
		Manifest: j.published(out.modules), URL: j.url(), Signed: len(out.modules), AddedBytes: out.added,
		Signer: strings.Join(out.signers.names, ", "), Fingerprint: strings.Join(out.signers.prints, ", "),
	}
	if j.to.Kind == source.Dir {
		var err error
		res.Pushed, err = j.writeTree(ctx, out)
		return res, err
	}
	h, err := out.digest()
	if err != nil {
		return nil, err
	}
	res.Digest = h.String()
	d := j.dest
	held, err := d.Holds(ctx, out.img, out.idx)
	if err != nil {
		return nil, err
	}
	if res.Pushed = !held; res.Pushed {
		if err := j.put(ctx, d, out, h); err != nil {
			return nil, err
		}
	}
	return res, d.Tag(ctx, h, j.AlsoTags)
}

// published is the manifest with modules alone.
func (j *job) published(modules []passed) *manifest.Manifest {
	m := *j.manifest
	m.Modules = make([]manifest.Module, 0, len(modules))
	for i := range modules {
		m.Modules = append(m.Modules, *modules[i].module)
	}
	return &m
}

// put writes and reads back.
func (j *job) put(ctx context.Context, d *source.Destination, out *outcome, h v1.Hash) error {
	if err := d.Put(ctx, out.img, out.idx); err != nil {
		return err
	}
	if j.to.Kind == source.DockerArchive {
		return nil // has no digest of its own
	}
	there, _, err := d.Digest(ctx)
	if err != nil {
		return err
	}
	if there != h {
		return fault.New(fault.Registry, "destination %s holds %s, written was %s", j.to, there, h).
			Hint("does another job write the same tag?")
	}
	return nil
}

// url is DST as its results name it: a registry's without the transport.
func (j *job) url() string {
	if j.to.Kind == source.Docker {
		return j.to.Name
	}
	return j.to.String()
}

// writeTree unpacks the result, unless it is there.
func (j *job) writeTree(ctx context.Context, out *outcome) (written bool, err error) {
	if out.tars == nil {
		if out.tars, err = tarsOf(out.img); err != nil {
			return false, err
		}
	}
	return unpack(ctx, j.to.Name, out.tars, j.Warn)
}

// tarsOf are the layers of img as tar streams, lowest first.
func tarsOf(img v1.Image) ([]tarball, error) {
	layers, err := img.Layers()
	if err != nil {
		return nil, err
	}
	tars := make([]tarball, len(layers))
	for i, l := range layers {
		if own, ok := l.(*layer); ok {
			tars[i] = own.tar
			continue
		}
		tars[i] = func(ctx context.Context, w io.Writer) error {
			r, err := imagefs.Blob(ctx, l)
			if err != nil {
				return err
			}
			defer r.Close()
			_, err = io.Copy(w, r)
			return err
		}
	}
	return tars, nil
}
