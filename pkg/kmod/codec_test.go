package kmod_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/kmod"
	"github.com/kmodseal/kmodseal/pkg/kmodtest"
	"github.com/kmodseal/kmodseal/pkg/oracle"
)

var codecs = []kmod.Codec{kmod.None, kmod.Gzip, kmod.XZ, kmod.Zstd}

func sample() []byte { return kmodtest.Build(kmodtest.Spec{Name: "sample", Pad: 1 << 20}) }

func encode(t testing.TB, plain []byte, c kmod.Codec) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, kmod.Encode(&b, plain, c))
	return b.Bytes()
}

// pipe runs the oracle on in and gives its standard output.
func pipe(t testing.TB, in []byte, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(oracle.Path(t, name), args...)
	cmd.Stdin = bytes.NewReader(in)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, "%s %v: %s", name, args, &stderr)
	return out
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func TestIsName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"a.ko": true, "a.ko.gz": true, "a.ko.xz": true, "a.ko.zst": true, "a.b.ko": true,
		"a.ko.debug": false, "a.debug": false, "a.ko.xz.debug": false, ".ko": false, ".ko.xz": false, "ko": false,
		"a.ko.zstd": false, "a.KO": false, "a.ko.bz2": false, "a.ko~": false, "a.o": false, "": false,
	} {
		assert.Equal(t, want, kmod.IsName(name), name)
	}
}

func TestEncodeDecode(t *testing.T) {
	t.Parallel()
	for _, plain := range [][]byte{sample(), []byte("x"), {}} {
		for _, c := range codecs {
			stored := encode(t, plain, c)
			assert.Equal(t, stored, encode(t, plain, c), "%s: same input, same bytes", c)
			assert.Equal(t, c, kmod.Sniff(stored))
			require.NoError(t, kmod.CheckInKernel(stored, c))
			got, codec, err := kmod.Decode(stored, 0)
			require.NoError(t, err, "%s of %d bytes", c, len(plain))
			assert.Equal(t, c, codec)
			assert.True(t, bytes.Equal(plain, got), "%s of %d bytes", c, len(plain))
		}
	}
	require.Error(t, kmod.Encode(&bytes.Buffer{}, nil, "lz4"))
}

func TestToolsReadOurs(t *testing.T) {
	t.Parallel()
	plain := sample()
	for c, tool := range map[kmod.Codec]string{kmod.Gzip: "gzip", kmod.XZ: "xz", kmod.Zstd: "zstd"} {
		assert.True(t, bytes.Equal(plain, pipe(t, encode(t, plain, c), tool, "-dc")), tool)
	}
}

func TestXZListsWhatTheKernelWants(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "a.ko.xz")
	require.NoError(t, os.WriteFile(file, encode(t, sample(), kmod.XZ), 0o644))
	out := string(pipe(t, nil, "xz", "-lvv", file))
	for _, want := range []string{"CRC32", "--lzma2=dict=1MiB", "Streams:           1", "Blocks:            1"} {
		assert.Contains(t, out, want)
	}
}

func TestDecodeReadsTools(t *testing.T) {
	t.Parallel()
	plain := sample()
	for _, cmd := range [][]string{
		{"gzip", "-n"},
		{"gzip", "-1"},
		{"xz"},
		{"xz", "--check=crc32", "--lzma2=dict=1MiB"},
		{"xz", "-9e", "--check=none"},
		{"xz", "--check=sha256"},
		{"xz", "--block-size=65536"},
		{"xz", "-T2", "--block-size=1MiB"},
		{"zstd", "-q"},
		{"zstd", "-19", "-q"},
		{"zstd", "--no-check", "-q"},
		{"zstd", "--ultra", "-22", "-q"},
	} {
		stored := pipe(t, plain, cmd[0], append(cmd[1:], "-c")...)
		got, _, err := kmod.Decode(stored, 0)
		require.NoError(t, err, cmd)
		assert.True(t, bytes.Equal(plain, got), cmd)

		twice := join(stored, stored)
		got, _, err = kmod.Decode(twice, 0)
		require.NoError(t, err, "%v, two streams", cmd)
		assert.True(t, bytes.Equal(join(plain, plain), got), "%v, two streams", cmd)
	}
}

func TestDecodeSaysWhatTrails(t *testing.T) {
	t.Parallel()
	plain := []byte("module")
	for _, c := range []kmod.Codec{kmod.Gzip, kmod.XZ, kmod.Zstd} {
		one := encode(t, plain, c)
		for name, garbage := range map[string]string{"signature": "\x30\x82~Module signature appended~\n", "one byte": "\n", "magic cut off": "\xfd7zX"} {
			got, codec, err := kmod.Decode(join(one, []byte(garbage)), 0)
			var trailing *kmod.TrailingError
			require.ErrorAs(t, err, &trailing, "%s %s", c, name)
			require.ErrorIs(t, err, kmod.ErrTrailing)
			assert.Equal(t, kmod.TrailingError{Codec: c, Offset: int64(len(one)), Size: int64(len(garbage))}, *trailing)
			assert.Equal(t, fault.Damaged, fault.ClassOf(err))
			assert.NotEmpty(t, fault.HintsOf(err))
			assert.Equal(t, plain, got, "%s: what comes before is given", c)
			assert.Equal(t, c, codec)
		}
	}
	for _, c := range []kmod.Codec{kmod.Gzip, kmod.XZ} {
		got, _, err := kmod.Decode(join(encode(t, plain, c), make([]byte, 8)), 0)
		require.NoError(t, err, "%s: zero padding", c)
		assert.Equal(t, plain, got)
	}
}

func TestDecodeRefusesDamage(t *testing.T) {
	t.Parallel()
	plain := kmodtest.Build(kmodtest.Spec{Pad: 300})
	for _, c := range []kmod.Codec{kmod.Gzip, kmod.XZ, kmod.Zstd} {
		stored := encode(t, plain, c)
		for n := 6; n < len(stored); n++ {
			_, _, err := kmod.Decode(stored[:n], 0)
			require.Equal(t, fault.Input, fault.ClassOf(err), "%s cut to %d of %d bytes: %v", c, n, len(stored), err)
		}
		for n := len(stored) / 2; n < len(stored); n += 7 {
			flipped := bytes.Clone(stored)
			flipped[n] ^= 0x10
			got, _, err := kmod.Decode(flipped, 0)
			if err == nil {
				require.Equal(t, plain, got, "%s: bit flipped at %d", c, n)
			}
		}
	}
}

func TestDecodeStopsBombs(t *testing.T) {
	t.Parallel()
	const limit = 1 << 20
	bomb := make([]byte, 64<<20)
	for _, c := range codecs {
		stored := encode(t, bomb, c)
		_, _, err := kmod.Decode(stored, limit)
		require.ErrorContains(t, err, "bigger than 1048576 bytes", c)
		assert.Equal(t, fault.Input, fault.ClassOf(err), c)

		exact := encode(t, bomb[:limit], c)
		plain, _, err := kmod.Decode(exact, limit)
		require.NoError(t, err, c)
		assert.Len(t, plain, limit)
		_, _, err = kmod.Decode(exact, limit-1)
		require.ErrorContains(t, err, "bigger than", c)

		if c != kmod.None {
			_, _, err = kmod.Decode(join(exact, exact), limit)
			assert.ErrorContains(t, err, "bigger than", "%s: the limit holds for all streams together", c)
		}
	}
}

func TestDecodeAllocatesNoMoreThanItMust(t *testing.T) {
	t.Parallel()
	// A zstd frame of one empty block that claims 400 MiB of content.
	zstd := []byte{0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0, 0, 0, 0x19, 1, 0, 0}
	_, _, err := kmod.Decode(zstd, 0)
	require.ErrorContains(t, err, "says that it holds")

	file := pipe(t, sample(), "xz", "--lzma2=dict=128MiB", "-c")
	_, _, err = kmod.Decode(file, 0)
	assert.ErrorContains(t, err, "dictionaries of up to")
}

func FuzzDecode(f *testing.F) {
	for _, c := range codecs {
		stored := encode(f, kmodtest.Build(kmodtest.Spec{Pad: 100}), c)
		f.Add(stored)
		f.Add(join(stored, stored))
		f.Add(join(stored, []byte("garbage")))
		f.Add(stored[:len(stored)-5])
	}
	f.Add([]byte("\x50\x2a\x4d\x18\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, stored []byte) {
		const limit = 4 << 20
		plain, c, err := kmod.Decode(stored, limit)
		if len(plain) > limit {
			t.Fatalf("%d bytes", len(plain))
		}
		_ = kmod.CheckInKernel(stored, c)
		if err != nil && fault.ClassOf(err) != fault.Input && fault.ClassOf(err) != fault.Damaged {
			t.Fatalf("class %d: %v", fault.ClassOf(err), err)
		}
	})
}
