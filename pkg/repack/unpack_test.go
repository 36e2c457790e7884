package repack

import (
	"archive/tar"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/oracle"
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
		written, err := unpack(context.Background(), out, streams(t, c.layers...), func(string, ...any) {})
		require.NoError(t, err, name)
		assert.True(t, written, name)
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

// refused unpacks in vain: nothing stays.
func refused(t *testing.T, name string, tars []tarball) error {
	t.Helper()
	place := t.TempDir()
	_, refusal := unpack(context.Background(), filepath.Join(place, "out"), tars, nil)
	left, err := os.ReadDir(place)
	require.NoError(t, err)
	assert.Empty(t, left, name)
	return refusal
}

// TestUnpackRefusesHoles: a file of 65 GiB in an archive of a few kilobytes.
func TestUnpackRefusesHoles(t *testing.T) {
	t.Parallel()
	tarBin, truncate := oracle.Path(t, "tar"), oracle.Path(t, "truncate")
	dir := t.TempDir()
	require.NoError(t, exec.Command(truncate, "-s", "65G", filepath.Join(dir, "large")).Run())
	require.NoError(t, exec.Command(truncate, "-s", "65K", filepath.Join(dir, "small")).Run())
	for _, format := range []string{"gnu", "pax"} {
		archive := func(file string) []tarball {
			raw, err := exec.Command(tarBin, "-S", "--format="+format, "-C", dir, "-cf", "-", file).Output()
			require.NoError(t, err)
			require.Less(t, len(raw), 60<<10)
			return []tarball{func(_ context.Context, w io.Writer) error { _, err := w.Write(raw); return err }}
		}
		err := refused(t, format, archive("large"))
		require.ErrorContains(t, err, `unpack "large": the files exceed 64 GiB`)
		assert.Equal(t, fault.Input, fault.ClassOf(err))
		out := filepath.Join(t.TempDir(), "out")
		_, err = unpack(context.Background(), out, archive("small"), nil)
		require.NoError(t, err)
		b, err := os.ReadFile(filepath.Join(out, "small"))
		require.NoError(t, err)
		assert.Equal(t, make([]byte, 65<<10), b)
	}
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
		require.Error(t, refused(t, name, streams(t, layers...)))
	}
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := unpack(context.Background(), file, nil, nil)
	require.Error(t, err)
}

// TestUnpackTwice: the same tree is left alone, any other is refused and left alone.
func TestUnpackTwice(t *testing.T) {
	t.Parallel()
	place := t.TempDir()
	quiet := func(string, ...any) {}
	out := filepath.Join(place, "out")
	tars := streams(t, []item{reg("d/a", []byte("x")), sym("l", "d/a")})
	_, err := unpack(context.Background(), out, tars, quiet)
	require.NoError(t, err)
	written, err := unpack(context.Background(), out, tars, quiet)
	require.NoError(t, err)
	assert.False(t, written)
	require.NoError(t, os.WriteFile(filepath.Join(out, "d/b"), nil, 0o600))
	_, err = unpack(context.Background(), out, tars, quiet)
	assert.Equal(t, fault.Usage, fault.ClassOf(err))
	require.ErrorContains(t, err, "holds something else")
	assert.FileExists(t, filepath.Join(out, "d/b"))
	left, err := os.ReadDir(place)
	require.NoError(t, err)
	assert.Len(t, left, 1)
}
