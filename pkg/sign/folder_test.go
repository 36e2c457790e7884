package sign_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/keys"
	"github.com/kmodseal/kmodseal/pkg/kmod"
	"github.com/kmodseal/kmodseal/pkg/manifest"
	"github.com/kmodseal/kmodseal/pkg/modsig"
	"github.com/kmodseal/kmodseal/pkg/sign"
)

// mixed is one module per codec, and one that another key signed.
func mixed(t testing.TB) map[string][]byte {
	return map[string][]byte{
		"lib/a.ko": module("a"), "lib/b.ko.gz": store(t, module("b"), kmod.Gzip), "lib/c.ko.xz": store(t, module("c"), kmod.XZ),
		"lib/d.ko.zst": store(t, module("d"), kmod.Zstd), "opt/e.ko": signedBy(t, other(), module("e")),
		"opt/misnamed.ko": store(t, module("f"), kmod.Zstd),
	}
}

func run(dir string, o sign.Options) error {
	_, err := sign.Folder(context.Background(), dir, o)
	return err
}

func TestFolderSignsEveryCodec(t *testing.T) {
	t.Parallel()
	dir := kmods(t, mixed(t))
	m, err := sign.Folder(context.Background(), dir, options(rsa2048()))
	require.NoError(t, err)
	saved, err := manifest.Load(dir)
	require.NoError(t, err)
	assert.Equal(t, saved, m)
	require.Len(t, m.Modules, 6)
	for _, d := range m.Modules {
		file := content(t, stored(dir, d.Path))
		plain, c, err := kmod.Decode(file, 0)
		require.NoError(t, err)
		body, n := modsig.Strip(plain)
		assert.Equal(t, 1, n, "%s: one signature", d.Path)
		assert.True(t, bytes.Equal(signedBy(t, rsa2048(), module(d.Name)), plain), d.Path)
		assert.True(t, bytes.Equal(module(d.Name), body), d.Path)
		assert.Equal(t, d.Codec, string(c))
		require.NoError(t, kmod.CheckInKernel(file, c))
		want := manifest.Signed{
			Action: manifest.ActionSigned, Stored: kmod.Blob(file), Plain: kmod.Blob(plain), Signer: "kmodseal test key 2048",
			Serial: modsig.SerialHex(rsa2048().Cert.SerialNumber), KeyID: d.Signed.KeyID, Hash: "sha256", Fingerprint: keys.Fingerprint(rsa2048().Cert),
		}
		if d.Path == "opt/e.ko" {
			want.Action = manifest.ActionReplaced
		}
		assert.Equal(t, want, *d.Signed)
	}
	entries, err := filepath.Glob(filepath.Join(dir, "modules", "*", "*", ".*"))
	require.NoError(t, err)
	assert.Empty(t, entries, "no temporary file is left")
}

func TestFolderAgainGivesTheSame(t *testing.T) {
	t.Parallel()
	dir := kmods(t, mixed(t))
	require.NoError(t, run(dir, options(rsa2048())))
	first := tree(t, dir)
	manifestFile := filepath.Join(dir, manifest.FileName)
	saved := content(t, manifestFile)

	require.NoError(t, run(dir, options(rsa2048())))
	assert.Equal(t, saved, content(t, manifestFile))
	again := tree(t, dir)
	delete(first, manifestFile)
	delete(again, manifestFile)
	assert.Equal(t, first, again, "not even a time changes")

	require.NoError(t, run(dir, options(other())))
	require.NoError(t, run(dir, options(rsa2048())))
	assert.Equal(t, saved, content(t, manifestFile), "another key in between leaves no trace")
}

func TestFolderEndsWhatACrashLeft(t *testing.T) {
	t.Parallel()
	source := mixed(t)
	dir := kmods(t, source)
	require.NoError(t, run(dir, options(rsa2048())))
	want := map[string][]byte{}
	for path := range source {
		want[path] = content(t, stored(dir, path))
	}
	// As if the process had died after kmods.json, with half of the files in place.
	for i, path := range slices.Sorted(slices.Values([]string{"lib/a.ko", "lib/c.ko.xz", "opt/e.ko"})) {
		write(t, stored(dir, path), source[path])
		if i == 0 {
			sign.LeaveTemporary(t, stored(dir, path))
		}
	}
	sign.LeaveTemporary(t, stored(dir, "lib/b.ko.gz"))
	require.NoError(t, run(dir, options(rsa2048())))
	for path := range source {
		assert.True(t, bytes.Equal(want[path], content(t, stored(dir, path))), path)
	}
	assert.Len(t, tree(t, dir), len(source)+1, "no temporary file is left")
}

func TestFolderPolicies(t *testing.T) {
	t.Parallel()
	foreign := signedBy(t, other(), module("e"))
	for _, c := range []struct {
		policy string
		want   []byte
		action string
	}{
		{sign.Replace, signedBy(t, rsa2048(), module("e")), manifest.ActionReplaced},
		{sign.Keep, foreign, manifest.ActionKept},
		{sign.AppendTo, signedBy(t, rsa2048(), foreign), manifest.ActionAppended},
	} {
		t.Run(c.policy, func(t *testing.T) {
			t.Parallel()
			dir := kmods(t, map[string][]byte{"a.ko": module("a"), "e.ko": foreign, "e.ko.xz": store(t, foreign, kmod.XZ)})
			o := options(rsa2048())
			o.OnSigned = c.policy
			for range 2 {
				m, err := sign.Folder(context.Background(), dir, o)
				require.NoError(t, err)
				assert.Equal(t, manifest.ActionSigned, m.Modules[0].Signed.Action)
				assert.Equal(t, c.action, m.Modules[1].Signed.Action)
				assert.Equal(t, c.action, m.Modules[2].Signed.Action)
				assert.True(t, bytes.Equal(c.want, content(t, stored(dir, "e.ko"))))
				plain, _, err := kmod.Decode(content(t, stored(dir, "e.ko.xz")), 0)
				require.NoError(t, err)
				assert.True(t, bytes.Equal(c.want, plain))
				assert.True(t, bytes.Equal(signedBy(t, rsa2048(), module("a")), content(t, stored(dir, "a.ko"))))
			}
		})
	}
}

func TestFolderKeepLeavesStoredBytes(t *testing.T) {
	t.Parallel()
	// Bytes that our own encoder would not make: two frames.
	foreign := signedBy(t, other(), module("e"))
	two := slices.Concat(store(t, foreign[:100], kmod.Zstd), store(t, foreign[100:], kmod.Zstd))
	dir := kmods(t, map[string][]byte{"e.ko.zst": two})
	o := options(rsa2048())
	o.OnSigned = sign.Keep
	require.NoError(t, run(dir, o))
	assert.Equal(t, two, content(t, stored(dir, "e.ko.zst")))
}

func TestFolderRefuses(t *testing.T) {
	t.Parallel()
	signed := signedBy(t, other(), module("e"))
	for name, c := range map[string]struct {
		bad   []byte
		edit  func(*sign.Options)
		class fault.Class
		text  string
	}{
		"text":                     {bad: []byte("hello"), class: fault.Input, text: "not a kernel module"},
		"empty file":               {bad: []byte{}, class: fault.Input, text: "empty file"},
		"cut off":                  {bad: module("z")[:300], class: fault.Input, text: "not a kernel module"},
		"text in xz":               {bad: store(t, []byte("hello"), kmod.XZ), class: fault.Input, text: "not a kernel module"},
		"signed after compression": {bad: signedBy(t, other(), store(t, module("z"), kmod.XZ)), class: fault.Damaged, text: "behind the compressed data"},
		"damaged signature":        {bad: append(module("z"), "xxxxxxxxxxxxxxxx~Module signature appended~\n"...), class: fault.Damaged, text: "damaged signature"},
		"signed, policy fail":      {bad: signed, edit: func(o *sign.Options) { o.OnSigned = sign.Fail }, class: fault.Input, text: "is signed already"},
		"unknown policy":           {bad: module("z"), edit: func(o *sign.Options) { o.OnSigned = "x" }, class: fault.Usage, text: "--on-signed"},
		"unknown embedding":        {bad: module("z"), edit: func(o *sign.Options) { o.Embed = "x" }, class: fault.Usage, text: "--embed-cert"},
		"no key":                   {bad: module("z"), edit: func(o *sign.Options) { o.Pair = nil }, class: fault.Key, text: "no signing key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := kmods(t, map[string][]byte{"a.ko": module("a"), "m/bad.ko": c.bad, "z.ko": module("z")})
			o := options(rsa2048())
			if c.edit != nil {
				c.edit(&o)
			}
			err := unchanged(t, dir, func() error { return run(dir, o) })
			assert.Equal(t, c.class, fault.ClassOf(err), err)
			require.ErrorContains(t, err, c.text)
			if c.edit == nil {
				assert.ErrorContains(t, err, "m/bad.ko")
			}
		})
	}
}

func TestFolderRefusesStale(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		first *keys.Pair // who signed before; nil: nobody
		now   []byte
	}{
		"other module":             {nil, module("b")},
		"other size":               {nil, append(module("a"), 1)},
		"signed by somebody else":  {nil, signedBy(t, other(), module("a"))},
		"changed after we signed":  {rsa2048(), signedBy(t, other(), module("a"))},
		"stripped after we signed": {rsa2048(), module("a")[:5000]},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := kmods(t, map[string][]byte{"a.ko": module("a"), "b.ko": module("b")})
			if c.first != nil {
				require.NoError(t, run(dir, options(c.first)))
			}
			write(t, stored(dir, "a.ko"), c.now)
			err := unchanged(t, dir, func() error { return run(dir, options(rsa2048())) })
			assert.Equal(t, fault.Damaged, fault.ClassOf(err))
			assert.Contains(t, fault.HintsOf(err), "somebody changed the kmods folder: extract the modules again")
		})
	}
}

func TestFolderCannotGiveSignaturesBack(t *testing.T) {
	t.Parallel()
	dir := kmods(t, map[string][]byte{"e.ko": signedBy(t, other(), module("e"))})
	require.NoError(t, run(dir, options(rsa2048())))
	for _, policy := range []string{sign.Keep, sign.AppendTo, sign.Fail} {
		o := options(rsa2048())
		o.OnSigned = policy
		err := unchanged(t, dir, func() error { return run(dir, o) })
		require.ErrorContains(t, err, "taken off by an earlier run", policy)
		assert.Equal(t, fault.Input, fault.ClassOf(err))
	}
}

func TestFolderCancelled(t *testing.T) {
	t.Parallel()
	dir := kmods(t, mixed(t))
	ctx, cancel := context.WithCancel(context.Background())
	o := options(rsa2048())
	o.Progress = func(_ string, done, _ int64) {
		if done == 2 {
			cancel()
		}
	}
	err := unchanged(t, dir, func() error {
		_, err := sign.Folder(ctx, dir, o)
		return err
	})
	assert.ErrorIs(t, err, context.Canceled)
}

func TestFolderWithoutModules(t *testing.T) {
	t.Parallel()
	err := run(kmods(t, nil), options(rsa2048()))
	assert.Equal(t, fault.Input, fault.ClassOf(err))
	err = run(t.TempDir(), options(rsa2048()))
	assert.Equal(t, fault.Input, fault.ClassOf(err))
}

// A folder in the way of the temporary file stands for a full disk: it fails
// for root too.
func TestFolderWriteFails(t *testing.T) {
	t.Parallel()
	dir := kmods(t, mixed(t))
	sign.BlockTemporary(t, stored(dir, "opt/e.ko"))
	err := unchanged(t, dir, func() error { return run(dir, options(rsa2048())) })
	assert.Equal(t, fault.Internal, fault.ClassOf(err))
	assert.ErrorContains(t, err, "opt/e.ko")
}

func TestFolderReadOnly(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 {
		t.Skip("root writes everywhere")
	}
	dir := kmods(t, mixed(t))
	require.NoError(t, os.Chmod(filepath.Dir(stored(dir, "opt/e.ko")), 0o555))
	t.Cleanup(func() { _ = os.Chmod(filepath.Dir(stored(dir, "opt/e.ko")), 0o755) })
	_ = unchanged(t, dir, func() error { return run(dir, options(rsa2048())) })
}

func TestFolderError(t *testing.T) {
	t.Parallel()
	bad := map[string][]byte{}
	for _, n := range []string{"a", "b", "c", "d", "e", "f"} {
		bad[n+".ko"] = module(n)
	}
	bad["c.ko"], bad["d.ko"], bad["f.ko"] = []byte("x"), []byte("x"), []byte("x")
	for range 10 {
		o := options(rsa2048())
		o.Jobs = 4
		assert.ErrorContains(t, run(kmods(t, bad), o), "sign c.ko", "always the first of several")
	}
}

func TestEmbed(t *testing.T) {
	t.Parallel()
	root := ecPair("test root", nil)
	middle := ecPair("test middle", root)
	low := ecPair("test low", middle)
	leaf := ecPair("test leaf", low)
	leaf.Chain = []*x509.Certificate{root.Cert, middle.Cert, other().Cert, low.Cert}
	alone := ecPair("test leaf", root)
	for name, c := range map[string]struct {
		pair  *keys.Pair
		embed string
		want  []*x509.Certificate
	}{
		"self-signed, auto":        {other(), sign.Auto, nil},
		"self-signed, default":     {other(), "", nil},
		"self-signed, always":      {other(), sign.Always, []*x509.Certificate{other().Cert}},
		"leaf, auto":               {leaf, sign.Auto, []*x509.Certificate{leaf.Cert, low.Cert, middle.Cert}},
		"leaf, always":             {leaf, sign.Always, []*x509.Certificate{leaf.Cert, low.Cert, middle.Cert}},
		"leaf, never":              {leaf, sign.Never, nil},
		"leaf of a root, auto":     {alone, sign.Auto, []*x509.Certificate{alone.Cert}},
		"leaf without chain, auto": {&keys.Pair{Signer: leaf.Signer, Cert: leaf.Cert}, sign.Auto, []*x509.Certificate{leaf.Cert}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := kmods(t, map[string][]byte{"a.ko": module("a")})
			o := options(c.pair)
			o.Embed = c.embed
			require.NoError(t, run(dir, o))
			a, err := modsig.Split(content(t, stored(dir, "a.ko")))
			require.NoError(t, err)
			s, err := modsig.Parse(a.PKCS7)
			require.NoError(t, err)
			require.Len(t, s.Certificates, len(c.want))
			for _, w := range c.want {
				assert.True(t, slices.ContainsFunc(s.Certificates, w.Equal), w.Subject)
			}
			require.NoError(t, s.Signers[0].Check(a.Body, c.pair.Cert))
		})
	}
}
