package imagefs

import (
	"archive/tar"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/fault"
)

// TestSteps: what makes the view slow, with few bytes of tar, is refused after
// a number of steps, and so is a link that only Files follows.
func TestSteps(t *testing.T) {
	t.Parallel()
	detour := strings.Repeat("a/../", 700)
	chain := []Entry{{Path: "a", Type: tar.TypeDir}}
	for i := range 39 {
		chain = append(chain, Entry{Path: fmt.Sprintf("s%d", i), Type: tar.TypeSymlink, Link: "/" + detour + fmt.Sprintf("s%d", i+1)})
	}
	chain = append(chain, Entry{Path: "s39", Type: tar.TypeSymlink, Link: "/a"})
	files := func(pattern string, n int) (es []Entry) {
		for i := range n {
			es = append(es, Entry{Path: fmt.Sprintf(pattern, i), Type: tar.TypeReg})
		}
		return es
	}
	opaque := Entry{Path: "a/.wh..wh..opq", Type: tar.TypeReg}
	const steps = 2_000_000
	for name, c := range map[string]struct {
		entries []Entry
		refused bool
	}{
		"paths through links":  {slices.Concat(chain, files("s0/%d", 60)), true},
		"hidden through links": {slices.Concat(chain, files("s0/.wh.%d", 60)), true},
		"opaque again":         {slices.Concat(files("a/%d", 3000), slices.Repeat([]Entry{opaque}, 1000)), true},
		"many files":           {files("usr/share/doc/package/%d", 100_000), false},
		"few through links":    {slices.Concat(chain, files("s0/%d", 3)), false},
	} {
		tree := newTree([]Layer{{Entries: c.entries}})
		tree.left = steps
		_, err := tree.fill(true)
		assert.Equal(t, c.refused, err != nil, "%s: %v", name, err)
		if c.refused {
			require.ErrorContains(t, err, "steps to follow", name)
			assert.Equal(t, fault.Input, fault.ClassOf(err), name)
		}
	}
	tree, err := Flatten([]Layer{{Entries: slices.Concat(chain, []Entry{{Path: "m.ko", Type: tar.TypeSymlink, Link: "s0/none"}})}})
	require.NoError(t, err)
	all := func(string) bool { return true }
	_, err = tree.Files(all)
	require.NoError(t, err)
	tree.left = 1000
	_, err = tree.Files(all)
	require.ErrorContains(t, err, "steps to follow")
	_, err = tree.Dangling(all)
	require.ErrorContains(t, err, "steps to follow")
}
