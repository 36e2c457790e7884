package step

import (
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress shows how far a phase is: a bar on a terminal, elsewhere one line
// when a phase begins.
type progress struct {
	mu    sync.Mutex
	w     io.Writer // nil: no terminal
	log   *slog.Logger
	phase string
	bar   *progressbar.ProgressBar
}

func newProgress(w io.Writer, log *slog.Logger, plain bool) *progress {
	p := &progress{log: log}
	if f, ok := w.(*os.File); ok && !plain && term.IsTerminal(int(f.Fd())) {
		p.w = w
	}
	return p
}

func (p *progress) update(phase string, done, total int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if phase != p.phase {
		p.next(phase, total)
	}
	if p.bar == nil {
		return
	}
	if total > 0 && total != p.bar.GetMax64() {
		p.bar.ChangeMax64(total)
	}
	p.bar.Set64(done) //nolint:errcheck // a bar that cannot be drawn is no reason to stop
}

func (p *progress) next(phase string, total int64) {
	p.wipe()
	p.phase = phase
	if p.w == nil {
		p.log.Info(phase)
		return
	}
	p.bar = progressbar.NewOptions64(max(total, 1),
		progressbar.OptionSetWriter(p.w), progressbar.OptionSetDescription(phase),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionSetWidth(30),
		progressbar.OptionClearOnFinish(), progressbar.OptionSetPredictTime(false))
}

// clear takes the bar off the screen, before other text.
func (p *progress) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wipe()
}

func (p *progress) wipe() {
	if p.bar != nil {
		p.bar.Clear() //nolint:errcheck // see update
	}
	p.bar = nil
}
