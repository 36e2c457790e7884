package boot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Link is one link of the boot chain that a negative control damages.
type Link struct {
	Name    string
	Refusal string // what the link before it says then
}

// Links are the three links that signatures hold together.
func Links() []Link {
	return []Link{
		{"shim", "Access Denied"},
		{"grub", "Security Violation"},
		{"kernel", "bad shim signature"},
	}
}

// Refused boots m with one bit of a link flipped. It is an error when the link
// before it does not refuse, or when the guest runs all the same.
func (m Machine) Refused(ctx context.Context, l Link) error {
	dir := m.Dir + ".flipped"
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	chain := *m.Chain
	m.Chain = &chain
	target := map[string]*string{"shim": &chain.Shim, "grub": &chain.Grub, "kernel": &m.Kernel}[l.Name]
	flipped := filepath.Join(dir, filepath.Base(*target))
	if err := flip(*target, flipped); err != nil {
		return err
	}
	*target = flipped
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	said := make(chan bool, 1)
	go func() { said <- m.watch(ctx, l.Refusal); cancel() }()
	log, err := m.Run(ctx)
	cancel()
	switch {
	case !errors.Is(err, ErrIncomplete) || log != nil && (log.Complete || len(log.Facts) > 0):
		return fmt.Errorf("a flipped bit in %s: the guest ran all the same", l.Name)
	case !<-said:
		return fmt.Errorf("a flipped bit in %s: no %q on the console (%s)", l.Name, l.Refusal, m.file("console.log"))
	}
	return nil
}

// watch waits for a text on the console.
func (m Machine) watch(ctx context.Context, text string) bool {
	seen := func() bool {
		b, err := os.ReadFile(m.file("console.log"))
		return err == nil && bytes.Contains(b, []byte(text))
	}
	for {
		select {
		case <-ctx.Done():
			return seen()
		case <-time.After(200 * time.Millisecond):
			if seen() {
				return true
			}
		}
	}
}

// flip copies a file with one bit in its middle changed.
func flip(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	b[len(b)/2] ^= 1
	return os.WriteFile(to, b, 0o644)
}
