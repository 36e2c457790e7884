package repack

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/oracle"
)

// entries is a tar with every kind of header that a builder may write.
func entries(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	old := time.Unix(1_500_000_000, 123_000_000)
	for _, h := range []*tar.Header{
		{Typeflag: tar.TypeXGlobalHeader, Name: "pax_global_header", PAXRecords: map[string]string{"comment": "abc"}},
		{Typeflag: tar.TypeDir, Name: "./opt/", Mode: 0o755},
		{Typeflag: tar.TypeReg, Name: "./opt/a.ko", Size: 700, Mode: 0o600, Uid: 3_000_000, ModTime: old, Format: tar.FormatPAX, PAXRecords: map[string]string{"SCHILY.xattr.user.x": "\x00\x01", "KMODSEAL.note": "n"}},
		{Typeflag: tar.TypeLink, Name: "./opt/" + strings.Repeat("l", 180), Linkname: "./opt/a.ko", Format: tar.FormatGNU},
		{Typeflag: tar.TypeReg, Name: "opt/b.bin", Size: 1024, Uname: "ünï", Format: tar.FormatPAX},
		{Typeflag: tar.TypeReg, Name: "opt/empty"},
		{Typeflag: tar.TypeReg, Name: "opt/c.ko", Size: 1, Format: tar.FormatUSTAR},
		{Typeflag: tar.TypeReg, Name: "opt/.wh.d.ko"},
		{Typeflag: tar.TypeSymlink, Name: "opt/link", Linkname: "../x"},
	} {
		require.NoError(t, w.WriteHeader(h))
		_, err := w.Write(bytes.Repeat([]byte{'x'}, int(h.Size)))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return append(b.Bytes(), make([]byte, 4096)...) // a blocking factor's zeros
}

func run(t testing.TB, f filter, in []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, f.copy(context.Background(), &out, bytes.NewReader(in)))
	return out.Bytes()
}

func fixed(data string) content {
	return content{int64(len(data)), func() ([]byte, error) { return []byte(data), nil }}
}

func list2(t testing.TB, stream []byte) (hs []*tar.Header, bodies []string) {
	t.Helper()
	for r := tar.NewReader(bytes.NewReader(stream)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return hs, bodies
		}
		require.NoError(t, err)
		b, err := io.ReadAll(r)
		require.NoError(t, err)
		hs, bodies = append(hs, h), append(bodies, string(b))
	}
}

func TestFilterKeepsBytes(t *testing.T) {
	t.Parallel()
	in := entries(t)
	for name, data := range map[string][]byte{
		"all":            in,
		"no end at all":  in[:len(in)-4096-1024],
		"empty":          nil,
		"only the end":   make([]byte, 1024),
		"junk after end": append(bytes.Clone(in), "junk"...),
	} {
		assert.True(t, bytes.Equal(data, run(t, filter{}, data)), name)
	}
}

func TestFilterEdits(t *testing.T) {
	t.Parallel()
	in := entries(t)
	with := fixed(strings.Repeat("signed", 300))
	f := filter{
		// the global header has no number
		edits: map[int]edit{1: {with: &with}, 3: {drop: true}, 5: {drop: true}},
		tail:  []file{certificate("usr/x.der", []byte("der"), time.Unix(5, 0))},
	}
	before, _ := list2(t, in)
	after, bodies := list2(t, run(t, f, in))
	require.Len(t, after, len(before)-1)
	want := *before[2]
	want.Size = with.size
	assert.Equal(t, &want, after[2])
	assert.Equal(t, strings.Repeat("signed", 300), bodies[2])
	assert.Equal(t, before[3], after[3])
	assert.Equal(t, []string{"opt/empty", "opt/.wh.d.ko", "opt/link", "usr/x.der"},
		[]string{after[4].Name, after[5].Name, after[6].Name, after[7].Name})
	assert.Equal(t, "der", bodies[7])
	assert.Zero(t, len(run(t, f, in))%blockSize)
}

func TestFilterRefusesDamage(t *testing.T) {
	t.Parallel()
	in := entries(t)
	for _, n := range []int{100, 3000, 1100} {
		err := (&filter{}).copy(context.Background(), io.Discard, bytes.NewReader(in[:n]))
		require.Error(t, err, n)
	}
	require.Error(t, (&filter{limit: 1000}).copy(context.Background(), io.Discard, bytes.NewReader(in)))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	assert.ErrorIs(t, (&filter{}).copy(ctx, io.Discard, bytes.NewReader(in)), context.Canceled)
}

// GNU tar's sparse files, in each of its formats, pass through.
func TestFilterSparse(t *testing.T) {
	t.Parallel()
	tarBin, truncate := oracle.Path(t, "tar"), oracle.Path(t, "truncate")
	dir := t.TempDir()
	require.NoError(t, exec.Command(truncate, "-s", "3M", filepath.Join(dir, "hole")).Run())
	for _, format := range []string{"--format=gnu", "--format=pax --sparse-version=0.0", "--format=pax --sparse-version=0.1", "--format=pax --sparse-version=1.0"} {
		args := append(strings.Fields(format), "-S", "-C", dir, "-cf", "-", "hole")
		in, err := exec.Command(tarBin, args...).Output()
		require.NoError(t, err)
		assert.True(t, bytes.Equal(in, run(t, filter{}, in)), format)
		with := fixed("abc")
		_, bodies := list2(t, run(t, filter{edits: map[int]edit{0: {with: &with}}}, in))
		assert.Equal(t, []string{"abc"}, bodies, format)
	}
}

func FuzzFilter(f *testing.F) {
	f.Add(entries(f))
	f.Fuzz(func(t *testing.T, in []byte) {
		var out bytes.Buffer
		if (&filter{limit: 1 << 20}).copy(context.Background(), &out, bytes.NewReader(in)) == nil {
			assert.True(t, bytes.Equal(in, out.Bytes()))
		}
	})
}
