package kmod_test

import (
	"bytes"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/kmod"
	"github.com/kmodseal/kmodseal/pkg/kmodtest"
)

// gzipWith makes a gzip file with the header fields that set gives it.
func gzipWith(t *testing.T, plain []byte, set func(*gzip.Header)) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	set(&z.Header)
	_, err := z.Write(plain)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return b.Bytes()
}

func TestCheckInKernel(t *testing.T) {
	t.Parallel()
	plain := kmodtest.Build(kmodtest.Spec{Pad: 5000})
	xz := func(args ...string) []byte { return pipe(t, plain, "xz", append(args, "-c")...) }
	own := map[kmod.Codec][]byte{}
	for _, c := range codecs {
		own[c] = encode(t, plain, c)
	}
	named := gzipWith(t, plain, func(h *gzip.Header) { h.Name = "a.ko" })
	skippable := []byte("\x52\x2a\x4d\x18\x04\x00\x00\x00abcd")

	for _, c := range []struct {
		name   string
		stored []byte
		codec  kmod.Codec
		dmesg  string
		reason string // empty: the kernel takes it
	}{
		{"plain", plain, kmod.None, "", ""},
		{"gzip with a name", named, kmod.Gzip, "", ""},
		{"gzip -n", pipe(t, plain, "gzip", "-n", "-c"), kmod.Gzip, "", ""},
		{"gzip with an extra field", gzipWith(t, plain, func(h *gzip.Header) { h.Extra = []byte("x") }), kmod.Gzip, "decompression failed with status -3", "extra field"},
		{"gzip with a comment", gzipWith(t, plain, func(h *gzip.Header) { h.Comment = "x" }), kmod.Gzip, "decompression failed with status -3", "comment"},
		{"two gzip members", join(named, named), kmod.Gzip, "", "2 gzip members"},
		{"xz given as gzip", own[kmod.XZ], kmod.Gzip, "not a gzip compressed module", "no gzip header"},
		{"plain given as gzip", plain, kmod.Gzip, "not a gzip compressed module", "no gzip header"},
		{"xz crc32", xz("--check=crc32", "--lzma2=dict=1MiB"), kmod.XZ, "", ""},
		{"xz without check", xz("--check=none"), kmod.XZ, "", ""},
		{"xz default check", xz(), kmod.XZ, "decompression failed with status 6", "check CRC64"},
		{"xz sha256", xz("--check=sha256"), kmod.XZ, "decompression failed with status 6", "check SHA-256"},
		{"xz with x86 filter", xz("--check=crc32", "--x86", "--lzma2"), kmod.XZ, "decompression failed with status 6", "filter 0x4"},
		{"xz big dictionary", xz("--check=crc32", "--lzma2=dict=256MiB"), kmod.XZ, "decompression failed with status 6", "dictionary of 268435456"},
		{"two xz streams", join(own[kmod.XZ], own[kmod.XZ]), kmod.XZ, "", "2 xz streams"},
		{"zstd given as xz", own[kmod.Zstd], kmod.XZ, "not an xz compressed module", "no xz header"},
		{"xz cut off", own[kmod.XZ][:20], kmod.XZ, "decompression failed with status 0", "cut off"},
		{"zstd", pipe(t, plain, "zstd", "-q", "-c"), kmod.Zstd, "", ""},
		{"skippable frame first", join(skippable, own[kmod.Zstd]), kmod.Zstd, "not a zstd compressed module", "skippable"},
		{"skippable frame behind", join(own[kmod.Zstd], skippable), kmod.Zstd, "", ""},
		{"two zstd frames", join(own[kmod.Zstd], own[kmod.Zstd]), kmod.Zstd, "", "2 zstd frames"},
		{"gzip given as zstd", own[kmod.Gzip], kmod.Zstd, "not a zstd compressed module", "no zstd header"},
		{"zstd cut off", own[kmod.Zstd][:5], kmod.Zstd, "ZSTD-compressed data has an incomplete frame header", "invalid zstd"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			err := kmod.CheckInKernel(c.stored, c.codec)
			if c.reason == "" {
				require.NoError(t, err)
				return
			}
			var e *kmod.KernelError
			require.ErrorAs(t, err, &e)
			assert.Contains(t, e.Reason, c.reason)
			assert.Equal(t, c.dmesg, e.Dmesg)
		})
	}
}
