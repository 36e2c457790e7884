package repack

import (
	"fmt"
	"math/rand/v2"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/kmodseal/kmodseal/pkg/kmodtest"
)

// BenchmarkRun puts 200 modules of 84 kB back, below and above other layers.
func BenchmarkRun(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // G404: filler that does not compress to nothing
	filler := make([]byte, 40<<20)
	for i := range filler {
		filler[i] = byte(r.UintN(16))
	}
	var items []item
	var mods []mod
	for i := range 200 {
		p := fmt.Sprintf("%sm%03d.ko", dir, i)
		k := kmodtest.Build(kmodtest.Spec{Name: fmt.Sprintf("m%d", i), Pad: 42_000, Info: []string{"blob=" + fmt.Sprintf("%x", filler[i*21_000:(i+1)*21_000])}})
		items, mods = append(items, reg(p, k)), append(mods, mod{p, 1, nil})
	}
	img := imageOf(b, "amd64", types.OCIManifestSchema1, layerOf(b, gz, reg("base", filler)), layerOf(b, gz, items...))
	s := &scene{reg: newRegistry(b), key: newSigner(b, "test signer", nil), img: img}
	s.src = s.reg.push(b, "drv:1", img)
	s.folder = kmods(b, s.src, digestOf(b, img), map[string]v1.Image{"linux/amd64": img}, mods, s.key)
	for _, mode := range []string{Append, Rewrite} {
		b.Run(mode, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				o := s.options(fmt.Sprintf("%s:%d", mode, i))
				o.Mode = mode
				mustRun(b, o)
			}
		})
	}
}
