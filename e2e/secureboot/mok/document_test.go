package mok

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDocument(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../../../docs/enrolment.md")
	require.NoError(t, err)
	c, err := Commands(string(b))
	require.NoError(t, err)
	assert.Contains(t, c["host"], "-out ca.der")
	assert.Contains(t, c["host"], "-out build.pem")
	assert.Equal(t, "mokutil --import ca.der\n", c["import"])
	_, err = Commands("no commands")
	assert.Error(t, err)
}
