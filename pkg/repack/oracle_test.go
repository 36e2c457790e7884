package repack

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/extract"
	"github.com/kmodseal/kmodseal/pkg/keys"
	"github.com/kmodseal/kmodseal/pkg/oracle"
	"github.com/kmodseal/kmodseal/pkg/sign"
	"github.com/kmodseal/kmodseal/pkg/source"
)

func oracleRun(t testing.TB, prog string, args ...string) string {
	t.Helper()
	out, err := exec.Command(prog, args...).CombinedOutput()
	require.NoError(t, err, "%s %v: %s", prog, args, out)
	return string(out)
}

// skopeo reads, checks and copies the result, in both families of media types.
func TestSkopeo(t *testing.T) {
	t.Parallel()
	skopeo := oracle.Path(t, "skopeo")
	for kind, media := range map[types.MediaType]types.MediaType{
		types.OCIManifestSchema1: types.OCILayer, types.DockerManifestSchema2: types.DockerLayer,
	} {
		for _, mode := range []string{Append, Rewrite} {
			s := newScene(t, kind, media)
			o := s.options("drv:signed")
			o.Mode = mode
			res := mustRun(t, o)
			ref := "docker://" + s.reg.host + "/drv:signed"
			assert.Contains(t, oracleRun(t, skopeo, "inspect", "--tls-verify=false", ref), res.Digest)
			// Without a conversion a copy checks every digest and keeps the manifest.
			oracleRun(t, skopeo, "--insecure-policy", "copy", "--preserve-digests", "--src-tls-verify=false", ref, "dir:"+t.TempDir())
			oracleRun(t, skopeo, "--insecure-policy", "copy", "--src-tls-verify=false", ref, "docker-archive:"+filepath.Join(t.TempDir(), "x.tar"))
		}
	}
}

// umoci unpacks both images: only modules and the certificate differ.
func TestUmoci(t *testing.T) {
	t.Parallel()
	umoci := oracle.Path(t, "umoci")
	for _, mode := range []string{Append, Rewrite} {
		s := newScene(t, types.OCIManifestSchema1, gz)
		layout := filepath.Join(t.TempDir(), "layout")
		put(t, "oci:"+layout+":before", s.img)
		o := s.options("")
		o.Mode, o.Destination = mode, "oci:"+layout+":after"
		mustRun(t, o)
		trees := map[string]map[string]string{}
		for _, tag := range []string{"before", "after"} {
			bundle := filepath.Join(t.TempDir(), "bundle")
			oracleRun(t, umoci, "unpack", "--rootless", "--image", layout+":"+tag, bundle)
			trees[tag] = listing(t, filepath.Join(bundle, "rootfs"))
		}
		cert := DefaultCertPath[1:]
		assert.Contains(t, trees["after"][cert], string(s.key.cert.Raw))
		for d := cert; d != "."; d = filepath.Dir(d) {
			if _, ok := trees["before"][d]; !ok {
				delete(trees["after"], d)
			}
		}
		for p, was := range trees["before"] {
			is := trees["after"][p]
			if isModule(p) && was[0] == '-' {
				assert.NotEqual(t, was, is, p)
				was, is = strings.Join(strings.SplitN(was, " ", 3)[:2], " "), strings.Join(strings.SplitN(is, " ", 3)[:2], " ")
			}
			assert.Equal(t, was, is, p)
		}
		assert.Len(t, trees["after"], len(trees["before"]))
	}
}

func put(t testing.TB, dst string, img v1.Image) {
	t.Helper()
	r, err := source.Parse(dst)
	require.NoError(t, err)
	d, err := source.Create(context.Background(), r, source.Options{})
	require.NoError(t, err)
	require.NoError(t, d.Put(context.Background(), img, nil))
}

// whole runs extract-kmods and sign-kmods for real.
func (s *scene) whole(t testing.TB) {
	t.Helper()
	r, err := source.Parse(s.src)
	require.NoError(t, err)
	src, err := source.Open(context.Background(), r, source.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, src.Close()) }()
	s.folder = filepath.Join(t.TempDir(), "kmods")
	_, err = extract.Run(context.Background(), src, extract.Options{Kmods: s.folder})
	require.NoError(t, err)
	_, err = sign.Folder(context.Background(), s.folder, sign.Options{
		Pair: &keys.Pair{Signer: s.key.key, Cert: s.key.cert}, Embed: sign.Auto, OnSigned: sign.Replace,
	})
	require.NoError(t, err)
}

// A docker-archive, whose layers are inflated, gives an image that readers take.
func TestDockerArchive(t *testing.T) {
	t.Parallel()
	s := newScene(t, types.DockerManifestSchema2, types.DockerLayer)
	s.src = "docker-archive:" + filepath.Join(t.TempDir(), "in.tar")
	put(t, s.src, s.img)
	s.whole(t)
	for _, mode := range []string{Append, Rewrite} {
		o := s.options("drv:" + mode)
		o.Mode = mode
		mustRun(t, o)
		onlyModulesDiffer(t, s, s.img, s.pull(t, "drv:"+mode))
		o.Destination = "docker-archive:" + filepath.Join(t.TempDir(), "out.tar")
		assert.True(t, mustRun(t, o).Pushed)
	}
}

// The steps before agree on paths, layers and hashes, also where folders are links.
func TestWithTheOtherSteps(t *testing.T) {
	t.Parallel()
	stranger := newSigner(t, "stranger", nil)
	links := imageOf(t, "amd64", types.OCIManifestSchema1,
		layerOf(t, gz, folder("usr"), folder("usr/lib"), sym("lib", "usr/lib"), reg("usr/lib/low.ko", ko("low"))),
		layerOf(t, gz, reg("lib/modules/6.1.0-test/x.ko", ko("x")), hard("lib/modules/6.1.0-test/low.ko", "lib/low.ko"),
			reg("lib/modules/6.1.0-test/old.ko", stranger.sign(t, ko("old")))),
		layerOf(t, gz, reg("lib/modules/6.1.0-test/plain", ko("named")), hard("lib/modules/6.1.0-test/named.ko", "usr/lib/modules/6.1.0-test/plain"),
			sym("usr/lib/modules/6.1.0-test/again.ko", "/lib/modules/6.1.0-test/x.ko")))
	for name, img := range map[string]v1.Image{"driver": driver(t, "amd64", types.OCIManifestSchema1, gz), "links": links} {
		for _, mode := range []string{Append, Rewrite} {
			s := &scene{reg: newRegistry(t), key: newSigner(t, "test signer", nil), img: img}
			s.src = s.reg.push(t, "drv:1", img)
			s.whole(t)
			o := s.options("drv:signed")
			o.Mode = mode
			first := mustRun(t, o)
			s.pull(t, "drv:signed")
			// The result is its own fixed point: sign it again, and nothing changes.
			s.src = s.reg.host + "/drv:signed"
			s.whole(t)
			o.Kmods, o.Destination = s.folder, s.reg.host+"/drv:again"
			again := mustRun(t, o)
			assert.Equal(t, first.Signed, again.Signed)
			assert.Equal(t, first.Digest, again.Digest, name)
			out := t.TempDir()
			o.Destination = "dir:" + out
			mustRun(t, o)
			for p, l := range listing(t, out) {
				if isModule(p) && l[0] == '-' && strings.HasSuffix(p, ".ko") {
					assert.True(t, strings.HasSuffix(l, "~Module signature appended~\n"), p)
				}
			}
			for _, w := range s.warned.lines { // of the last destination, a folder
				assert.Contains(t, w, "left out: extended attributes")
			}
		}
	}
}
