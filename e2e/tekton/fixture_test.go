//go:build e2e

package tekton_test

import (
	"archive/tar"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/e2e/sample"
	"github.com/kmodseal/kmodseal/pkg/kmm"
	"github.com/kmodseal/kmodseal/pkg/kmodtest"
)

// module is the path of a driver's module in its image.
func module(kernel, name string) string { return "opt/lib/modules/" + kernel + "/" + name + ".ko" }

// pushDriver makes an unsigned driver image of two modules.
func pushDriver(t *testing.T, repo, kernel string) {
	t.Helper()
	var e []sample.Entry
	e = append(e, sample.Entry{Name: "opt/lib/modules/" + kernel + "/", Type: tar.TypeDir, Mode: 0o755})
	for _, n := range []string{"drv", "drv_helper"} {
		e = append(e, sample.Entry{Name: module(kernel, n), Mode: 0o640, Content: kmodtest.Build(kmodtest.Spec{Name: n, Release: kernel, Pad: 50_000})})
	}
	push(t, repo+":"+kmm.Normalize(kernel)+"-unsigned", e)
}

// push makes an image of a layer that is always the same and one with the entries.
func push(t *testing.T, ref string, entries []sample.Entry) {
	t.Helper()
	layer, err := sample.Layer(entries)
	require.NoError(t, err)
	base, err := sample.Layer([]sample.Entry{{Name: "firmware.bin", Content: make([]byte, 1<<20)}})
	require.NoError(t, err)
	img, err := mutate.AppendLayers(empty.Image, base, layer)
	require.NoError(t, err)
	file, err := img.ConfigFile()
	require.NoError(t, err)
	file = file.DeepCopy()
	file.OS, file.Architecture = "linux", "amd64"
	img, err = mutate.ConfigFile(img, file)
	require.NoError(t, err)
	require.NoError(t, remote.Write(tag(t, ref), img))
}

// signed checks a module in the registry: the unsigned bytes and a signature that verifies.
func signed(t *testing.T, ref, path string, key *sample.Key, plain []byte) {
	t.Helper()
	want, err := key.Sign(plain)
	require.NoError(t, err)
	require.Equal(t, want, published(t, ref, path))
}

// published is a file of an image in the registry, which must have the mode of the source's.
func published(t *testing.T, ref, path string) []byte {
	t.Helper()
	img, err := remote.Image(tag(t, ref))
	require.NoError(t, err)
	r := mutate.Extract(img)
	defer r.Close()
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		require.NoError(t, err, path)
		if strings.TrimPrefix(h.Name, "/") != path {
			continue
		}
		require.EqualValues(t, 0o640, h.Mode&0o777)
		got, err := io.ReadAll(tr)
		require.NoError(t, err)
		return got
	}
}

// secrets makes KMM-style Secrets, and the wrong ones.
func secrets(t *testing.T, ns string, key *sample.Key) {
	t.Helper()
	k, c, err := key.PEM()
	require.NoError(t, err)
	other, err := sample.NewKey("Somebody else")
	require.NoError(t, err)
	_, oc, err := other.PEM()
	require.NoError(t, err)
	b := base64.StdEncoding.EncodeToString
	yaml := ""
	for _, s := range []struct{ name, kind, data string }{
		{"signing-key", "Opaque", "key: " + b(k)},
		{"signing-cert", "Opaque", "cert: " + b(c)},
		{"other-cert", "Opaque", "cert: " + b(oc)},
		{"tls-pair", "kubernetes.io/tls", "tls.key: " + b(k) + ", tls.crt: " + b(c)},
		{"registry-auth", "kubernetes.io/dockerconfigjson", ".dockerconfigjson: " + b([]byte(`{"auths":{}}`))},
	} {
		yaml += fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata: {name: %s}\ntype: %s\ndata: {%s}\n---\n", s.name, s.kind, s.data)
	}
	must(t, yaml, "apply", "-n", ns, "-f", "-")
}

// taskRun is a run of seal-image.
func taskRun(name, cert string, params map[string]string) string {
	y := "apiVersion: tekton.dev/v1\nkind: TaskRun\nmetadata: {name: " + name + "}\nspec:\n  podTemplate: {automountServiceAccountToken: false}\n  taskRef: {name: seal-image}\n  params:\n"
	for k, v := range params {
		y += fmt.Sprintf("    - {name: %s, value: %q}\n", k, v)
	}
	return y + "  workspaces:\n    - {name: signing-key, secret: {secretName: signing-key}}\n    - {name: certificate, secret: {secretName: " + cert + "}}\n" +
		"    - {name: registry-auth, secret: {secretName: registry-auth}}\n"
}
