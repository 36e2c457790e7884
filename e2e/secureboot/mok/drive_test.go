package mok

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// manager is a MokManager that takes keys, loses some of them, and draws without being asked.
type manager struct {
	conn  net.Conn
	lose  int // how many of the menus' keys in a row get lost
	typed []string
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

func (m *manager) say(text string) { _, _ = io.WriteString(m.conn, text) }

// menu shows a title and lines until one is taken; a lost key is answered by a
// redrawn screen, or by nothing.
func (m *manager) menu(title string, lines ...string) {
	m.say(title)
	for at, lost := 0, 0; ; lost++ {
		for i, line := range lines {
			colour := "44"
			if i == at {
				colour = "40"
			}
			m.say(fmt.Sprintf("\x1b[0m\x1b[37m\x1b[%sm\x1b[%d;29H\xb3   %s  \xb3", colour, 23+i, line))
		}
		k := m.key()
		for ; k != "" && lost < m.lose && lost%2 == 0; lost++ {
			k = m.key()
		}
		switch {
		case k == "":
			return
		case lost < m.lose:
		case k == down:
			at, lost = min(at+1, len(lines)-1), -1
		case k == enter:
			m.typed = append(m.typed, lines[at])
			return
		}
	}
}

func (m *manager) run() {
	defer m.conn.Close()
	m.say("Press any key to perform MOK management")
	for range m.lose + 1 {
		m.key()
	}
	m.menu("Perform MOK management", "Continue boot", "Enroll MOK", "Enroll key from disk")
	m.menu("[Enroll MOK]", "View key 0", "View key 1", "Continue")
	m.menu("Enroll the key(s)?", "No", "Yes")
	m.say("Password: ")
	var password bytes.Buffer
	for k := ""; k != enter; password.WriteString(k) {
		if k = m.key(); k == "" {
			return
		}
	}
	m.typed = append(m.typed, password.String())
	m.menu("Perform MOK management", "Reboot", "Enroll key from disk")
	m.say("BdsDxe: starting")
}

func play(t *testing.T, lose int) ([]string, error) {
	t.Helper()
	ours, theirs := net.Pipe()
	c := &console{conn: ours, done: make(chan struct{}), pause: 14 * time.Millisecond, patience: 50 * time.Millisecond}
	m := &manager{conn: theirs, lose: lose}
	over := make(chan struct{})
	go c.listen(io.Discard)
	go func() { m.run(); close(over) }()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := c.answer(ctx, "pw", []Verb{Enroll})
	require.NoError(t, ours.Close())
	<-over
	return m.typed, err
}

func TestAnswerTypesLostKeysAgain(t *testing.T) {
	t.Parallel()
	for _, lose := range []int{0, 1, 2, 3} {
		typed, err := play(t, lose)
		require.NoError(t, err, lose)
		assert.Equal(t, []string{"Enroll MOK", "Continue", "Yes", "pw" + enter, "Reboot"}, typed, lose)
	}
	_, err := play(t, 100)
	assert.ErrorContains(t, err, `no answer at "Press any key`)
}
