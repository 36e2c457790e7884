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
	"regexp"
	"sync"
	"time"
)

const (
	down   = "\x1b[B"
	enter  = "\r"
	anyKey = "x" // in the menu behind it it means nothing, so that one too many does no harm
)

// highlight is a menu's chosen line: white on black, where the others are on
// blue, between two border bytes that are no ASCII.
var highlight = regexp.MustCompile(`\x1b\[40m\x1b\[\d+;\d+H[^ -~] *([ -~]*?) *[^ -~]`)

// Verb is what MokManager is asked to do: its words on the screen.
type Verb string

// The verbs.
const (
	Enroll Verb = "Enroll"
	Delete Verb = "Delete"
)

// screen is a text to wait for, and what answers it: a line of its menu, or keys.
type screen struct{ wait, choose, keys string }

// screens are the table of docs/enrolment.md.
func screens(v Verb, password string) []screen {
	return []screen{
		{wait: "Press any key to perform MOK management"},
		{wait: title, choose: fmt.Sprintf("%s MOK", v)},
		{wait: fmt.Sprintf("[%s MOK]", v), choose: "Continue"},
		{wait: fmt.Sprintf("%s the key(s)?", v), choose: "Yes"},
		{wait: "Password", keys: password + enter},
		{wait: title, choose: "Reboot"},
	}
}

// title is above the menu that MokManager begins with, and above that it ends with.
const title = "Perform MOK management"

// firmware is what OVMF says when it boots.
const firmware = "BdsDxe: "

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
	c := &console{conn: conn, done: make(chan struct{}), pause: 700 * time.Millisecond, patience: 10 * time.Second}
	go c.listen(file)
	return c.answer(ctx, password, verbs)
}

// answer goes through MokManager once for each verb, and waits until the machine is off.
func (c *console) answer(ctx context.Context, password string, verbs []Verb) error {
	for _, v := range verbs {
		all := screens(v, password)
		for i, s := range all {
			if err := c.expect(ctx, s.wait); err != nil {
				return err
			}
			next := firmware
			if i+1 < len(all) {
				next = all[i+1].wait
			}
			if err := c.reply(ctx, s, next); err != nil {
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

// reply answers a screen once it is drawn: MokManager throws away what was
// typed before. Keys get lost, and something drawn need not be the answer to a
// key, so that only the next screen's text ends a reply, but for the password,
// of which nothing shows.
func (c *console) reply(ctx context.Context, s screen, next string) error {
	if s.keys != "" {
		c.quiet(ctx)
		return c.typeKeys(s.keys)
	}
	for range 60 {
		key := anyKey
		if s.choose != "" {
			c.quiet(ctx)
			if key = down; c.chosen() == s.choose {
				key = enter
			}
		}
		if err := c.press(ctx, key, next); err != nil {
			return err
		}
		if c.shows(next) {
			return nil
		}
	}
	return fmt.Errorf("console: no answer at %q, %q is chosen", s.wait, c.chosen())
}

// typeKeys types what is not answered on the screen, such as a password.
func (c *console) typeKeys(keys string) error {
	for _, key := range []byte(keys) {
		if _, err := c.conn.Write([]byte{key}); err != nil {
			return err
		}
		time.Sleep(c.pause / 5)
	}
	return nil
}

// press types a key and waits as long as patience lasts: after Enter for the
// next screen, after others for anything drawn.
func (c *console) press(ctx context.Context, key, next string) error {
	before := c.said()
	if _, err := c.conn.Write([]byte(key)); err != nil {
		return err
	}
	answered := func() bool { return c.said() > before }
	if key == enter {
		answered = func() bool { return c.shows(next) }
	}
	for until := time.Now().Add(c.patience); !answered() && time.Now().Before(until) && ctx.Err() == nil; {
		time.Sleep(c.pause / 14)
	}
	return ctx.Err()
}

// shows is whether a text stands behind the one that was found last.
func (c *console) shows(text string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return bytes.Contains(c.seen.Bytes(), []byte(text))
}

// chosen is the highlighted line of the menu that was drawn last.
func (c *console) chosen() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := highlight.FindAllSubmatch(c.seen.Bytes(), -1)
	if len(all) == 0 {
		return ""
	}
	return string(all[len(all)-1][1])
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
