package imagefs

import (
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// The pump's queue: enough to bridge a slow moment of either side.
const (
	chunkSize = 256 << 10
	chunks    = 6
)

// pump reads and hashes the compressed bytes in a goroutine of its own, so that
// fetching, hashing and inflating overlap. One reader; stop from anywhere.
type pump struct {
	src  io.ReadCloser
	want v1.Hash
	sum  hash.Hash

	full, empty chan []byte
	done        chan struct{}
	once        sync.Once
	chunk, rest []byte // being read: the buffer, and what is left of it

	mu  sync.Mutex
	err error // of src, but io.EOF
}

func newPump(src io.ReadCloser, want v1.Hash) (*pump, error) {
	sum, err := v1.Hasher(want.Algorithm)
	if err != nil {
		return nil, err
	}
	p := &pump{
		src: src, want: want, sum: sum,
		full: make(chan []byte, chunks), empty: make(chan []byte, chunks), done: make(chan struct{}),
	}
	for range chunks {
		p.empty <- make([]byte, chunkSize)
	}
	go p.run()
	return p, nil
}

// run ends at the source's end or error, or after stop; it closes full.
func (p *pump) run() {
	defer close(p.full)
	for {
		var buf []byte
		select {
		case buf = <-p.empty:
		case <-p.done:
			p.fail(io.ErrClosedPipe)
			return
		}
		n, err := fill(p.src, buf[:chunkSize])
		p.sum.Write(buf[:n])
		if n > 0 {
			p.full <- buf[:n] // never blocks: as many places as buffers
		}
		if err == io.EOF { //nolint:errorlint // a reader's end is io.EOF itself
			return
		}
		if err != nil {
			p.fail(err)
			return
		}
	}
}

// fill is io.ReadFull that leaves the source's error as it is: a connection
// that breaks says io.ErrUnexpectedEOF, which must not look like the end.
func fill(r io.Reader, b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var m int
		m, err = r.Read(b[n:])
		n += m
	}
	return n, err
}

func (p *pump) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
}

// failure is the source's own error, nil while there is none.
func (p *pump) failure() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

func (p *pump) Read(b []byte) (int, error) {
	for len(p.rest) == 0 {
		if p.chunk != nil {
			p.empty <- p.chunk
			p.chunk = nil
		}
		chunk, ok := <-p.full
		if !ok {
			if err := p.failure(); err != nil {
				return 0, err
			}
			return 0, io.EOF
		}
		p.chunk, p.rest = chunk, chunk
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

// check compares the digest once the decompressor is satisfied. Bytes that it
// left behind are refused: they belong to no stream.
func (p *pump) check() error {
	n, err := p.Read(make([]byte, 1))
	if err != nil && err != io.EOF { //nolint:errorlint // a reader's end is io.EOF itself
		return err
	}
	if n > 0 {
		return fmt.Errorf("bytes behind the compressed stream")
	}
	if got := hex.EncodeToString(p.sum.Sum(nil)); got != p.want.Hex {
		return fmt.Errorf("digest of the content is %s:%s", p.want.Algorithm, got)
	}
	return nil
}

// stop ends the goroutine and closes the source.
func (p *pump) stop() {
	p.once.Do(func() {
		close(p.done)
		_ = p.src.Close() // read only; what matters is that a read in progress returns
	})
}
