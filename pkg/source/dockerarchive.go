package source

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/kmodseal/kmodseal/pkg/fault"
)

// saved is one element of manifest.json in docker save's format (moby
// image/spec, "Combined Image JSON + Filesystem Changeset Format").
type saved struct {
	Config   string
	RepoTags []string
	Layers   []string
}

func openDockerArchive(ctx context.Context, r Ref, o Options) (*Source, error) {
	a, err := openArchive(ctx, r)
	if err != nil {
		return nil, err
	}
	out := &Source{Ref: r, closer: a}
	err = func() error {
		one, err := a.saved()
		if err != nil {
			return err
		}
		desc, raw, err := a.rebuild(ctx, one)
		if err != nil {
			return err
		}
		out.Pinned = r.String() + "@" + desc.Digest.String()
		return resolve(ctx, a, desc, raw, o, out)
	}()
	if err != nil {
		a.file.Close()
		return nil, err
	}
	return out, nil
}

// saved finds the image that the reference names.
func (a *archive) saved() (saved, error) {
	s, err := a.section("manifest.json")
	if err != nil {
		f := fault.New(fault.Input, "%s: %w", a.ref, err)
		if _, other := a.find("index.json"); other == nil {
			return saved{}, f.Hint("this looks like an OCI layout: write oci-archive:%s", a.ref.Name)
		}
		return saved{}, f.Hint(writeAgain)
	}
	var all []saved
	if err := json.NewDecoder(io.LimitReader(s, manifestLimit)).Decode(&all); err != nil {
		return saved{}, fault.New(fault.Input, "%s: manifest.json: %w", a.ref, err).Hint(writeAgain)
	}
	var found []saved
	var tags []string
	for _, one := range all {
		if a.ref.Tag == "" || slices.ContainsFunc(one.RepoTags, a.names) {
			found = append(found, one)
		}
		for _, tag := range one.RepoTags {
			tags = append(tags, "docker-archive:"+a.ref.Name+":"+clean(tag))
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) == 0 && a.ref.Tag == "":
		return saved{}, fault.New(fault.Input, "%s is empty", a.ref).Hint(writeAgain)
	case len(found) == 0:
		return saved{}, fault.New(fault.Input, "%s: no such image", a.ref).Hint("there are: %s", strings.Join(tags, ", "))
	}
	return saved{}, fault.New(fault.Usage, "%s holds %d images", a.ref, len(found)).Hint("name one: %s", strings.Join(tags, ", "))
}

// names compares whole names: docker writes short ones.
func (a *archive) names(tag string) bool {
	have, err := name.NewTag(tag)
	if err != nil {
		return false
	}
	want, err := name.NewTag(a.ref.Tag)
	return err == nil && have.Name() == want.Name()
}

// rebuild makes the manifest that the format lacks. An inflated layer's digest
// is its diff id; a compressed one is hashed, since its name proves nothing.
func (a *archive) rebuild(ctx context.Context, one saved) (v1.Descriptor, []byte, error) {
	fail := func(err error) (v1.Descriptor, []byte, error) {
		return v1.Descriptor{}, nil, fault.New(fault.Input, "%s: %w", a.ref, err).Hint(writeAgain)
	}
	a.named = map[v1.Hash]string{}
	conf, config, err := a.savedConfig(one.Config)
	if err != nil {
		return fail(err)
	}
	if len(config.RootFS.DiffIDs) != len(one.Layers) {
		return fail(fmt.Errorf("%d layers, but %d in the configuration", len(one.Layers), len(config.RootFS.DiffIDs)))
	}
	m := v1.Manifest{SchemaVersion: 2, MediaType: types.DockerManifestSchema2, Config: conf, Layers: []v1.Descriptor{}}
	for i, key := range one.Layers {
		d, err := a.savedLayer(ctx, key, config.RootFS.DiffIDs[i])
		if err != nil {
			return fail(err)
		}
		m.Layers = append(m.Layers, d)
	}
	raw, err := json.Marshal(m)
	if err != nil {
		return fail(err)
	}
	h, n, err := v1.SHA256(bytes.NewReader(raw))
	return v1.Descriptor{MediaType: m.MediaType, Size: n, Digest: h}, raw, err
}

func (a *archive) savedConfig(key string) (v1.Descriptor, *v1.ConfigFile, error) {
	s, err := a.section(key)
	if err != nil {
		return v1.Descriptor{}, nil, err
	}
	if s.Size() > manifestLimit {
		return v1.Descriptor{}, nil, fmt.Errorf("configuration of %d bytes", s.Size())
	}
	h, n, err := v1.SHA256(s)
	if err != nil {
		return v1.Descriptor{}, nil, err
	}
	a.named[h] = key
	config, err := v1.ParseConfigFile(io.NewSectionReader(s, 0, n))
	return v1.Descriptor{MediaType: types.DockerConfigJSON, Size: n, Digest: h}, config, err
}

func (a *archive) savedLayer(ctx context.Context, key string, diffID v1.Hash) (v1.Descriptor, error) {
	s, err := a.section(key)
	if err != nil {
		return v1.Descriptor{}, err
	}
	d := v1.Descriptor{MediaType: types.DockerUncompressedLayer, Size: s.Size(), Digest: diffID}
	magic := make([]byte, 4)
	n, _ := s.ReadAt(magic, 0)
	switch {
	case bytes.HasPrefix(magic[:n], []byte("\x1f\x8b")):
		d.MediaType = types.DockerLayer
	case bytes.HasPrefix(magic[:n], []byte("\x28\xb5\x2f\xfd")):
		// Docker has no media type of its own for zstd; all readers go by the bytes.
		d.MediaType = types.OCILayerZStd
	}
	if d.MediaType != types.DockerUncompressedLayer {
		if d.Digest, _, err = v1.SHA256(ctxReader{ctx, s}); err != nil {
			return d, err
		}
	}
	a.named[d.Digest] = key
	return d, nil
}

// ctxReader ends a long read with its context.
type ctxReader struct {
	ctx context.Context
	r   io.Reader
}

func (c ctxReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
