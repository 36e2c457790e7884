package truth

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRatchet(t *testing.T) {
	t.Parallel()
	listed, err := ReadOpen(strings.NewReader("# header\n\n6.1\tmok\ta\n6.1\tmok\tb\n"))
	require.NoError(t, err)
	a, b, c := Place{"6.1", "mok", "a"}, Place{"6.1", "mok", "b"}, Place{"6.1", "mok", "c"}

	same := Ratchet{Listed: listed}
	same.Note(a, false)
	same.Note(c, true)
	require.NoError(t, same.Err())
	assert.Equal(t, 1, same.Still)

	closed := Ratchet{Listed: listed}
	closed.Note(b, true)
	require.ErrorContains(t, closed.Err(), "1 predictions in open-differences.txt that are right, take them out:\n6.1\tmok\tb\n")

	added := Ratchet{Listed: listed}
	added.Note(c, false)
	require.ErrorContains(t, added.Err(), "1 wrong predictions that are not in open-differences.txt:\n6.1\tmok\tc\n")
}

func TestReadOpenRefuses(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"two fields": "6.1\tmok\n", "twice": "6.1\tmok\ta\n6.1\tmok\ta\n"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := ReadOpen(strings.NewReader(text))
			require.Error(t, err)
		})
	}
}
