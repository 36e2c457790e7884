package repack

import (
	"archive/tar"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func streams(t testing.TB, layers ...[]item) (out []tarball) {
	t.Helper()
	for _, items := range layers {
		raw := tarOf(t, items...)
		out = append(out, func(_ context.Context, w io.Writer) error {
			_, err := w.Write(raw)
			return err
		})
	}
	return out
}

func TestUnpack(t *testing.T) {
	t.Parallel()
	x, y := []byte("x"), []byte("y")
	for name, c := range map[string]struct {
		layers [][]item
		want   []string // path=content, path/ of a folder, path->target
	}{
		"later wins":               {[][]item{{reg("a", x)}, {reg("a", y)}}, []string{"a=y"}},
		"whiteout":                 {[][]item{{reg("d/a", x), reg("d/b", x)}, {gone1("d/a")}}, []string{"d/", "d/b=x"}},
		"whiteout of its own file": {[][]item{{reg("d/a", x)}, {reg("d/a", y), gone1("d/a")}}, []string{"d/", "d/a=y"}},
		"opaque":                   {[][]item{{reg("d/a", x), reg("d/e/b", x)}, {reg("d/e/c", y), reg("d/.wh..wh..opq", nil)}}, []string{"d/", "d/e/", "d/e/c=y"}},
		"folder becomes file":      {[][]item{{reg("d/a", x)}, {reg("d", y)}}, []string{"d=y"}},
		"file becomes folder":      {[][]item{{reg("d", x)}, {folder("d"), reg("d/a", y)}}, []string{"d/", "d/a=y"}},
		"folder of two layers":     {[][]item{{folder("d"), reg("d/a", x)}, {folder("d"), reg("d/b", y)}}, []string{"d/", "d/a=x", "d/b=y"}},
		"linked parent":            {[][]item{{folder("usr"), sym("lib", "/usr"), reg("lib/a", x)}}, []string{"usr/", "usr/a=x", "lib->/usr"}},
		"link out and below it":    {[][]item{{sym("out", "../../../.."), reg("out/a", x)}}, []string{"out->../../../..", "a=x"}},
		"hard link":                {[][]item{{reg("a", x)}, {hard("b", "a")}}, []string{"a=x", "b=x"}},
		"name that climbs":         {[][]item{{reg("../../a", x)}}, []string{"a=x"}},
		"pipe":                     {[][]item{{{tar.Header{Typeflag: tar.TypeFifo, Name: "p"}, nil}, reg("a", x)}}, []string{"a=x"}},
		"whiteout of nothing":      {[][]item{{gone1("d/a"), reg("a", x)}}, []string{"a=x", "d/"}},
	} {
		out := filepath.Join(t.TempDir(), "out")
		require.NoError(t, unpack(context.Background(), out, streams(t, c.layers...), func(string, ...any) {}), name)
		assert.ElementsMatch(t, c.want, short(t, out), name)
	}
}

func short(t testing.TB, dir string) (out []string) {
	t.Helper()
	for p, l := range listing(t, dir) {
		switch f := strings.SplitN(l, " ", 3); l[0] {
		case 'd':
			out = append(out, p+"/")
		case 'L':
			out = append(out, p+"->"+f[1])
		default:
			out = append(out, p+"="+f[2])
		}
	}
	return out
}

func TestUnpackRefuses(t *testing.T) {
	t.Parallel()
	loop := []item{sym("a", "b"), sym("b", "a"), reg("a/x", nil)}
	for name, layers := range map[string][][]item{
		"link loop":           {loop},
		"hard link to naught": {{hard("b", "a")}},
		"hard link outside":   {{hard("b", "../../../../../etc/passwd")}},
		"below a file":        {{reg("a", nil), reg("a/b", nil)}},
	} {
		place := t.TempDir()
		err := unpack(context.Background(), filepath.Join(place, "out"), streams(t, layers...), nil)
		require.Error(t, err, name)
		left, err := os.ReadDir(place)
		require.NoError(t, err)
		assert.Empty(t, left, name)
	}
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	assert.Error(t, unpack(context.Background(), file, nil, nil))
}
