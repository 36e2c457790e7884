package modsig_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/kmodseal/kmodseal/pkg/modsig"
)

func TestStripAppend(t *testing.T) {
	t.Parallel()
	once := modsig.Append([]byte("module"), []byte("message"))
	body, n := modsig.Strip(modsig.Append(once, []byte("second")))
	assert.Equal(t, "module", string(body))
	assert.Equal(t, 2, n)
}
