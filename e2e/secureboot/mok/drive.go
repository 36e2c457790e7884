// Package mok rehearses the enrolment that docs/enrolment.md describes: its
// commands are taken from the document, and MokManager is answered over the
// machine's serial port.
package mok

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"sync"
	"time"
)

const (
	down  = "\x1b[B"
	enter = "\r"
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
		{"Press any key to perform MOK management", enter},
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
	c := &console{conn: conn, done: make(chan struct{})}
	go c.read(file)
	for _, v := range verbs {
		for _, s := range screens(v, password) {
			if err := c.expect(ctx, s.wait); err != nil {
				return err
			}
			if err := c.send(s.send); err != nil {
				return err
			}
		}
	}
	select {
	case <-c.done: // the machine is off
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
	conn net.Conn
	mu   sync.Mutex
	seen bytes.Buffer
	done chan struct{}
}

func (c *console) read(log *os.File) {
	defer close(c.done)
	b := make([]byte, 4096)
	for {
		n, err := c.conn.Read(b)
		_, _ = log.Write(b[:n])
		c.mu.Lock()
		c.seen.Write(b[:n])
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

// send types, slowly, for the firmware decodes an escape sequence as one key.
func (c *console) send(keys string) error {
	time.Sleep(700 * time.Millisecond) // until the screen is complete
	for len(keys) > 0 {
		n := 1
		if keys[0] == 0x1b {
			n = len(down)
		}
		if _, err := c.conn.Write([]byte(keys[:n])); err != nil {
			return err
		}
		keys = keys[n:]
		time.Sleep(150 * time.Millisecond)
	}
	return nil
}
