package extract

import (
	"io"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// meter adds up progress from several goroutines.
type meter struct {
	report      func(phase string, done, total int64)
	phase       string
	mu          sync.Mutex
	done, total int64
}

func (m *meter) add(n int64) {
	if m.report == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done += n
	m.report(m.phase, m.done, m.total)
}

// metered counts a layer's compressed bytes.
type metered struct {
	v1.Layer
	m *meter
}

func (l metered) Compressed() (io.ReadCloser, error) {
	rc, err := l.Layer.Compressed()
	if err != nil {
		return nil, err
	}
	return &meteredReader{rc, l.m}, nil
}

type meteredReader struct {
	io.ReadCloser
	m *meter
}

func (r *meteredReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	r.m.add(int64(n))
	return n, err
}
