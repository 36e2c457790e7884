package extract

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/manifest"
)

// spoolDir holds files in the staging folder while the source is being read:
// which of them win is known only at the end.
const spoolDir = "spool"

// spool is safe for parallel use.
type spool struct {
	root  *os.Root
	max   int // files
	mu    sync.Mutex
	count int
	files map[spoolKey]*spooled
}

// spoolKey names an entry of a layer.
type spoolKey struct {
	layer string // digest; empty for a folder
	entry int
}

// spooled is one file's content and what is known of it.
type spooled struct {
	file   string // in the staging folder
	header *tar.Header
	once   sync.Once
	facts  manifest.Module
	err    error
	placed bool
}

// write copies r to a file of the spool.
func (s *spool) write(h *tar.Header, r io.Reader) (*spooled, error) {
	s.mu.Lock()
	s.count++
	n := s.count
	s.mu.Unlock()
	if n > 2*s.max { // shadowed copies are spooled too
		return nil, fault.New(fault.Input, "more than %d modules with shadowed ones", 2*s.max).Hint("name fewer with --include")
	}
	out := &spooled{file: fmt.Sprintf("%s/%d", spoolDir, n), header: h}
	f, err := s.root.OpenFile(out.file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	_, err = io.Copy(f, r)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	return out, nil
}

func (s *spool) put(k spoolKey, f *spooled) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.files == nil {
		s.files = map[spoolKey]*spooled{}
	}
	s.files[k] = f
}

func (s *spool) get(k spoolKey) *spooled {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.files[k]
}
