package extract

import (
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kmodseal/kmodseal/pkg/progress"
)

// metered counts a layer's compressed bytes.
type metered struct {
	v1.Layer
	m *progress.Meter
}

func (l metered) Compressed() (io.ReadCloser, error) {
	rc, err := l.Layer.Compressed()
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.TeeReader(rc, l.m), rc}, nil
}
