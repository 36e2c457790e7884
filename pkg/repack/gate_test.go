package repack

import (
	"bytes"
	"context"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/keys"
	"github.com/kmodseal/kmodseal/pkg/kmod"
	"github.com/kmodseal/kmodseal/pkg/manifest"
	"github.com/kmodseal/kmodseal/pkg/modsig"
)

// The modules of driverMods in the order of kmods.json.
const modA, modB, modC = 0, 1, 2

func TestTampering(t *testing.T) {
	t.Parallel()
	stranger := newSigner(t, "stranger", nil)
	plainA := ko("aamd64")
	json := func(edit func(m *manifest.Manifest)) func(testing.TB, *scene, *Options) {
		return func(t testing.TB, s *scene, _ *Options) { change(t, s.folder, edit) }
	}
	file := func(i int, stored func(t testing.TB, s *scene) []byte) func(testing.TB, *scene, *Options) {
		return func(t testing.TB, s *scene, _ *Options) { putFile(t, s.folder, i, stored(t, s)) }
	}
	other := strings.Repeat("ab", 32)
	for name, c := range map[string]struct {
		do    func(t testing.TB, s *scene, o *Options)
		class fault.Class
	}{
		"another module at this path":  {file(modA, func(t testing.TB, s *scene) []byte { return s.key.sign(t, ko("evil")) }), fault.Damaged},
		"another module's signed file": {file(modA, func(t testing.TB, s *scene) []byte { return s.key.sign(t, ko("d")) }), fault.Damaged},
		"one bit of the body": {file(modA, func(t testing.TB, s *scene) []byte {
			b := s.key.sign(t, plainA)
			b[100] ^= 1
			return b
		}), fault.Damaged},
		"one bit of the signature": {file(modA, func(t testing.TB, s *scene) []byte {
			b := s.key.sign(t, plainA)
			b[len(b)-len(modsig.Marker)-12-5] ^= 1
			return b
		}), fault.Damaged},
		"one bit of the file alone": {func(t testing.TB, s *scene, _ *Options) {
			f := filepath.Join(s.folder, "modules/linux-amd64", dir+"a.ko")
			b, err := os.ReadFile(f)
			require.NoError(t, err)
			b[100] ^= 1
			require.NoError(t, os.WriteFile(f, b, 0o600))
		}, fault.Damaged},
		"two signatures":     {file(modA, func(t testing.TB, s *scene) []byte { return s.key.sign(t, s.key.sign(t, plainA)) }), fault.Damaged},
		"bytes in between":   {file(modA, func(t testing.TB, s *scene) []byte { return s.key.sign(t, append(bytes.Clone(plainA), 0)) }), fault.Damaged},
		"bytes behind":       {file(modA, func(t testing.TB, s *scene) []byte { return append(s.key.sign(t, plainA), 0) }), fault.Unsigned},
		"unsigned":           {file(modA, func(testing.TB, *scene) []byte { return plainA }), fault.Unsigned},
		"untrusted signer":   {file(modA, func(t testing.TB, _ *scene) []byte { return stranger.sign(t, plainA) }), fault.Untrusted},
		"other codec":        {file(modB, func(t testing.TB, s *scene) []byte { return encoded(t, s.key.sign(t, ko("bamd64")), kmod.Zstd) }), fault.Damaged},
		"signed when packed": {file(modB, func(t testing.TB, s *scene) []byte { return s.key.sign(t, encoded(t, ko("bamd64"), kmod.XZ)) }), fault.Damaged},
		"truncated stream": {file(modC, func(t testing.TB, s *scene) []byte {
			b := encoded(t, s.key.sign(t, ko("camd64")), kmod.Gzip)
			return b[:len(b)-9]
		}), fault.Damaged},
		"private key": {file(modA, func(t testing.TB, s *scene) []byte {
			return append(bytes.Clone(plainA), "-----BEGIN PRIVATE KEY-----"...)
		}), fault.Internal},
		"file is gone": {func(t testing.TB, s *scene, _ *Options) {
			require.NoError(t, os.Remove(filepath.Join(s.folder, "modules/linux-amd64", dir+"a.ko")))
		}, fault.Input},
		"file is a link": {func(t testing.TB, s *scene, _ *Options) {
			f := filepath.Join(s.folder, "modules/linux-amd64", dir+"a.ko")
			require.NoError(t, os.Remove(f))
			require.NoError(t, os.Symlink("/etc/hostname", f))
		}, fault.Input},
		"never signed":        {json(func(m *manifest.Manifest) { m.Modules[modA].Signed = nil }), fault.Unsigned},
		"path of no module":   {json(func(m *manifest.Manifest) { m.Modules[modA].Path = dir + "0.ko" }), fault.Input},
		"path of a deleted":   {json(func(m *manifest.Manifest) { m.Modules[modC].Path = dir + "d.ko" }), fault.Input},
		"path of the cert":    {json(func(m *manifest.Manifest) { m.Modules[modA].Path = "bin/sh" }), fault.Input},
		"path that climbs":    {json(func(m *manifest.Manifest) { m.Modules[modA].Path = "../" + dir + "a.ko" }), fault.Input},
		"layer of the old":    {json(func(m *manifest.Manifest) { m.Modules[modA].Layer = m.Platforms[0].Layers[1] }), fault.Input},
		"layer above":         {json(func(m *manifest.Manifest) { m.Modules[modA].Layer = m.Platforms[0].Layers[3] }), fault.Input},
		"unknown layer":       {json(func(m *manifest.Manifest) { m.Modules[modA].Layer = "sha256:" + other }), fault.Input},
		"hash of the source":  {json(func(m *manifest.Manifest) { m.Modules[modA].Stored.SHA256 = other }), fault.Input},
		"plain hash":          {json(func(m *manifest.Manifest) { m.Modules[modA].Plain.SHA256 = other }), fault.Input},
		"hash of the signed":  {json(func(m *manifest.Manifest) { m.Modules[modA].Signed.Stored.SHA256 = other }), fault.Damaged},
		"size of the signed":  {json(func(m *manifest.Manifest) { m.Modules[modA].Signed.Stored.Size = 5 }), fault.Damaged},
		"codec":               {json(func(m *manifest.Manifest) { m.Modules[modA].Codec = "xz" }), fault.Input},
		"fingerprint":         {json(func(m *manifest.Manifest) { m.Modules[modA].Signed.Fingerprint = other }), fault.Input},
		"image digest":        {json(func(m *manifest.Manifest) { m.Platforms[0].Digest = "sha256:" + other }), fault.Input},
		"platform":            {json(func(m *manifest.Manifest) { m.Platforms[0].Layers = m.Platforms[0].Layers[:3] }), fault.Input},
		"index":               {json(func(m *manifest.Manifest) { m.Source.Index = true }), fault.Input},
		"source digest":       {json(func(m *manifest.Manifest) { m.Source.Digest = "sha256:" + other }), fault.Registry},
		"schema":              {json(func(m *manifest.Manifest) { m.Schema = "kmodseal/v2" }), fault.Input},
		"source is a folder":  {json(func(m *manifest.Manifest) { m.Source.Kind = "dir" }), fault.Input},
		"no trust":            {func(_ testing.TB, _ *scene, o *Options) { o.Trust = nil }, fault.Usage},
		"trust in a stranger": {func(_ testing.TB, _ *scene, o *Options) { o.Trust = []*x509.Certificate{stranger.cert} }, fault.Untrusted},
		"no such folder":      {func(_ testing.TB, _ *scene, o *Options) { o.Kmods += "x" }, fault.Input},
		"destination = source": {func(_ testing.TB, s *scene, o *Options) {
			o.Destination = s.src
		}, fault.Usage},
		"mode":            {func(_ testing.TB, _ *scene, o *Options) { o.Mode = "squash" }, fault.Usage},
		"base":            {func(_ testing.TB, s *scene, o *Options) { o.Base = s.src }, fault.Usage},
		"cert path":       {func(_ testing.TB, _ *scene, o *Options) { o.CertPath = "/a/../b" }, fault.Usage},
		"relative path":   {func(_ testing.TB, _ *scene, o *Options) { o.CertPath = "a/b" }, fault.Usage},
		"whiteout path":   {func(_ testing.TB, _ *scene, o *Options) { o.CertPath = "/a/.wh.b" }, fault.Usage},
		"cert as module":  {func(_ testing.TB, _ *scene, o *Options) { o.CertPath = "/" + dir + "a.ko" }, fault.Usage},
		"bad tag":         {func(_ testing.TB, _ *scene, o *Options) { o.AlsoTags = []string{"a b"} }, fault.Usage},
		"other platform":  {func(_ testing.TB, _ *scene, o *Options) { o.Images.Platforms = []string{"linux/s390x"} }, fault.Input},
		"registry is off": {func(_ testing.TB, _ *scene, o *Options) { o.Destination = "127.0.0.1:1/x:y" }, fault.Registry},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, types.OCIManifestSchema1, types.OCILayer)
			o := s.options("drv:signed")
			c.do(t, s, &o)
			_, err := Run(context.Background(), o)
			require.Error(t, err)
			assert.Equal(t, c.class, fault.ClassOf(err), err.Error())
			assert.NotContains(t, err.Error(), "\n")
			assert.Empty(t, s.reg.take("PUT", "POST", "PATCH"))
		})
	}
}

// A file that the folder holds beyond what kmods.json lists goes nowhere.
func TestExtraFile(t *testing.T) {
	t.Parallel()
	s := newScene(t, types.OCIManifestSchema1, types.OCILayer)
	require.NoError(t, os.WriteFile(filepath.Join(s.folder, "modules/linux-amd64", dir+"z.ko"), ko("z"), 0o600))
	mustRun(t, s.options("drv:signed"))
	assert.NotContains(t, flat(t, s.pull(t, "drv:signed")), dir+"z.ko")
}

func TestEmbeddedChain(t *testing.T) {
	t.Parallel()
	s := newScene(t, types.OCIManifestSchema1, types.OCILayer)
	ca := newSigner(t, "test ca", nil)
	leaf := newSigner(t, "test leaf", ca)
	for i, name := range []string{"a", "b", "c", "e"} {
		codec := []kmod.Codec{kmod.None, kmod.XZ, kmod.Gzip, kmod.Zstd}[i]
		putFile(t, s.folder, i, encoded(t, leaf.sign(t, ko(name+"amd64"), leaf.cert), codec))
	}
	change(t, s.folder, func(m *manifest.Manifest) {
		for i := range m.Modules {
			m.Modules[i].Signed.Fingerprint = keys.Fingerprint(leaf.cert)
		}
	})
	o := s.options("drv:signed")
	o.Trust = []*x509.Certificate{ca.cert}
	res := mustRun(t, o)
	assert.Equal(t, "test leaf", res.Signer)
	assert.Equal(t, keys.Fingerprint(leaf.cert), res.Fingerprint)
	// The machine enrols the CA: that is what the image brings.
	assert.Contains(t, flat(t, s.pull(t, "drv:signed"))[DefaultCertPath[1:]], string(ca.cert.Raw))
	o.Trust = []*x509.Certificate{s.key.cert}
	_, err := Run(context.Background(), o)
	assert.Equal(t, fault.Untrusted, fault.ClassOf(err))
}

func TestKeyFinder(t *testing.T) {
	t.Parallel()
	for _, step := range []int{1, 3, 16, 17, 1000} {
		k := &keyFinder{}
		for b := []byte(strings.Repeat("x", 50) + keyMark + "y"); len(b) > 0; b = b[min(step, len(b)):] {
			_, err := k.Write(b[:min(step, len(b))])
			require.NoError(t, err)
		}
		assert.True(t, k.found, step)
	}
	k := &keyFinder{}
	_, err := k.Write([]byte("-----BEGIN PUBLIC KEY-----"))
	require.NoError(t, err)
	assert.False(t, k.found)
}
