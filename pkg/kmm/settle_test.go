package kmm

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/fault"
)

func TestSettle(t *testing.T) {
	t.Parallel()
	a, b := "sha256:"+strings.Repeat("a", 64), "sha256:"+strings.Repeat("b", 64)
	for name, c := range map[string]struct {
		images  []string
		message string
	}{
		"all, in any order":      {[]string{"r/d:6.2.0-1@" + b, "docker://r/d:6.1.0-1@" + a}, ""},
		"one twice":              {[]string{"r/d:6.2.0-1@" + b, "r/d:6.1.0-1@" + a, "r/d:6.1.0-1@" + a}, ""},
		"one is missing":         {[]string{"r/d:6.1.0-1@" + a}, "m for 6.2.0-1: no signed image of r/d:6.2.0-1"},
		"none":                   {nil, "no signed image"},
		"one too many":           {[]string{"r/d:6.2.0-1@" + b, "r/d:6.1.0-1@" + a, "r/x:1@" + a}, "r/x:1 is of no job"},
		"two digests":            {[]string{"r/d:6.1.0-1@" + a, "r/d:6.1.0-1@" + b}, "is both"},
		"a tag for a digest":     {[]string{"r/d:6.1.0-1"}, "is not NAME@sha256:HEX"},
		"half a digest":          {[]string{"r/d:6.1.0-1@sha256:abc"}, "is not NAME@sha256:HEX"},
		"empty":                  {[]string{""}, "is not NAME@sha256:HEX"},
		"a name of another case": {[]string{"r/D:6.1.0-1@" + a, "r/d:6.2.0-1@" + b}, "no signed image of r/d:6.1.0-1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := plan(t, "r/d:$KERNEL_VERSION", "6.1.0-1", "6.2.0-1")
			require.NoError(t, err)
			err = p.Settle(c.images)
			if c.message != "" {
				require.ErrorContains(t, err, c.message)
				assert.Equal(t, fault.Input, fault.ClassOf(err))
				return
			}
			require.NoError(t, err)
			assert.Equal(t, []string{a, b}, []string{p.Jobs[0].Digest, p.Jobs[1].Digest})
		})
	}
}
