// Package mok rehearses the enrolment that docs/enrolment.md describes: its
// commands are taken from the document, and MokManager is answered over the
// machine's serial port.
package mok

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

const (
	down   = "\x1b[B"
	enter  = "\r"
	anyKey = "xxx" // one may be lost; in the menu behind it none means anything
)

// Verb is what MokManager is asked to do: its words on the screen.
type Verb string

// The verbs.
const (
	Enroll Verb = "Enroll"
	Delete Verb = "Delete"
)

// screen is a text to wait for and the keys to answer with.
type screen struct{ wait, send string }

// screens are the table of docs/enrolment.md.
func screens(v Verb, password string) []screen {
	return []screen{
		{"Press any key to perform MOK management", anyKey},
		{"Continue boot", down + enter},
		{fmt.Sprintf("[%s MOK]", v), down + enter},
		{fmt.Sprintf("%s the key(s)?", v), down + enter},
		{"Password", password + enter},
		{"Perform MOK management", enter},
	}
}

// Drive answers MokManager once for each verb; everything the machine says is copied to log.
func Drive(ctx context.Context, socket, log, password string, verbs ...Verb) error {
	conn, err := dial(ctx, socket)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	file, err := os.Create(log)
	if err != nil {
		return err
	}
	defer file.Close()
	c := &console{conn: conn, done: make(chan struct{}), pause: 700 * time.Millisecond, patience: 5 * time.Second}
	go c.listen(file)
	return c.answer(ctx, password, verbs)
}

// answer goes through MokManager once for each verb, and waits until the machine is off.
func (c *console) answer(ctx context.Context, password string, verbs []Verb) error {
	for _, v := range verbs {
		for _, s := range screens(v, password) {
			if err := c.expect(ctx, s.wait); err != nil {
				return err
			}
			if err := c.send(ctx, s.send); err != nil {
				return err
			}
		}
	}
	select {
	case <-c.done:
	case <-ctx.Done():
	}
	return ctx.Err()
}

func dial(ctx context.Context, socket string) (net.Conn, error) {
	for {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			return conn, nil
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

type console struct {
	conn  net.Conn
	mu    sync.Mutex
	seen  bytes.Buffer // behind the text that was found last
	total int
	done  chan struct{}

	pause    time.Duration // of silence, after which a screen is drawn
	patience time.Duration // until a key counts as lost
}

func (c *console) listen(log io.Writer) {
	defer close(c.done)
	b := make([]byte, 4096)
	for {
		n, err := c.conn.Read(b)
		_, _ = log.Write(b[:n])
		c.mu.Lock()
		c.seen.Write(b[:n])
		c.total += n
		if err != nil {
			c.total++
		}
		c.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// expect waits for a text behind the one that was found last.
func (c *console) expect(ctx context.Context, text string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	for {
		c.mu.Lock()
		i := bytes.Index(c.seen.Bytes(), []byte(text))
		if i >= 0 {
			c.seen.Next(i + len(text))
		}
		c.mu.Unlock()
		if i >= 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("console: %q never appeared", text)
		case <-c.done:
			return fmt.Errorf("console: the machine went off before %q", text)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// send types, once the screen is drawn: MokManager throws away what was typed
// before. It draws something after each key but those of a password; a key that
// it does not answer got lost and is typed again.
func (c *console) send(ctx context.Context, keys string) error {
	c.quiet(ctx)
	for len(keys) > 0 {
		key := keys[:1]
		if keys[0] == 0x1b {
			key = keys[:len(down)] // the firmware decodes an escape sequence as one key
		}
		keys = keys[len(key):]
		if err := c.press(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

func (c *console) press(ctx context.Context, key string) error {
	for range 4 {
		before := c.said()
		if _, err := c.conn.Write([]byte(key)); err != nil {
			return err
		}
		if key != down && key != enter {
			time.Sleep(c.pause / 5)
			return nil
		}
		for until := time.Now().Add(c.patience); time.Now().Before(until); time.Sleep(c.pause / 14) {
			if c.said() > before || ctx.Err() != nil {
				return ctx.Err()
			}
		}
	}
	return fmt.Errorf("console: no answer to %q", key)
}

// quiet waits until nothing is said for a while.
func (c *console) quiet(ctx context.Context) {
	for before := -1; before != c.said() && ctx.Err() == nil; {
		before = c.said()
		time.Sleep(c.pause)
	}
}

// said is how many bytes the machine has said; to be off counts as a word.
func (c *console) said() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.total
}
