package repack

import (
	"bytes"
	stdgzip "compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/kmod"
	"github.com/kmodseal/kmodseal/pkg/oracle"
)

// TestCompressorBytes holds the bytes of our layers, and with them the digests of
// signed images, to those of earlier releases. Where a new Go or a new version of
// klauspost/compress changes them, the changelog has to say so.
func TestCompressorBytes(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // G404: the same bytes each time
	var plain []byte
	for len(plain) < 1<<20 {
		word := make([]byte, 1+r.IntN(12))
		for i := range word {
			word[i] = byte(r.IntN(16) * r.IntN(16))
		}
		plain = append(plain, bytes.Repeat(word, 1+r.IntN(3))...)
	}
	for name, c := range map[string]struct {
		codec kmod.Codec
		e     effort
		want  string
	}{
		"gzip quick": {kmod.Gzip, quick, "32b60af290d883d4"},
		"gzip dense": {kmod.Gzip, dense, "7b03aa95fcbc48dc"},
		"zstd quick": {kmod.Zstd, quick, "6394eb74f9b99f5f"},
		"zstd dense": {kmod.Zstd, dense, "c23eadd410c6007a"},
	} {
		sum := sha256.Sum256(compressed(t, plain, c.codec, c.e))
		assert.Equal(t, c.want, hex.EncodeToString(sum[:8]), name)
	}
}

func compressed(t testing.TB, plain []byte, c kmod.Codec, e effort) []byte {
	t.Helper()
	var b bytes.Buffer
	z, err := compressor(&b, c, e)
	return written(t, z, err, plain, &b)
}

func written(t testing.TB, z io.WriteCloser, err error, plain []byte, b *bytes.Buffer) []byte {
	t.Helper()
	require.NoError(t, err)
	_, err = z.Write(plain)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return b.Bytes()
}

// TestDenseDoesNotOutgrow compares on machine code, as modules are, with what
// builders make layers with.
func TestDenseDoesNotOutgrow(t *testing.T) {
	t.Parallel()
	exe, err := os.Executable()
	require.NoError(t, err)
	plain, err := os.ReadFile(exe)
	require.NoError(t, err)
	plain = plain[:min(len(plain), 8<<20)]
	ours := map[kmod.Codec]int{
		kmod.Gzip: len(compressed(t, plain, kmod.Gzip, dense)),
		kmod.Zstd: len(compressed(t, plain, kmod.Zstd, dense)),
	}
	tool := func(args ...string) func(testing.TB) []byte {
		return func(t testing.TB) []byte {
			c := exec.Command(oracle.Path(t, args[0]), args[1:]...)
			c.Stdin = bytes.NewReader(plain)
			out, err := c.Output()
			require.NoError(t, err)
			return out
		}
	}
	library := func(open func(w io.Writer) (io.WriteCloser, error)) func(testing.TB) []byte {
		return func(t testing.TB) []byte {
			var b bytes.Buffer
			z, err := open(&b)
			return written(t, z, err, plain, &b)
		}
	}
	for name, c := range map[string]struct {
		codec kmod.Codec
		size  func(testing.TB) []byte
		grows float64 // at most
	}{
		"docker, BuildKit": {kmod.Gzip, library(func(w io.Writer) (io.WriteCloser, error) { return stdgzip.NewWriter(w), nil }), 0},
		"kaniko, ko": {kmod.Gzip, library(func(w io.Writer) (io.WriteCloser, error) {
			return stdgzip.NewWriterLevel(w, stdgzip.BestSpeed)
		}), 0},
		"buildah":       {kmod.Gzip, library(func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriter(w), nil }), 0},
		"buildah, zstd": {kmod.Zstd, library(func(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w) }), 0},
		"gzip -1":       {kmod.Gzip, tool("gzip", "-n1"), 0},
		"gzip -6":       {kmod.Gzip, tool("gzip", "-n6"), 0.02},
		"gzip -9":       {kmod.Gzip, tool("gzip", "-n9"), 0.03},
		"zstd -3":       {kmod.Zstd, tool("zstd", "-q3"), 0},
	} {
		t.Run(name, func(t *testing.T) {
			theirs, ours := len(c.size(t)), ours[c.codec]
			t.Logf("%d bytes, ours %d: %+.2f %%", theirs, ours, 100*(float64(ours)/float64(theirs)-1))
			assert.LessOrEqual(t, float64(ours), float64(theirs)*(1+c.grows))
		})
	}
}
