package repack

import (
	"cmp"
	"context"
	"crypto/x509"
	"maps"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/imagefs"
	"github.com/kmodseal/kmodseal/pkg/keys"
	"github.com/kmodseal/kmodseal/pkg/kmod"
)

// Annotations of a signed image. The base ones are the OCI's
// (image-spec annotations.md) and stay as they are where the image has them.
const (
	noteSource      = "io.kmodseal.source.digest"
	noteSigner      = "io.kmodseal.signer"
	noteFingerprint = "io.kmodseal.fingerprint"
	noteBaseDigest  = "org.opencontainers.image.base.digest"
	noteBaseName    = "org.opencontainers.image.base.name"
)

// signers is who signed what is in the image.
type signers struct {
	names, prints []string          // of the signing certificates, sorted
	anchor        *x509.Certificate // the trusted one that vouches for the new signatures; nil: there are several
}

// signersOf looks at the modules with a new signature, else at all: those that
// are kept as they were may be of anybody trusted.
func signersOf(all []passed) (*signers, error) {
	changed := slices.DeleteFunc(slices.Clone(all), func(p passed) bool { return !p.changed })
	anchors := map[string]*x509.Certificate{}
	s := &signers{}
	for _, p := range all {
		s.names = append(s.names, cmp.Or(p.signer.Subject.CommonName, p.signer.Subject.String()))
		s.prints = append(s.prints, keys.Fingerprint(p.signer))
		if p.changed || len(changed) == 0 {
			anchors[keys.Fingerprint(p.anchor)] = p.anchor
		}
	}
	for _, list := range []*[]string{&s.names, &s.prints} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	if len(anchors) == 1 {
		s.anchor = anchors[slices.Collect(maps.Keys(anchors))[0]]
	} else if len(changed) > 0 {
		return nil, fault.New(fault.Input, "the modules are signed under %d different trusted certificates", len(anchors)).
			Hint("sign the whole kmods folder with one key")
	}
	return s, nil
}

// sealer builds the new images.
type sealer struct {
	gate     *gate
	mode     string
	certPath string // clean and relative; empty: no certificate is added
	signers  *signers
	baseName string // reference of the source; empty: it has none
	added    int64  // compressed bytes of new layers so far
}

// image is in with its modules signed; in itself where nothing changes.
func (s *sealer) image(ctx context.Context, in *inspected) (v1.Image, error) {
	if in.view == nil {
		return in.Image, nil
	}
	cert, err := s.certificate(in)
	if err != nil {
		return nil, err
	}
	swap, top := map[int]*layer{}, (*layer)(nil)
	if s.mode == Rewrite {
		swap, err = s.gate.rewrite(ctx, in.view, in.modules, cert)
	} else {
		top, err = s.append(ctx, in, cert)
	}
	if err != nil || len(swap) == 0 && top == nil {
		return in.Image, err
	}
	for _, l := range swap {
		s.added += l.size
	}
	if top != nil {
		s.added += top.size
	}
	return rebuild(in.Image, swap, top, s.notes(in.Descriptor.Digest))
}

// append makes the one new layer; nil where there is nothing to put in.
func (s *sealer) append(ctx context.Context, in *inspected, cert *file) (*layer, error) {
	var files []file
	for i := range in.modules {
		if m := &in.modules[i]; m.changed {
			files = append(files, file{header: added(m.now.Path, m.now.header), content: s.gate.content(m), links: m.now.HardLinks})
		}
	}
	if cert != nil {
		files = append(files, *cert)
	}
	if len(files) == 0 {
		return nil, nil
	}
	manifest, err := in.MediaType()
	if err != nil {
		return nil, err
	}
	below, err := in.view.layers[len(in.view.layers)-1].MediaType()
	if err != nil {
		return nil, err
	}
	media, codec := topMedia(manifest, below), kmod.Gzip
	if strings.HasSuffix(string(media), "zstd") {
		codec = kmod.Zstd
	}
	return newLayer(ctx, media, codec, quick, onlyFiles(files))
}

// certificate is the entry to be added; nil where there is none to add or the
// image shows the same file already.
func (s *sealer) certificate(in *inspected) (*file, error) {
	if s.certPath == "" || s.signers.anchor == nil {
		return nil, nil
	}
	der := s.signers.anchor.Raw
	there, err := in.view.tree.Files(func(p string) bool { return p == s.certPath })
	if err != nil {
		return nil, err
	}
	for _, f := range there {
		if in.view.holds(f, s.certPath, der) {
			return nil, nil
		}
	}
	if err := in.view.tree.Fits(s.certPath); err != nil {
		return nil, badCertPath(s.certPath, err)
	}
	f := certificate(s.certPath, der, newest(in.modules))
	return &f, nil
}

func badCertPath(path string, err error) error {
	return fault.New(fault.Input, "certificate path /%s: %w in the image", path, err).
		Hint("choose another --cert-path, or none with --cert-path ''")
}

// holds says whether f is the file at path with the content data.
func (v *view) holds(f imagefs.File, path string, data []byte) bool {
	o := v.facts[f.Layer+v.lowest][f.Entry.Header]
	return o != nil && o.stored == sum(data) && (f.Path == path || slices.Contains(f.HardLinks, path))
}

// newest is the latest time of the modules: the certificate's, so that no clock
// gets into the image.
func newest(modules []passed) time.Time {
	var t time.Time
	for _, m := range modules {
		if m.now.header.ModTime.After(t) {
			t = m.now.header.ModTime
		}
	}
	return t
}

// notes are the annotations of the image or index made from the one of digest h.
func (s *sealer) notes(h v1.Hash) []note {
	n := []note{
		{key: noteSource, value: h.String()},
		{key: noteSigner, value: strings.Join(s.signers.names, ", ")},
		{key: noteFingerprint, value: strings.Join(s.signers.prints, ", ")},
		{key: noteBaseDigest, value: h.String(), keep: true},
	}
	if s.baseName != "" {
		n = append(n, note{key: noteBaseName, value: s.baseName, keep: true})
	}
	return n
}
