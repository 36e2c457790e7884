package step

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"

	"github.com/kmodseal/kmodseal/pkg/report"
)

// logHandler writes records for people: no time, a level only where it says
// something, control characters shown; or the same as JSON objects.
type logHandler struct {
	mu    *sync.Mutex
	w     io.Writer
	step  string
	json  bool
	level slog.Level
	attrs []slog.Attr
}

func newLog(w io.Writer, step string, asJSON, quiet bool) *slog.Logger {
	h := &logHandler{mu: &sync.Mutex{}, w: w, step: step, json: asJSON, level: slog.LevelInfo}
	if quiet {
		h.level = slog.LevelError
	}
	return slog.New(h)
}

// Enabled implements slog.Handler.
func (h *logHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level }

// WithAttrs implements slog.Handler.
func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	c := *h
	c.attrs = append(append([]slog.Attr{}, h.attrs...), attrs...)
	return &c
}

// WithGroup implements slog.Handler; groups are not used.
func (h *logHandler) WithGroup(string) slog.Handler { return h }

// Handle implements slog.Handler.
func (h *logHandler) Handle(_ context.Context, r slog.Record) error {
	attrs := append([]slog.Attr{}, h.attrs...)
	r.Attrs(func(a slog.Attr) bool {
		attrs = append(attrs, a)
		return true
	})
	line := h.text(r, attrs)
	if h.json {
		line = h.object(r, attrs)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err := io.WriteString(h.w, line+"\n")
	return err
}

func (h *logHandler) text(r slog.Record, attrs []slog.Attr) string {
	var b strings.Builder
	if r.Level >= slog.LevelWarn {
		b.WriteString("warning: ")
	}
	b.WriteString(report.Plain(r.Message))
	for _, a := range attrs {
		fmt.Fprintf(&b, " %s=%s", a.Key, report.Plain(a.Value.String()))
	}
	return b.String()
}

func (h *logHandler) object(r slog.Record, attrs []slog.Attr) string {
	o := map[string]string{"level": r.Level.String(), "msg": report.Plain(r.Message), "step": h.step}
	for _, a := range attrs {
		o[a.Key] = report.Plain(a.Value.String())
	}
	line, err := json.Marshal(o)
	if err != nil {
		return err.Error()
	}
	return string(line)
}
