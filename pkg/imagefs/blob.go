package imagefs

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/kmodseal/kmodseal/pkg/fault"
)

// maxWindow bounds what a zstd frame may ask for, in bytes: zstd --long's own limit.
const maxWindow = 128 << 20

// blob is an inflated layer. Its reader ends with io.EOF only when the digest
// of the compressed bytes has been checked. The diff ID is not: the digest
// binds the same bytes, and hashing all of them would cost a tenth of the pass.
type blob struct {
	ctx    context.Context
	name   string
	pump   *pump
	plain  io.Reader
	free   func()
	detach func() bool
	once   sync.Once
	said   error // what Read has ended with
}

// Blob opens l inflated. The first bytes tell the compression (gzip, zstd,
// none), whatever the media type says. A layer that is cut, malformed, goes on
// behind its compressed stream or has another digest gives an error of class
// Input that names the digest; one that cannot be read, of class Registry.
func Blob(ctx context.Context, l v1.Layer) (io.ReadCloser, error) {
	b, err := inflate(ctx, l)
	if err != nil {
		return nil, err // no typed nil
	}
	return b, nil
}

func inflate(ctx context.Context, l v1.Layer) (*blob, error) {
	digest, err := l.Digest()
	if err != nil {
		return nil, fmt.Errorf("read layer digest: %w", err)
	}
	rc, err := l.Compressed()
	if err != nil {
		return nil, readFault(ctx, digest.String(), err)
	}
	p, err := newPump(rc, digest)
	if err != nil {
		_ = rc.Close() // the first error counts
		return nil, fault.New(fault.Input, "layer %s: %w", digest, err)
	}
	b := &blob{ctx: ctx, name: digest.String(), pump: p, detach: context.AfterFunc(ctx, p.stop)}
	if err := b.open(); err != nil {
		_ = b.Close() // the first error counts
		return nil, b.fault(err)
	}
	return b, nil
}

// open puts the decompressor on the compressed stream.
func (b *blob) open() error {
	src := bufio.NewReaderSize(b.pump, 4096)
	head, err := src.Peek(4)
	if err != nil && err != io.EOF { //nolint:errorlint // a reader's end is io.EOF itself
		return err
	}
	b.free = func() {}
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}): // RFC 1952 section 2.3.1
		b.plain, err = gzip.NewReader(src)
		return err
	case isZstd(head):
		z, err := zstd.NewReader(src, zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return err
		}
		b.plain, b.free = z, z.Close
		return nil
	}
	b.plain = src
	return nil
}

// isZstd knows a frame and a skippable frame (RFC 8878 section 3.1).
func isZstd(head []byte) bool {
	return bytes.Equal(head, []byte{0x28, 0xb5, 0x2f, 0xfd}) ||
		len(head) == 4 && head[0]&0xf0 == 0x50 && bytes.Equal(head[1:], []byte{0x2a, 0x4d, 0x18})
}

func (b *blob) Read(p []byte) (int, error) {
	n, err := b.plain.Read(p)
	if err == nil {
		return n, nil
	}
	if err == io.EOF { //nolint:errorlint // a reader's end is io.EOF itself
		if err = b.pump.check(); err == nil {
			return n, io.EOF
		}
	}
	b.said = b.fault(err)
	return n, b.said
}

// Close frees what Blob holds; closing early is fine.
func (b *blob) Close() error {
	b.once.Do(func() {
		b.detach()
		b.pump.stop()
		if b.free != nil {
			b.free()
		}
	})
	return nil
}

// fault tells who is to blame: the caller who cancelled, whoever delivers the
// compressed bytes, or the bytes.
func (b *blob) fault(err error) error {
	if src := b.pump.failure(); src != nil || b.ctx.Err() != nil {
		if src == nil {
			src = err
		}
		return readFault(b.ctx, b.name, src)
	}
	if errors.Is(err, io.EOF) { // gzip's word for a header that is cut
		err = io.ErrUnexpectedEOF
	}
	return damaged(b.name, err)
}

// damaged is the fault of a layer's bytes.
func damaged(name string, err error) error {
	return fault.New(fault.Input, "layer %s: %w", name, err).Hint(getAnother)
}

const getAnother = "the layer is damaged: pull or build the image again"

// readFault classes an error of the compressed stream. go-containerregistry
// keeps the type of its checksum error to itself, so its text has to do.
func readFault(ctx context.Context, name string, err error) error {
	var f *fault.Error
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("layer %s: %w", name, context.Cause(ctx))
	case errors.As(err, &f) && strings.Contains(err.Error(), name): // the source has named it
		return err
	case errors.As(err, &f):
		return fmt.Errorf("layer %s: %w", name, err)
	case strings.HasPrefix(err.Error(), "error verifying "):
		return damaged(name, err)
	}
	return fault.New(fault.Registry, "layer %s: %w", name, err)
}
