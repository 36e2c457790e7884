package imagefs_test

import (
	"bytes"
	"context"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/imagefs"
	"github.com/kmodseal/kmodseal/pkg/oracle"
)

// stack is an image's layers in short, lowest first.
type stack [][]entry

func (s stack) layers(t testing.TB) []imagefs.Layer {
	t.Helper()
	var out []imagefs.Layer
	for _, l := range s {
		es, err := imagefs.Scan(context.Background(), bytes.NewReader(tarball(t, l...)), imagefs.Limits{}, nil, nil)
		require.NoError(t, err)
		out = append(out, imagefs.Layer{Entries: es})
	}
	return out
}

// f is a file whose content is its own name and a number, so that copies differ.
func f(name string, n int) entry { return entry{name: name, body: name + "#" + strconv.Itoa(n)} }

type scenario struct {
	stack    stack
	files    []string // NAME=content, then hard and symbolic links of *.ko
	dangling []string // *.ko
	shadowed []string // *.ko
	fails    string   // text of the refusal
}

func scenarios() map[string]scenario {
	return map[string]scenario{
		"last wins": {
			stack: stack{{f("a/x.ko", 1)}, {f("a/x.ko", 2)}},
			files: []string{"a/x.ko=a/x.ko#2"}, shadowed: []string{"a/x.ko@0"},
		},
		"twice in a layer": {
			stack: stack{{f("x.ko", 1), f("./x.ko", 2)}},
			files: []string{"x.ko=./x.ko#2"}, shadowed: []string{"x.ko@0"},
		},
		"odd prefixes": {
			stack: stack{{f("./a/x.ko", 1), f("/a/y.ko", 1), f(".//a//z.ko", 1)}},
			files: []string{"a/x.ko=./a/x.ko#1", "a/y.ko=/a/y.ko#1", "a/z.ko=.//a//z.ko#1"},
		},
		"whiteout": {
			stack:    stack{{f("a/x.ko", 1), f("a/y.ko", 1)}, {entry{name: "a/.wh.x.ko"}}},
			files:    []string{"a/y.ko=a/y.ko#1"},
			shadowed: []string{"a/x.ko@0"},
		},
		"whiteout of a folder": {
			stack:    stack{{f("a/b/x.ko", 1)}, {entry{name: ".wh.a"}}},
			shadowed: []string{"a/b/x.ko@0"},
		},
		"whiteout, then added again in a later layer": {
			stack: stack{{f("x.ko", 1)}, {entry{name: ".wh.x.ko"}}, {f("x.ko", 3)}},
			files: []string{"x.ko=x.ko#3"}, shadowed: []string{"x.ko@0"},
		},
		"whiteout before its sibling in one layer": {
			stack: stack{{f("x.ko", 1)}, {entry{name: ".wh.x.ko"}, f("x.ko", 2)}},
			files: []string{"x.ko=x.ko#2"}, shadowed: []string{"x.ko@0"},
		},
		"whiteout after its sibling in one layer": {
			stack: stack{{f("x.ko", 1)}, {f("x.ko", 2), entry{name: ".wh.x.ko"}}},
			files: []string{"x.ko=x.ko#2"}, shadowed: []string{"x.ko@0"},
		},
		"whiteout of nothing": {
			stack: stack{{f("x.ko", 1)}, {entry{name: ".wh.y.ko"}, entry{name: "none/.wh.x.ko"}}},
			files: []string{"x.ko=x.ko#1"},
		},
		"opaque first": {
			stack: stack{{f("a/x.ko", 1), f("a/y.ko", 1)}, {entry{name: "a/"}, entry{name: "a/.wh..wh..opq"}, f("a/y.ko", 2)}},
			files: []string{"a/y.ko=a/y.ko#2"}, shadowed: []string{"a/x.ko@0", "a/y.ko@0"},
		},
		"opaque last": {
			stack: stack{{f("a/x.ko", 1)}, {f("a/y.ko", 2), f("a/b/z.ko", 2), entry{name: "a/.wh..wh..opq"}}},
			files: []string{"a/b/z.ko=a/b/z.ko#2", "a/y.ko=a/y.ko#2"}, shadowed: []string{"a/x.ko@0"},
		},
		"opaque keeps a folder that the layer only passes through": {
			stack: stack{{f("a/b/x.ko", 1)}, {f("a/b/y.ko", 2), entry{name: "a/.wh..wh..opq"}}},
			files: []string{"a/b/y.ko=a/b/y.ko#2"}, shadowed: []string{"a/b/x.ko@0"},
		},
		"opaque root": {
			stack:    stack{{f("x.ko", 1)}, {f("y.ko", 2), entry{name: ".wh..wh..opq"}}},
			files:    []string{"y.ko=y.ko#2"},
			shadowed: []string{"x.ko@0"},
		},
		"linked parent folder": {
			stack: stack{{f("usr/lib/modules/x.ko", 1), entry{name: "lib", sym: "usr/lib"}}, {f("lib/modules/x.ko", 2), f("lib/modules/y.ko", 2)}},
			files: []string{"usr/lib/modules/x.ko=lib/modules/x.ko#2", "usr/lib/modules/y.ko=lib/modules/y.ko#2"}, shadowed: []string{"usr/lib/modules/x.ko@0"},
		},
		"linked parent folder, absolute, not there yet": {
			stack: stack{{entry{name: "lib", sym: "/usr/lib"}}, {f("lib/x.ko", 2)}},
			files: []string{"usr/lib/x.ko=lib/x.ko#2"},
		},
		"linked parent folder that climbs is held at the root": {
			stack: stack{{entry{name: "a/lib", sym: "../../../usr"}}, {f("a/lib/x.ko", 2)}},
			files: []string{"usr/x.ko=a/lib/x.ko#2"},
		},
		"whiteout through a linked folder": {
			stack:    stack{{f("usr/lib/x.ko", 1), entry{name: "lib", sym: "usr/lib"}}, {entry{name: "lib/.wh.x.ko"}}},
			shadowed: []string{"usr/lib/x.ko@0"},
		},
		"link replaced by a folder": {
			stack: stack{{f("usr/lib/x.ko", 1), entry{name: "lib", sym: "usr/lib"}}, {entry{name: "lib/"}, f("lib/y.ko", 2)}},
			files: []string{"lib/y.ko=lib/y.ko#2", "usr/lib/x.ko=usr/lib/x.ko#1"},
		},
		"file replaces folder": {
			stack: stack{{f("a/x.ko", 1)}, {f("a", 2)}}, shadowed: []string{"a/x.ko@0"},
		},
		"folder replaces file": {
			stack: stack{{f("a.ko", 1)}, {entry{name: "a.ko/"}, f("a.ko/b.ko", 2)}},
			files: []string{"a.ko/b.ko=a.ko/b.ko#2"}, shadowed: []string{"a.ko@0"},
		},
		"hard links": {
			stack: stack{{f("x.ko", 1), entry{name: "y.ko", link: "x.ko"}, entry{name: "b/z", link: "./y.ko"}}},
			files: []string{"x.ko=x.ko#1 hard b/z y.ko"},
		},
		"hard link across layers": {
			stack: stack{{f("x.ko", 1)}, {entry{name: "y.ko", link: "x.ko"}}},
			files: []string{"x.ko=x.ko#1 hard y.ko"},
		},
		"hard link to a file of another name": {
			stack: stack{{f("blob", 1), entry{name: "y.ko", link: "blob"}}},
			files: []string{"blob=blob#1 hard y.ko"},
		},
		"replaced name of a hard link splits": {
			stack: stack{{f("x.ko", 1), entry{name: "y.ko", link: "x.ko"}}, {f("x.ko", 2)}},
			files: []string{"x.ko=x.ko#2", "y.ko=x.ko#1"},
		},
		"deleted name of a hard link": {
			stack: stack{{f("x.ko", 1), entry{name: "z.ko", link: "x.ko"}, entry{name: "y.ko", link: "x.ko"}}, {entry{name: ".wh.x.ko"}}},
			files: []string{"y.ko=x.ko#1 hard z.ko"},
		},
		"hard link through a linked folder": {
			stack: stack{{f("usr/x.ko", 1), entry{name: "l", sym: "usr"}, entry{name: "y.ko", link: "l/x.ko"}}},
			files: []string{"usr/x.ko=usr/x.ko#1 hard y.ko"},
		},
		"hard link to a symbolic link": {
			stack: stack{{f("x.ko", 1), entry{name: "s", sym: "x.ko"}, entry{name: "t.ko", link: "s"}}},
			files: []string{"x.ko=x.ko#1 sym t.ko"},
		},
		"links": {
			stack: stack{{
				f("opt/blob", 1),
				entry{name: "a/rel.ko", sym: "../opt/blob"},
				entry{name: "a/abs.ko", sym: "/opt/blob"},
				entry{name: "a/chain.ko", sym: "rel.ko"},
				entry{name: "d", sym: "a"},
				entry{name: "a/via.ko", sym: "../d/abs.ko"},
			}},
			files: []string{"opt/blob=opt/blob#1 sym a/abs.ko a/chain.ko a/rel.ko a/via.ko"},
		},
		"links that lead nowhere": {
			stack: stack{{
				f("x.ko", 1),
				entry{name: "none.ko", sym: "gone"},
				entry{name: "loop.ko", sym: "pool.ko"},
				entry{name: "pool.ko", sym: "loop.ko"},
				entry{name: "self.ko", sym: "self.ko"},
				entry{name: "dir.ko", sym: "a"},
				entry{name: "a/"},
				entry{name: "through.ko", sym: "x.ko/y"},
				entry{name: "host", sym: "/gone"},
			}},
			files:    []string{"x.ko=x.ko#1"},
			dangling: []string{"dir.ko", "loop.ko", "none.ko", "pool.ko", "self.ko", "through.ko"},
		},
		"module link that climbs": {
			stack: stack{{entry{name: "a/x.ko", sym: "../../etc/x"}}}, fails: "leaves the root",
		},
		"hard link to nothing":        {stack: stack{{entry{name: "x.ko", link: "y.ko"}}}, fails: "no such file"},
		"hard link to itself":         {stack: stack{{f("x.ko", 1), entry{name: "x.ko", link: "x.ko"}}}, fails: "no such file"},
		"hard link to a folder":       {stack: stack{{entry{name: "a/"}, entry{name: "x.ko", link: "a"}}}, fails: "it is a folder"},
		"hard link before its target": {stack: stack{{entry{name: "y.ko", link: "x.ko"}, f("x.ko", 1)}}, fails: "no such file"},
		"file as parent":              {stack: stack{{f("a", 1)}, {f("a/x.ko", 2)}}, fails: "not a folder"},
		"loop as parent":              {stack: stack{{entry{name: "a", sym: "b"}, entry{name: "b", sym: "a"}}, {f("a/x.ko", 2)}}, fails: "too many levels"},
		"root is a file":              {stack: stack{{entry{name: ".", body: "x"}}}, fails: "root is not a folder"},
		"whiteout without a name":     {stack: stack{{f("x.ko", 1)}, {entry{name: ".wh."}}}, fails: "must name a file"},
		"whiteout of the folder":      {stack: stack{{f("x.ko", 1)}, {entry{name: ".wh.."}}}, fails: "must name a file"},
		"whiteout of the parent":      {stack: stack{{f("x.ko", 1)}, {entry{name: "a/.wh..."}}}, fails: "must name a file"},
	}
}

func TestFlatten(t *testing.T) {
	t.Parallel()
	for name, c := range scenarios() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			layers := c.stack.layers(t)
			tree, err := imagefs.Flatten(layers)
			var files []imagefs.File
			if err == nil {
				files, err = tree.Files(isKo)
			}
			if c.fails != "" {
				require.ErrorContains(t, err, c.fails)
				assert.Equal(t, fault.Input, fault.ClassOf(err))
				return
			}
			require.NoError(t, err)
			var got []string
			for _, f := range files {
				require.Equal(t, f.Entry, &layers[f.Layer].Entries[f.Index])
				s := f.Path + "=" + c.stack[f.Layer][f.Index].body
				if len(f.HardLinks) > 0 {
					s += " hard " + strings.Join(f.HardLinks, " ")
				}
				if len(f.Symlinks) > 0 {
					s += " sym " + strings.Join(f.Symlinks, " ")
				}
				got = append(got, s)
			}
			assert.Equal(t, c.files, got)
			dangling, err := tree.Dangling(isKo)
			require.NoError(t, err)
			assert.Equal(t, c.dangling, dangling)
			var shadowed []string
			for _, s := range tree.Shadowed(isKo) {
				shadowed = append(shadowed, s.Path+"@"+strconv.Itoa(s.Layer))
			}
			assert.Equal(t, c.shadowed, shadowed)
		})
	}
}

// TestFlattenAsUmoci unpacks the scenarios with umoci and compares all names.
func TestFlattenAsUmoci(t *testing.T) {
	t.Parallel()
	umoci := oracle.Path(t, "umoci")
	for name, c := range scenarios() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.fails != "" {
				t.Skip("refused")
			}
			want, err := unpack(t, umoci, c.stack)
			require.NoError(t, err)
			assert.Equal(t, want, dump(t, c.stack))
		})
	}
}

// TestFlattenRandom compares random stacks.
func TestFlattenRandom(t *testing.T) {
	t.Parallel()
	umoci := oracle.Path(t, "umoci")
	rounds := 100
	if testing.Short() {
		rounds = 10
	}
	same := 0
	for seed := range rounds {
		s := randomStack(rand.New(rand.NewPCG(7, uint64(seed))))
		_, ours := imagefs.Flatten(s.layers(t))
		want, theirs := unpack(t, umoci, s)
		if ours != nil || theirs != nil {
			assert.Equal(t, theirs == nil, ours == nil, "seed %d: %v\nours %v\numoci %v", seed, s, ours, theirs)
			continue
		}
		same++
		assert.Equal(t, want, dump(t, s), "seed %d: %v", seed, s)
	}
	assert.Greater(t, same, rounds/3, "most stacks must be unpackable")
}

func randomStack(r *rand.Rand) stack {
	pick := func(from ...string) string { return from[r.IntN(len(from))] }
	dir := func() string { return pick("", "a/", "b/", "a/c/", "b/c/", "l/") }
	n := 0
	var s stack
	for range 2 + r.IntN(4) {
		var l []entry
		for range 1 + r.IntN(6) {
			n++
			switch name := pick("x.ko", "y.ko", "c", "l"); r.IntN(20) {
			case 0, 1:
				l = append(l, entry{name: dir() + name, sym: pick("a", "/b", "../a/x.ko", "x.ko", "../../b/c")})
			case 2:
				// often fails: nothing says that the target is there
				l = append(l, entry{name: dir() + name, link: dir() + pick("x.ko", "y.ko")})
			case 6, 7, 8:
				l = append(l, entry{name: pick("a/", "b/", "a/c/", "l/")})
			case 9, 10, 11:
				l = append(l, entry{name: dir() + ".wh." + name})
			case 12, 13:
				l = append(l, entry{name: pick("a/", "b/", "a/c/") + ".wh..wh..opq"})
			default:
				l = append(l, f(dir()+name, n))
			}
		}
		s = append(s, l)
	}
	return s
}

func dump(t testing.TB, s stack) map[string]string {
	t.Helper()
	tree, err := imagefs.Flatten(s.layers(t))
	require.NoError(t, err)
	return tree.Dump(func(l, e int) string { return s[l][e].body })
}

// unpack gives what umoci makes of s, in the words of Dump.
func unpack(t testing.TB, umoci string, s stack) (map[string]string, error) {
	t.Helper()
	img, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{OS: "linux", Architecture: "amd64", RootFS: v1.RootFS{Type: "layers"}})
	require.NoError(t, err)
	for _, l := range s {
		img, err = mutate.Append(img, mutate.Addendum{Layer: diffed{static.NewLayer(gzipped(t, tarball(t, l...)), types.OCILayer), tarball(t, l...)}})
		require.NoError(t, err)
	}
	img = mutate.ConfigMediaType(mutate.MediaType(img, types.OCIManifestSchema1), types.OCIConfigJSON)
	dir := t.TempDir()
	path, err := layout.Write(filepath.Join(dir, "oci"), empty.Index)
	require.NoError(t, err)
	require.NoError(t, path.AppendImage(img, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": "t"})))
	bundle := filepath.Join(dir, "bundle")
	if out, err := exec.Command(umoci, "unpack", "--rootless", "--image", filepath.Join(dir, "oci")+":t", bundle).CombinedOutput(); err != nil {
		return nil, &unpackError{err, string(out)}
	}
	return listing(t, filepath.Join(bundle, "rootfs")), nil
}

type unpackError struct {
	error
	out string
}

func (e *unpackError) Error() string { return e.error.Error() + ": " + e.out }

func listing(t testing.TB, root string) map[string]string {
	t.Helper()
	out := map[string]string{}
	require.NoError(t, filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == root {
			return err
		}
		rel, err := filepath.Rel(root, p)
		require.NoError(t, err)
		switch {
		case d.IsDir():
			out[rel] = "dir"
		case d.Type() == fs.ModeSymlink:
			to, err := os.Readlink(p)
			require.NoError(t, err)
			out[rel] = "link " + to
		default:
			b, err := os.ReadFile(p)
			require.NoError(t, err)
			out[rel] = "file " + string(b)
		}
		return nil
	}))
	return out
}
