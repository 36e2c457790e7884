package extract_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/extract"
	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/imagefs"
	"github.com/kmodseal/kmodseal/pkg/kmodtest"
	"github.com/kmodseal/kmodseal/pkg/manifest"
	"github.com/kmodseal/kmodseal/pkg/modsig"
)

func TestRun(t *testing.T) {
	t.Parallel()
	base := newLayer(
		t, hdr{name: "lib/modules/6.1.0-1-amd64/a.ko", body: ko("old")}, hdr{name: "opt/gone.ko", body: ko("gone")},
		hdr{name: "opt/blob", body: ko("blob")}, hdr{name: "etc/passwd", body: "root"},
	)
	top := newLayer(
		t, hdr{name: "lib/modules/6.1.0-1-amd64/a.ko", body: ko("new"), mode: 0o600, xattr: "v"}, hdr{name: "opt/.wh.gone.ko"},
		hdr{name: "opt/b.ko.gz", body: gz(ko("b"))}, hdr{name: "opt/c.ko.gz", link: "opt/b.ko.gz"},
		hdr{name: "opt/weak.ko", sym: "/lib/modules/6.1.0-1-amd64/a.ko"}, hdr{name: "opt/blob.ko", sym: "blob"},
		hdr{name: "opt/none.ko", sym: "gone.ko"},
	)
	src := single(t, base, top)
	dir := filepath.Join(t.TempDir(), "out", "kmods")
	var warned []string
	o := extract.Options{Kmods: dir, Warn: func(f string, a ...any) { warned = append(warned, f) }}
	m, err := extract.Run(context.Background(), src, o)
	require.NoError(t, err)
	assert.Len(t, warned, 1, "the link that dangles")
	loaded, err := manifest.Load(dir)
	require.NoError(t, err)
	assert.Equal(t, m, loaded)

	require.Len(t, m.Modules, 3)
	a, b, blob := m.Modules[0], m.Modules[1], m.Modules[2]
	assert.Equal(t, "lib/modules/6.1.0-1-amd64/a.ko", a.Path)
	assert.Equal(t, "modules/linux-amd64/lib/modules/6.1.0-1-amd64/a.ko", a.File)
	assert.Equal(t, "new", a.Name)
	assert.Equal(t, "6.1.0-1-amd64", a.Release())
	assert.Equal(t, "amd64", a.Machine)
	assert.Equal(t, manifest.Header{
		Mode: 0o600, UID: 7, GID: 8, Uname: "u", Gname: "g", ModTime: "2023-11-14T22:13:20Z", Xattrs: map[string]string{"user.x": "dg=="},
	}, a.Header)
	assert.Equal(t, []string{"opt/weak.ko"}, a.Symlinks)
	assert.Equal(t, sum(ko("new")), a.Stored.SHA256)
	assert.Equal(t, a.Stored, a.Plain)

	assert.Equal(t, "opt/b.ko.gz", b.Path)
	assert.Equal(t, []string{"opt/c.ko.gz"}, b.HardLinks)
	assert.Equal(t, "gzip", b.Codec)
	assert.Equal(t, sum(gz(ko("b"))), b.Stored.SHA256)
	assert.Equal(t, sum(ko("b")), b.Plain.SHA256)

	assert.Equal(t, "opt/blob", blob.Path, "the file behind the link, read in a second pass")
	assert.Equal(t, []string{"opt/blob.ko"}, blob.Symlinks)
	require.Len(t, m.Platforms, 1)
	p := m.Platforms[0]
	assert.Equal(t, p.Layers[0], blob.Layer)
	assert.Equal(t, p.Layers[1], a.Layer)
	assert.Equal(t, []manifest.Copy{{Path: "lib/modules/6.1.0-1-amd64/a.ko", Layer: p.Layers[0]}, {Path: "opt/gone.ko", Layer: p.Layers[0]}}, p.Shadowed)

	assert.EqualValues(t, 2, base.reads.Load())
	assert.EqualValues(t, 1, top.reads.Load())
	before := listing(t, dir)
	assert.Len(t, before, 11, "kmods.json and modules only: %v", before)
	_, err = extract.Run(context.Background(), src, o)
	require.NoError(t, err)
	assert.Equal(t, before, listing(t, dir), "a second run gives the same")
	assert.Equal(t, []string{"kmods"}, names(t, filepath.Dir(dir)), "nothing but the folder stays")
}

func names(t testing.TB, dir string) []string {
	t.Helper()
	list, err := os.ReadDir(dir)
	require.NoError(t, err)
	var out []string
	for _, e := range list {
		out = append(out, e.Name())
	}
	return out
}

func TestRunSharedLayer(t *testing.T) {
	t.Parallel()
	shared := newLayer(t, hdr{name: "a.ko", body: ko("a")})
	other := newLayer(t, hdr{name: "b.ko", body: string(kmodtest.Build(kmodtest.Spec{Name: "b", Machine: "arm64"}))})
	src := newSource(t, map[string]v1.Image{"linux/amd64": newImage(t, shared), "linux/arm64/v8": newImage(t, shared, other)})
	dir := filepath.Join(t.TempDir(), "kmods")
	m, err := extract.Run(context.Background(), src, extract.Options{Kmods: dir})
	require.NoError(t, err)
	assert.EqualValues(t, 1, shared.reads.Load(), "a layer of two platforms is read once")
	var files []string
	for _, d := range m.Modules {
		files = append(files, d.File)
		b, err := os.ReadFile(filepath.Join(dir, d.File))
		require.NoError(t, err)
		assert.Equal(t, d.Stored.SHA256, sum(string(b)))
	}
	assert.Equal(t, []string{"modules/linux-amd64/a.ko", "modules/linux-arm64-v8/a.ko", "modules/linux-arm64-v8/b.ko"}, files)
	one, err := os.Stat(filepath.Join(dir, files[0]))
	require.NoError(t, err)
	two, err := os.Stat(filepath.Join(dir, files[1]))
	require.NoError(t, err)
	assert.False(t, os.SameFile(one, two), "later steps change the files one by one")
}

func TestRunSignatures(t *testing.T) {
	t.Parallel()
	twice := modsig.Append(modsig.Append([]byte(ko("a")), []byte("inner")), []byte("outer"))
	m, err := extract.Run(context.Background(), single(t, newLayer(t, hdr{name: "a.ko", body: string(twice)})),
		extract.Options{Kmods: filepath.Join(t.TempDir(), "kmods")})
	require.NoError(t, err)
	assert.Len(t, m.Modules[0].Signatures, 2)
}

func TestRunChoice(t *testing.T) {
	t.Parallel()
	other := string(kmodtest.Build(kmodtest.Spec{Name: "z", Release: "5.0"}))
	src := single(
		t, newLayer(t, hdr{name: "usr/lib/modules/6.1.0-1-amd64/x/a.ko", body: ko("a")}, hdr{name: "lib", sym: "usr/lib"}),
		newLayer(t, hdr{name: "lib/modules/6.1.0-1-amd64/b.ko", body: ko("b")}, hdr{name: "lib/modules/5.0/z.ko", body: other},
			hdr{name: "lib/modules/5.0/old.ko", body: ko("old")}, hdr{name: "opt/w.ko", sym: "../lib/modules/6.1.0-1-amd64/b.ko"}),
	)
	for name, c := range map[string]struct {
		include, exclude []string
		kernel           string
		want             string // module names
		warnings         int
	}{
		"all":                            {want: "old z b a"},
		"leading slash":                  {include: []string{"/usr/lib/modules/*/b.ko"}, want: "b"},
		"as spelt in the layer":          {include: []string{"/lib/modules/*/b.ko"}, want: "b"},
		"any depth":                      {include: []string{"**/a.ko"}, want: "a"},
		"alternatives":                   {include: []string{"**/{a,b}.ko"}, want: "b a"},
		"by a link":                      {include: []string{"opt/*"}, want: "b"},
		"excluded":                       {exclude: []string{"**/5.0/**"}, want: "b a"},
		"excluded in one spelling":       {exclude: []string{"lib/modules/5.0/*", "lib/modules/6*/b.ko", "opt/**"}, want: "a"},
		"an excluded link leaves a file": {exclude: []string{"opt/*"}, want: "old z b a"},
		"kernel":                         {kernel: "6.1.0-1-amd64", want: "old b a"},
		"kernel, also by folder":         {kernel: "5.0", want: "old z"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			warnings := 0
			m, err := extract.Run(context.Background(), src, extract.Options{
				Kmods: filepath.Join(t.TempDir(), "kmods"), Include: c.include, Exclude: c.exclude, Kernel: c.kernel,
				Warn: func(string, ...any) { warnings++ },
			})
			require.NoError(t, err)
			var got []string
			for _, d := range m.Modules {
				got = append(got, d.Name)
			}
			assert.Equal(t, c.want, strings.Join(got, " "))
			assert.Equal(t, c.warnings, warnings)
		})
	}
}

func TestRunRefuses(t *testing.T) {
	t.Parallel()
	big := extract.Options{}
	big.Limits = imagefs.Limits{FileBytes: 100}
	inflated := extract.Options{Limits: imagefs.Limits{FileBytes: 9000}}
	for name, c := range map[string]struct {
		entries []hdr
		o       extract.Options
		class   fault.Class
		text    string
		hint    string
	}{
		"no module":             {entries: []hdr{{name: "a"}}, class: fault.Input, text: "no module found", hint: "*.ko"},
		"only a deleted module": {entries: []hdr{{name: "a.ko", sym: "gone"}}, class: fault.Input, text: "no module found"},
		"exclude without match": {entries: []hdr{{name: "a.ko", body: ko("a")}}, o: extract.Options{Exclude: []string{"nothing"}}, class: fault.Input, text: `"nothing" matches no module`, hint: "whole path"},
		"all excluded":          {entries: []hdr{{name: "a.ko", body: ko("a")}}, o: extract.Options{Exclude: []string{"**"}}, class: fault.Input, text: "no module found", hint: "--exclude"},
		"pattern without match": {entries: []hdr{{name: "a.ko", body: ko("a")}}, o: extract.Options{Include: []string{"a.ko", "opt/*.ko"}}, class: fault.Input, text: `"opt/*.ko" matches no module`, hint: `modules found: "a.ko"`},
		"pattern for the base name": {
			entries: []hdr{{name: "b/a.ko", body: ko("a")}}, o: extract.Options{Include: []string{"a.ko"}}, class: fault.Input,
			text: "matches no module", hint: "**/a.ko",
		},
		"plus in the path": {entries: []hdr{{name: "6.1+x/a.ko", body: ko("a")}}, o: extract.Options{Include: []string{"/6.1_x/a.ko"}}, class: fault.Input, text: "matches no module", hint: `has + where the pattern has _: "6.1+x/a.ko"`},
		"bad pattern":      {o: extract.Options{Include: []string{"a{b"}}, class: fault.Usage, text: "no valid pattern", hint: "**"},
		"empty pattern":    {o: extract.Options{Exclude: []string{"/"}}, class: fault.Usage, text: "no valid pattern"},
		"no such kernel":   {entries: []hdr{{name: "a.ko", body: ko("a")}}, o: extract.Options{Kernel: "6.9"}, class: fault.Input, text: `no module for kernel "6.9"`, hint: `"6.1.0-1-amd64"`},
		"not a module":     {entries: []hdr{{name: "a.ko", body: ko("a")}, {name: "b.ko", body: "text"}}, class: fault.Input, text: `"b.ko"`, hint: "--exclude"},
		"empty file":       {entries: []hdr{{name: "b.ko"}}, class: fault.Input, text: `"b.ko"`, hint: "--exclude"},
		"signed after compression": {
			entries: []hdr{{name: "a.ko.gz", body: string(modsig.Append([]byte(gz(ko("a"))), []byte("sig")))}},
			class:   fault.Damaged, text: `"a.ko.gz"`, hint: "compressed",
		},
		"compressed garbage":      {entries: []hdr{{name: "a.ko.gz", body: gz(ko("a"))[:99]}}, class: fault.Input, text: `"a.ko.gz"`},
		"parent in a name":        {entries: []hdr{{name: "../a.ko", body: ko("a")}}, class: fault.Input, text: "leaves the root"},
		"link out of the root":    {entries: []hdr{{name: "a.ko", sym: "../../../etc/passwd"}}, class: fault.Input, text: "leaves the root"},
		"newline in a name":       {entries: []hdr{{name: "a\n.ko", body: ko("a")}}, class: fault.Input, text: `"a\n.ko"`},
		"newline in a link":       {entries: []hdr{{name: "a", body: ko("a")}, {name: "a\n.ko", sym: "a"}}, class: fault.Input, text: `"a\n.ko"`},
		"newline in another name": {entries: []hdr{{name: "a.ko", body: ko("a")}, {name: "b\n", link: "a.ko"}}, class: fault.Input, text: `"b\n"`},
		"escape in the vermagic":  {entries: []hdr{{name: "a.ko", body: string(kmodtest.Build(kmodtest.Spec{Vermagic: "6\x1b[2J"}))}}, class: fault.Input, text: "control characters"},
		"too big":                 {entries: []hdr{{name: "a.ko", body: ko("a")}}, o: big, class: fault.Input, text: "limit is 100", hint: "--exclude"},
		"too big when plain": {
			entries: []hdr{{name: "a.ko.gz", body: gz(string(kmodtest.Build(kmodtest.Spec{Pad: 1 << 20})))}}, o: inflated,
			class: fault.Input, text: "bigger than",
		},
		"too many":       {entries: []hdr{{name: "a.ko", body: ko("a")}, {name: "b.ko", body: ko("b")}}, o: extract.Options{MaxModules: 1}, class: fault.Input, text: "more than 1 modules"},
		"too many bytes": {entries: []hdr{{name: "a", body: strings.Repeat("0", 1<<20)}}, o: extract.Options{Limits: imagefs.Limits{LayerBytes: 1000}}, class: fault.Input, text: "inflates"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "kmods")
			_, err := extract.Run(context.Background(), single(t, newLayer(t, hdr{name: "k.ko", body: ko("k")})), extract.Options{Kmods: dir})
			require.NoError(t, err)
			before := listing(t, filepath.Dir(dir))
			c.o.Kmods = dir
			_, err = extract.Run(context.Background(), single(t, newLayer(t, c.entries...)), c.o)
			require.Error(t, err)
			assert.Equal(t, c.class, fault.ClassOf(err), err)
			require.ErrorContains(t, err, c.text)
			assert.Contains(t, strings.Join(fault.HintsOf(err), "\n"), c.hint)
			assert.Equal(t, before, listing(t, filepath.Dir(dir)), "the folder is as it was, and no other beside it")
		})
	}
}

func TestRunLenient(t *testing.T) {
	t.Parallel()
	broken := string(modsig.Append([]byte(gz(ko("a"))), []byte("sig")))
	src := single(t, newLayer(t, hdr{name: "a.ko.gz", body: broken}, hdr{name: "b.ko", body: "text"}))
	m, err := extract.Run(context.Background(), src, extract.Options{Kmods: filepath.Join(t.TempDir(), "kmods"), Lenient: true})
	require.NoError(t, err)
	require.Len(t, m.Modules, 2)
	assert.Equal(t, sum(broken), m.Modules[0].Stored.SHA256)
	assert.Equal(t, "gzip", m.Modules[0].Codec)
}

func TestRunCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	dir := t.TempDir()
	_, err := extract.Run(ctx, single(t, newLayer(t, hdr{name: "a.ko", body: ko("a")})), extract.Options{
		Kmods: filepath.Join(dir, "kmods"), Progress: func(string, int64, int64) { cancel() },
	})
	require.ErrorIs(t, err, context.Canceled)
	assert.Empty(t, names(t, dir))
}

func TestRunPlatformWithoutModule(t *testing.T) {
	t.Parallel()
	src := newSource(t, map[string]v1.Image{
		"linux/amd64": newImage(t, newLayer(t, hdr{name: "a.ko", body: ko("a")})), "linux/arm64": newImage(t, newLayer(t, hdr{name: "a"})),
	})
	var warned []string
	m, err := extract.Run(context.Background(), src, extract.Options{
		Kmods: filepath.Join(t.TempDir(), "kmods"), Warn: func(f string, a ...any) { warned = append(warned, a[0].(string)+"no module") },
	})
	require.NoError(t, err)
	assert.Len(t, m.Platforms, 2)
	assert.Equal(t, []string{"linux/arm64: no module"}, warned)
}
