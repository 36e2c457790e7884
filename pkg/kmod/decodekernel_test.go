package kmod_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/kmod"
)

// noise does not compress, so that a module has several LZMA2 chunks and zstd
// blocks; the same each time.
func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

// TestDecodeInKernel: xz as Debian 6.12 and 7.3 answered when booted; gzip and
// zstd as read in kernel/module/decompress.c.
func TestDecodeInKernel(t *testing.T) {
	t.Parallel()
	plain := join(bytes.Repeat([]byte("module text "), 2000), noise(300<<10))
	flip := func(b []byte, at int) []byte { b = bytes.Clone(b); b[at] ^= 1; return b }
	xz := pipe(t, plain, "xz", "--check=crc32", "--lzma2=dict=1MiB", "-c")
	bare := pipe(t, plain, "xz", "--check=none", "-c")
	zst := pipe(t, plain, "zstd", "-q", "-c")
	gz := pipe(t, plain, "gzip", "-n", "-c")
	named := gzipWith(t, plain, func(h *gzip.Header) { h.Name = "a.ko" })
	more := []byte("more")
	const xz0, xz7 = "decompression failed with status 0", "decompression failed with status 7"
	for _, c := range []struct {
		name   string
		stored []byte
		codec  kmod.Codec
		dmesg  string // empty: plain, or as much of it as is said
		size   int    // of what comes out; 0: all of plain
	}{
		{name: "plain", stored: plain, codec: kmod.None},
		{name: "xz", stored: xz, codec: kmod.XZ},
		{name: "two streams: the first", stored: join(xz, pipe(t, more, "xz", "--check=crc32", "-c")), codec: kmod.XZ},
		{name: "second stream is damaged", stored: join(xz, xz[:30]), codec: kmod.XZ},
		{name: "bytes behind xz", stored: join(xz, more), codec: kmod.XZ},
		{name: "zeros behind xz", stored: join(xz, make([]byte, 6)), codec: kmod.XZ},
		{name: "xz magic only", stored: xz[:6], codec: kmod.XZ, dmesg: xz0},
		{name: "xz stream header only", stored: xz[:12], codec: kmod.XZ, dmesg: xz0},
		{name: "xz cut in the block header", stored: xz[:17], codec: kmod.XZ, dmesg: xz0},
		{name: "xz cut in half", stored: xz[:len(xz)/2], codec: kmod.XZ, dmesg: xz0},
		{name: "xz cut in the index", stored: xz[:len(xz)-20], codec: kmod.XZ, dmesg: xz0},
		{name: "xz cut in the footer", stored: xz[:len(xz)-1], codec: kmod.XZ, dmesg: xz0},
		{name: "bit in the xz stream flags", stored: flip(xz, 7), codec: kmod.XZ, dmesg: xz7},
		{name: "bit in the sum of the stream flags", stored: flip(xz, 9), codec: kmod.XZ, dmesg: xz7},
		{name: "bit in the block header", stored: flip(xz, 14), codec: kmod.XZ, dmesg: xz7},
		{name: "bit in the data", stored: flip(xz, len(xz)/2), codec: kmod.XZ, dmesg: xz7},
		{name: "bit in the data, cut behind it", stored: flip(xz, 400)[:len(xz)-100], codec: kmod.XZ, dmesg: xz7},
		{name: "bit in the xz check", stored: flip(xz, len(xz)-30), codec: kmod.XZ, dmesg: xz7},
		{name: "bit in the footer", stored: flip(xz, len(xz)-1), codec: kmod.XZ, dmesg: xz7},
		{name: "xz without check", stored: bare, codec: kmod.XZ},
		{name: "gzip", stored: gz, codec: kmod.Gzip},
		{name: "gzip with a name", stored: named, codec: kmod.Gzip},
		{name: "two gzip members: the first", stored: join(gz, gz), codec: kmod.Gzip},
		{name: "bytes behind gzip", stored: join(gz, more), codec: kmod.Gzip},
		{name: "gzip without its checksum", stored: gz[:len(gz)-8], codec: kmod.Gzip},
		{name: "bit in the checksum of gzip", stored: flip(gz, len(gz)-6), codec: kmod.Gzip},
		{name: "gzip cut", stored: gz[:len(gz)-9], codec: kmod.Gzip, dmesg: "decompression failed with status -5"},
		{name: "gzip header only", stored: gz[:10], codec: kmod.Gzip, dmesg: "decompression failed with status -5"},
		{name: "gzip name does not end", stored: named[:12], codec: kmod.Gzip, dmesg: "not a gzip compressed module"},
		{name: "gzip of no kind", stored: join(gz[:10], []byte{6, 0}), codec: kmod.Gzip, dmesg: "decompression failed with status -3"},
		{name: "zstd", stored: zst, codec: kmod.Zstd},
		{name: "two zstd frames: the first", stored: join(zst, pipe(t, more, "zstd", "-q", "-c")), codec: kmod.Zstd},
		{name: "bytes behind zstd", stored: join(zst, more), codec: kmod.Zstd},
		{name: "zstd cut: the blocks that are whole", stored: zst[:len(zst)-5], codec: kmod.Zstd, size: 256 << 10},
		{name: "zstd cut in its first block", stored: zst[:1000], codec: kmod.Zstd, size: -1},
		{name: "bit in the checksum of zstd", stored: flip(zst, len(zst)-1), codec: kmod.Zstd, dmesg: "ZSTD-decompression failed with status 22"},
		{name: "block of no kind", stored: join(zst[:6], []byte{0, 0, 0, 7, 0, 0}), codec: kmod.Zstd, dmesg: "ZSTD-decompression failed with status 20"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := kmod.DecodeInKernel(c.stored, c.codec, 0)
			if c.dmesg != "" {
				var e *kmod.KernelError
				require.ErrorAs(t, err, &e)
				assert.Equal(t, c.dmesg, e.Dmesg)
				return
			}
			require.NoError(t, err)
			want := plain
			if c.size > 0 {
				want = plain[:c.size]
			}
			assert.True(t, bytes.Equal(want, got) || c.size < 0 && len(got) == 0, "%d bytes", len(got))
		})
	}
	for c, b := range map[kmod.Codec][]byte{kmod.XZ: xz, kmod.Gzip: gz, kmod.Zstd: zst} {
		_, err := kmod.DecodeInKernel(b, c, 1000)
		assert.Equal(t, fault.Input, fault.ClassOf(err), c)
	}
}
