// Package progress adds up what several goroutines have done of one phase.
package progress

import "sync"

// Meter tells of the bytes or pieces of one phase, one call at a time. The zero
// value and nil tell nobody.
type Meter struct {
	Phase string
	Tell  func(phase string, done, total int64)
	Total int64 // known before the first call

	mu   sync.Mutex
	done int64
}

// Add counts done, and adds to the total what has become known of it.
func (m *Meter) Add(done, total int64) {
	if m == nil || m.Tell == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done += done
	m.Total += total
	m.Tell(m.Phase, m.done, m.Total)
}

// Write counts; it is the second writer of an io.MultiWriter or io.TeeReader.
func (m *Meter) Write(p []byte) (int, error) {
	m.Add(int64(len(p)), 0)
	return len(p), nil
}
