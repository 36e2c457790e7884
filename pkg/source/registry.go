package source

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/kmodseal/kmodseal/pkg/fault"
)

// registry is one repository of a registry, to read and to write.
type registry struct {
	ref    name.Reference
	text   string // ref as the user wrote it
	keys   *keychain
	remote []remote.Option
	puller *remote.Puller
}

// openRepository reads no byte from the network yet.
func openRepository(r Ref, o Options) (*registry, error) {
	var opts []name.Option
	if o.Insecure {
		opts = append(opts, name.Insecure)
	}
	ref, err := name.ParseReference(r.Name, opts...)
	if err != nil {
		return nil, fault.New(fault.Usage, "image reference %q: %w", r.Name, err)
	}
	tr, err := newTransport(o)
	if err != nil {
		return nil, err
	}
	keys, err := newKeychain(o.AuthFile)
	if err != nil {
		return nil, err
	}
	agent := o.UserAgent
	if agent == "" {
		agent = "kmodseal"
	}
	g := &registry{ref: ref, text: r.Name, keys: keys}
	g.remote = []remote.Option{remote.WithTransport(tr), remote.WithAuthFromKeychain(keys), remote.WithUserAgent(agent)}
	if o.fastRetry {
		g.remote = append(g.remote, remote.WithRetryBackoff(remote.Backoff{Duration: time.Millisecond, Factor: 1, Steps: 3}))
	}
	if g.puller, err = remote.NewPuller(g.remote...); err != nil {
		return nil, fault.New(fault.Registry, "%s: %w", r.Name, err)
	}
	if _, ok := ref.(name.Tag); ok && !strings.HasSuffix(r.Name, ":"+ref.Identifier()) {
		o.warn("%s names no tag: taking %s", r.Name, ref.Identifier())
	}
	return g, nil
}

func openRegistry(ctx context.Context, r Ref, o Options) (*Source, error) {
	g, err := openRepository(r, o)
	if err != nil {
		return nil, err
	}
	d, err := g.puller.Get(ctx, g.ref)
	if err != nil {
		return nil, g.fault(ctx, "read", err)
	}
	desc := v1.Descriptor{MediaType: mediaType(d.MediaType, d.Manifest), Size: d.Size, Digest: d.Digest}
	out := &Source{Ref: r, Pinned: "docker://" + g.ref.Context().Digest(d.Digest.String()).Name()}
	if err := resolve(ctx, g, desc, d.Manifest, o, out); err != nil {
		return nil, err
	}
	return out, nil
}

// mediaType is what the registry says of a manifest, or, where it says nothing
// of use, what the manifest says of itself.
func mediaType(header types.MediaType, raw []byte) types.MediaType {
	if header.IsImage() || header.IsIndex() || header.IsSchema1() {
		return header
	}
	var m struct {
		SchemaVersion int             `json:"schemaVersion"`
		MediaType     types.MediaType `json:"mediaType"`
	}
	if json.Unmarshal(raw, &m) != nil {
		return header
	}
	if m.SchemaVersion == 1 {
		return types.DockerManifestSchema1
	}
	if m.MediaType.IsImage() || m.MediaType.IsIndex() {
		return m.MediaType
	}
	return header
}

func (g *registry) String() string { return g.text }

func (g *registry) open(ctx context.Context, d v1.Descriptor) (io.ReadCloser, error) {
	l, err := g.puller.Layer(ctx, g.ref.Context().Digest(d.Digest.String()))
	if err != nil {
		return nil, g.fault(ctx, "", err)
	}
	rc, err := l.Compressed()
	if err != nil {
		return nil, g.fault(ctx, "", err)
	}
	return rc, nil
}

func (g *registry) manifest(ctx context.Context, d v1.Descriptor) (io.ReadCloser, error) {
	m, err := g.puller.Get(ctx, g.ref.Context().Digest(d.Digest.String()))
	if err != nil {
		return nil, g.fault(ctx, "", err)
	}
	return io.NopCloser(bytes.NewReader(m.Manifest)), nil
}

func (g *registry) digests() bool                       { return true }
func (g *registry) repository() (name.Repository, bool) { return g.ref.Context(), true }
func (g *registry) class() fault.Class                  { return fault.Registry }

// digest is what the reference names now. A 403 counts as nothing: some
// registries answer so for a repository that does not exist yet.
func (g *registry) digest(ctx context.Context) (v1.Hash, bool, error) {
	d, err := g.puller.Head(ctx, g.ref)
	if err == nil {
		return d.Digest, true, nil
	}
	if status(err) == 0 {
		// A HEAD without digest or length header; the manifest itself has both.
		var m *remote.Descriptor
		if m, err = g.puller.Get(ctx, g.ref); err == nil {
			return m.Digest, true, nil
		}
	}
	switch status(err) {
	case 404, 403:
		return v1.Hash{}, false, nil
	}
	return v1.Hash{}, false, g.fault(ctx, "read", err)
}

// put uploads what is missing: blobs, then manifests by digest, then, once the
// registry gives back under the digest what was pushed, the tag.
func (g *registry) put(ctx context.Context, t remote.Taggable, digest v1.Hash, progress func(done, total int64)) (err error) {
	opts, stop := withProgress(g.remote, progress)
	defer func() { stop(err) }()
	p, err := remote.NewPusher(opts...)
	if err != nil {
		return g.fault(ctx, "write", err)
	}
	if err := p.Push(ctx, g.ref.Context().Digest(digest.String()), t); err != nil {
		return g.fault(ctx, "write", err)
	}
	// Get compares what it reads with the digest.
	if _, err := remote.Get(g.ref.Context().Digest(digest.String()), append(slices.Clone(g.remote), remote.WithContext(ctx))...); err != nil {
		return g.fault(ctx, "read back", err)
	}
	if err := p.Put(ctx, g.ref, t); err != nil {
		return g.fault(ctx, "tag", err)
	}
	return nil
}

// withProgress adds a channel whose updates reach progress one by one; stop
// waits for the last. After an error uploads may still be winding down, so the
// channel stays open for them and what they say is ignored.
func withProgress(opts []remote.Option, progress func(done, total int64)) ([]remote.Option, func(error)) {
	if progress == nil {
		return opts, func(error) {}
	}
	var mu sync.Mutex
	quiet := false
	updates := make(chan v1.Update, 64)
	var wg sync.WaitGroup
	wg.Go(func() {
		for u := range updates {
			mu.Lock()
			if !quiet {
				progress(u.Complete, u.Total)
			}
			mu.Unlock()
		}
	})
	return append(append([]remote.Option{}, opts...), remote.WithProgress(updates)), func(err error) {
		if err == nil {
			close(updates)
			wg.Wait()
			return
		}
		mu.Lock()
		quiet = true
		mu.Unlock()
	}
}

// tag gives digest, which the repository holds, further tags.
func (g *registry) tag(ctx context.Context, digest v1.Hash, tags []string) error {
	d, err := g.puller.Get(ctx, g.ref.Context().Digest(digest.String()))
	if err != nil {
		return g.fault(ctx, "read", err)
	}
	p, err := remote.NewPusher(g.remote...)
	if err != nil {
		return g.fault(ctx, "tag", err)
	}
	for _, tag := range tags {
		if err := p.Put(ctx, g.ref.Context().Tag(tag), d); err != nil {
			return g.fault(ctx, "tag "+tag, err)
		}
	}
	return nil
}
