package imagefs_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/imagefs"
)

// BenchmarkScan reads a gzip layer of 200 MB in 1,500 files, half of it noise.
func BenchmarkScan(b *testing.B) {
	const files, size = 1500, 200 << 20 / 1500
	var layer bytes.Buffer
	z, err := gzip.NewWriterLevel(&layer, gzip.BestSpeed)
	require.NoError(b, err)
	w := tar.NewWriter(z)
	r := rand.NewChaCha8([32]byte{1})
	content := make([]byte, size)
	for i := range files {
		_, _ = r.Read(content[:size/2]) // never fails
		require.NoError(b, w.WriteHeader(&tar.Header{Name: fmt.Sprintf("usr/lib/%d.so", i), Mode: 0o644, Size: size}))
		_, err := w.Write(content)
		require.NoError(b, err)
	}
	require.NoError(b, w.Close())
	require.NoError(b, z.Close())
	digest, _, err := v1.SHA256(bytes.NewReader(layer.Bytes()))
	require.NoError(b, err)
	l := fake{digest: digest, read: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(layer.Bytes())), nil }}
	b.SetBytes(files * size)
	b.ReportAllocs()
	for b.Loop() {
		rc, err := imagefs.Blob(context.Background(), l)
		require.NoError(b, err)
		es, err := imagefs.Scan(context.Background(), rc, imagefs.Limits{}, isKo, nil)
		require.NoError(b, err)
		require.Len(b, es, files)
		require.NoError(b, rc.Close())
	}
}
