package extract_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/extract"
	"github.com/kmodseal/kmodseal/pkg/fault"
)

func TestTarget(t *testing.T) {
	t.Parallel()
	src := single(t, newLayer(t, hdr{name: "a.ko", body: ko("a")}))
	for name, c := range map[string]struct {
		prepare func(dir string) error // makes dir/kmods
		class   fault.Class
	}{
		"absent":               {},
		"empty":                {prepare: func(d string) error { return os.Mkdir(d+"/kmods", 0o755) }},
		"damaged kmods folder": {prepare: func(d string) error { write(t, d+"/kmods/kmods.json", `{"schema":"kmodseal/v1","x":1}`); return nil }},
		"later kmods folder":   {prepare: func(d string) error { write(t, d+"/kmods/kmods.json", `{"schema":"kmodseal/v2"}`); return nil }},
		"link to a kmods folder": {prepare: func(d string) error {
			write(t, d+"/real/kmods.json", `{"schema":"kmodseal/v1"}`)
			return os.Symlink("real", d+"/kmods")
		}},
		"something else":     {prepare: func(d string) error { write(t, d+"/kmods/thesis.tex", "x"); return nil }, class: fault.Usage},
		"other kmods.json":   {prepare: func(d string) error { write(t, d+"/kmods/kmods.json", `{"schema":"mine"}`); return nil }, class: fault.Usage},
		"kmods.json no JSON": {prepare: func(d string) error { write(t, d+"/kmods/kmods.json", `x`); return nil }, class: fault.Usage},
		"file":               {prepare: func(d string) error { write(t, d+"/kmods", "x"); return nil }, class: fault.Usage},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if c.prepare != nil {
				require.NoError(t, c.prepare(dir))
			}
			before := listing(t, dir)
			_, err := extract.Run(context.Background(), src, extract.Options{Kmods: dir + "/kmods"})
			require.Equal(t, c.class, fault.ClassOf(err), err)
			if c.class != fault.None {
				assert.NotEmpty(t, fault.HintsOf(err))
				assert.Equal(t, before, listing(t, dir))
				return
			}
			assert.FileExists(t, filepath.Join(dir, "kmods", "modules", "linux-amd64", "a.ko"))
			hidden, err := filepath.Glob(dir + "/.*")
			require.NoError(t, err)
			assert.Empty(t, hidden)
		})
	}
}
