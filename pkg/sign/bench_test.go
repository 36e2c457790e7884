package sign_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/keys"
	"github.com/kmodseal/kmodseal/pkg/kmodtest"
	"github.com/kmodseal/kmodseal/pkg/sign"
)

// BenchmarkFiles signs folders of modules as big as Debian's are on average.
func BenchmarkFiles(b *testing.B) {
	for _, n := range []int{200, 2000} {
		for _, pair := range []func() *keys.Pair{rsa2048, rsa4096} {
			p := pair()
			b.Run(fmt.Sprintf("%s/%d", p.Cert.Subject.CommonName, n), func(b *testing.B) {
				for b.Loop() {
					b.StopTimer()
					dir := b.TempDir()
					for i := range n {
						m := fmt.Sprintf("m%d", i)
						write(b, filepath.Join(dir, m+".ko"), kmodtest.Build(kmodtest.Spec{Name: m, Pad: 70 << 10}))
					}
					b.StartTimer()
					_, err := sign.Files(context.Background(), []string{dir}, sign.Options{Pair: p})
					require.NoError(b, err)
				}
				b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "modules/s")
			})
		}
	}
}
