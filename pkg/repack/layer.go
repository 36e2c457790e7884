package repack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/kmodseal/kmodseal/pkg/kmod"
)

// A tarball writes the same tar stream each time it is called.
type tarball func(ctx context.Context, w io.Writer) error

// layer is written anew each time it is read: the first time for its digest,
// the second time into the upload, if the blob is wanted there at all. No layer
// is in memory or on disk.
type layer struct {
	ctx    context.Context //nolint:containedctx // v1.Layer's methods take none
	tar    tarball
	codec  kmod.Codec
	effort effort
	media  types.MediaType
	digest v1.Hash
	diffID v1.Hash
	size   int64 // bytes, compressed
}

var _ v1.Layer = (*layer)(nil)

// newLayer runs the first pass.
func newLayer(ctx context.Context, media types.MediaType, codec kmod.Codec, e effort, tar tarball) (*layer, error) {
	l := &layer{ctx: ctx, tar: tar, codec: codec, effort: e, media: media}
	stored, plain := &tally{Hash: sha256.New()}, &tally{Hash: sha256.New()}
	if err := l.write(stored, plain); err != nil {
		return nil, err
	}
	l.digest, l.diffID, l.size = stored.sum(), plain.sum(), stored.n
	return l, nil
}

// write makes the layer once; plain gets the bytes before compression.
func (l *layer) write(stored, plain io.Writer) error {
	z, err := compressor(stored, l.codec, l.effort)
	if err != nil {
		return err
	}
	if err := l.tar(l.ctx, io.MultiWriter(z, plain)); err != nil {
		_ = z.Close()
		return err
	}
	if err := z.Close(); err != nil {
		return fmt.Errorf("compress layer: %w", err)
	}
	return nil
}

// Digest of the compressed bytes.
func (l *layer) Digest() (v1.Hash, error) { return l.digest, nil }

// DiffID is the digest of the tar stream.
func (l *layer) DiffID() (v1.Hash, error) { return l.diffID, nil }

// Size of the compressed bytes.
func (l *layer) Size() (int64, error) { return l.size, nil }

// MediaType is the one that the descriptor in the manifest has.
func (l *layer) MediaType() (types.MediaType, error) { return l.media, nil }

// Compressed runs a further pass.
func (l *layer) Compressed() (io.ReadCloser, error) {
	return l.pipe(func(w io.Writer) error { return l.write(w, io.Discard) }), nil
}

// Uncompressed runs a further pass.
func (l *layer) Uncompressed() (io.ReadCloser, error) {
	return l.pipe(func(w io.Writer) error { return l.tar(l.ctx, w) }), nil
}

func (l *layer) pipe(write func(io.Writer) error) io.ReadCloser {
	r, w := io.Pipe()
	go func() { w.CloseWithError(write(w)) }()
	return r
}

// tally counts and hashes.
type tally struct {
	hash.Hash
	n int64
}

func (t *tally) Write(p []byte) (int, error) {
	t.n += int64(len(p))
	return t.Hash.Write(p)
}

func (t *tally) sum() v1.Hash {
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(t.Sum(nil))}
}
