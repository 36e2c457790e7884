package imagefs_test

import (
	"bytes"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// diffed gives a static layer, which says its digest where the diff ID belongs,
// its plain bytes.
type diffed struct {
	v1.Layer
	plain []byte
}

func (d diffed) DiffID() (v1.Hash, error) {
	h, _, err := v1.SHA256(bytes.NewReader(d.plain))
	return h, err
}

func (d diffed) Uncompressed() (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(d.plain)), nil
}
