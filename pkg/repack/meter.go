package repack

import (
	"io"
	"sync"
)

// meter tells a progress function of bytes, one call at a time.
type meter struct {
	phase       string
	tell        func(phase string, done, total int64)
	mu          sync.Mutex
	done, total int64
}

func (m *meter) add(done, total int64) {
	if m == nil || m.tell == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done += done
	m.total += total
	m.tell(m.phase, m.done, m.total)
}

// metered counts what is read from r.
type metered struct {
	io.Reader
	meter *meter
}

func (m metered) Read(p []byte) (int, error) {
	n, err := m.Reader.Read(p)
	m.meter.add(int64(n), 0)
	return n, err
}
