package source

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kmodseal/kmodseal/pkg/fault"
)

// manifestLimit bounds what is read into memory: manifests and image
// configurations. Registries accept manifests of up to 4 MiB.
const manifestLimit = 16 << 20

// origin is what a blob belongs to.
type origin interface {
	fmt.Stringer        // its name in messages
	class() fault.Class // of a fault in the content
}

// store gives blobs and manifests by descriptor.
type store interface {
	origin
	// open reads a layer or a configuration.
	open(ctx context.Context, d v1.Descriptor) (io.ReadCloser, error)
	// manifest reads a manifest, for the caller to check.
	manifest(ctx context.Context, d v1.Descriptor) (io.ReadCloser, error)
	// digests says whether open checks the digest by itself.
	digests() bool
	// repository is where blobs can be mounted from; ok is false for files.
	repository() (repo name.Repository, ok bool)
}

// openBlob reads the blob d names and checks size and digest on the way. what
// is the word for it in errors.
func openBlob(ctx context.Context, s store, d v1.Descriptor, what string) (io.ReadCloser, error) {
	if d.Size < 0 {
		return nil, fault.New(s.class(), "%s %s of %s: negative size", what, d.Digest, s)
	}
	if d.Data != nil {
		return newChecked(ctx, s, d, what, io.NopCloser(bytes.NewReader(d.Data)), false)
	}
	rc, err := s.open(ctx, d)
	if err != nil {
		return nil, wrapRead(ctx, s, d, what, err)
	}
	return newChecked(ctx, s, d, what, rc, s.digests())
}

func newChecked(ctx context.Context, s origin, d v1.Descriptor, what string, rc io.ReadCloser, hashed bool) (io.ReadCloser, error) {
	c := &checked{ctx: ctx, of: s, desc: d, what: what, rc: rc}
	if d.Digest.Algorithm != "sha256" {
		rc.Close()
		return nil, fault.New(fault.Input, "%s %s of %s: only sha256 digests are supported", what, d.Digest, s).Hint("copy the image with skopeo to a place that uses sha256")
	}
	if !hashed {
		c.sum = sha256.New()
	}
	return c, nil
}

// readAll gives the checked bytes of a small blob.
func readAll(ctx context.Context, s store, d v1.Descriptor, what string) ([]byte, error) {
	if d.Size > manifestLimit {
		return nil, tooLarge(s, d, what)
	}
	rc, err := openBlob(ctx, s, d, what)
	if err != nil {
		return nil, err
	}
	defer rc.Close()
	return io.ReadAll(rc)
}

// readManifest gives the checked bytes of the manifest d names.
func readManifest(ctx context.Context, s store, d v1.Descriptor) ([]byte, error) {
	if d.Size > manifestLimit {
		return nil, tooLarge(s, d, "manifest")
	}
	rc, err := s.manifest(ctx, d)
	if err != nil {
		return nil, wrapRead(ctx, s, d, "manifest", err)
	}
	c, err := newChecked(ctx, s, d, "manifest", rc, false)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return io.ReadAll(c)
}

func tooLarge(s origin, d v1.Descriptor, what string) error {
	return fault.New(s.class(), "%s %s of %s: %d bytes are more than the %d allowed", what, d.Digest, s, d.Size, manifestLimit)
}

// wrapRead names the blob, unless a reader below has done so or has blamed
// somebody else. A cancelled context stays itself, without a class.
func wrapRead(ctx context.Context, s origin, d v1.Descriptor, what string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("read %s %s of %s: %w", what, d.Digest, s, ctx.Err())
	}
	var below *fault.Error
	told := errors.As(err, &below)
	if told && (s.class() != below.Class || strings.Contains(err.Error(), d.Digest.String())) {
		return err
	}
	f := fault.New(s.class(), "read %s %s of %s: %w", what, d.Digest, s, err)
	switch {
	case told:
	case what == "layer" && !d.MediaType.IsDistributable():
		f = f.Hint("the image does not bring this layer with it: choose the platforms to sign with --platform")
	case s.class() == fault.Registry:
		f = f.Hint("the registry, or a proxy before it, did not deliver what the manifest names: try again")
	case s.class() == fault.Input:
		f = f.Hint("the image is damaged or incomplete: copy or build it again")
	}
	return f
}

// checked refuses bytes that are not the ones the descriptor names, at the
// latest where they end.
type checked struct {
	ctx  context.Context
	of   origin
	desc v1.Descriptor
	what string
	rc   io.ReadCloser
	sum  hash.Hash // nil: rc checks the digest
	n    int64
	err  error
}

func (c *checked) Read(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	if err := c.ctx.Err(); err != nil {
		c.err = wrapRead(c.ctx, c.of, c.desc, c.what, err)
		return 0, c.err
	}
	n, err := c.rc.Read(p)
	c.n += int64(n)
	if c.sum != nil {
		c.sum.Write(p[:n])
	}
	ended := errors.Is(err, io.EOF)
	switch {
	case err != nil && !ended:
	case c.n > c.desc.Size:
		err = fmt.Errorf("longer than the %d bytes its manifest says", c.desc.Size)
	case ended:
		err = c.atEnd()
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = wrapRead(c.ctx, c.of, c.desc, c.what, err)
	}
	c.err = err
	return n, err
}

func (c *checked) atEnd() error {
	if c.n < c.desc.Size {
		return fmt.Errorf("truncated: %d of %d bytes", c.n, c.desc.Size)
	}
	if c.sum != nil {
		if got := hex.EncodeToString(c.sum.Sum(nil)); got != c.desc.Digest.Hex {
			return fmt.Errorf("digest mismatch: its bytes are %s:%s", c.desc.Digest.Algorithm, got)
		}
	}
	return io.EOF
}

func (c *checked) Close() error { return c.rc.Close() }
