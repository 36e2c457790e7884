package mok

import (
	"bytes"
	"context"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// manager is a MokManager that takes keys, and loses some of them.
type manager struct {
	conn  net.Conn
	lose  int // how many of the menus' keys in a row get lost
	typed bytes.Buffer
}

// key reads one key: a byte, or an escape sequence.
func (m *manager) key() string {
	b := make([]byte, 8)
	n, err := m.conn.Read(b)
	if err != nil {
		return ""
	}
	return string(b[:n])
}

// menu shows a text and answers each key but the lost ones, until Enter.
func (m *manager) menu(text string) {
	_, _ = io.WriteString(m.conn, text)
	for lost := 0; ; {
		k := m.key()
		if k == "" {
			return
		}
		if lost < m.lose {
			lost++
			continue
		}
		m.typed.WriteString(k)
		if k == enter {
			return
		}
		_, _ = io.WriteString(m.conn, "redrawn")
	}
}

func (m *manager) run() {
	defer m.conn.Close()
	_, _ = io.WriteString(m.conn, "Press any key to perform MOK management")
	for range anyKey {
		m.key()
	}
	for _, text := range []string{"Continue boot", "[Enroll MOK]", "Enroll the key(s)?"} {
		m.menu(text)
	}
	_, _ = io.WriteString(m.conn, "Password: ")
	for k := ""; k != enter; {
		if k = m.key(); k == "" {
			return
		}
		m.typed.WriteString(k)
	}
	m.menu("Perform MOK management")
}

func play(t *testing.T, lose int) (string, error) {
	t.Helper()
	ours, theirs := net.Pipe()
	c := &console{conn: ours, done: make(chan struct{}), pause: 14 * time.Millisecond, patience: 50 * time.Millisecond}
	m := &manager{conn: theirs, lose: lose}
	over := make(chan struct{})
	go c.listen(io.Discard)
	go func() { m.run(); close(over) }()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	err := c.answer(ctx, "pw", []Verb{Enroll})
	require.NoError(t, ours.Close())
	<-over
	return m.typed.String(), err
}

func TestAnswerTypesLostKeysAgain(t *testing.T) {
	t.Parallel()
	for _, lose := range []int{0, 1, 3} {
		typed, err := play(t, lose)
		require.NoError(t, err, lose)
		assert.Equal(t, down+enter+down+enter+down+enter+"pw"+enter+enter, typed, lose)
	}
	_, err := play(t, 4)
	assert.ErrorContains(t, err, "no answer to")
}
