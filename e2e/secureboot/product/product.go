// Package product lets the project's own steps sign modules, so that a booted
// kernel can say what it thinks of the result: files in place, and an image
// that goes through extract-kmods, sign-kmods and repack-image.
package product

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/kmodseal/kmodseal/e2e/secureboot/pki"
	"github.com/kmodseal/kmodseal/pkg/extract"
	"github.com/kmodseal/kmodseal/pkg/keys"
	"github.com/kmodseal/kmodseal/pkg/manifest"
	"github.com/kmodseal/kmodseal/pkg/repack"
	"github.com/kmodseal/kmodseal/pkg/sign"
	"github.com/kmodseal/kmodseal/pkg/source"
)

// Modules are module files by name.
type Modules map[string][]byte

func pair(c *pki.Cert) (*keys.Pair, error) {
	cert, err := x509.ParseCertificate(c.DER)
	if err != nil {
		return nil, err
	}
	return &keys.Pair{Signer: c.Key, Cert: cert, From: "test key " + c.Name}, nil
}

// Files signs modules in place, as `sign-kmods FILE...` does.
func Files(ctx context.Context, dir string, c *pki.Cert, in Modules, o sign.Options) (Modules, error) {
	var err error
	if o.Pair, err = pair(c); err != nil {
		return nil, err
	}
	if err := write(dir, in); err != nil {
		return nil, err
	}
	if _, err := sign.Files(ctx, []string{dir}, o); err != nil {
		return nil, err
	}
	return read(dir, in)
}

// Image puts modules into an image for arch, has it sealed, and takes them out of the sealed one.
func Image(ctx context.Context, dir, arch string, c *pki.Cert, in Modules, mode string) (Modules, error) {
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	if err := layoutOf(filepath.Join(dir, "in"), arch, in); err != nil {
		return nil, err
	}
	p, err := pair(c)
	if err != nil {
		return nil, err
	}
	kmods := filepath.Join(dir, "kmods")
	if _, err := takeOut(ctx, "oci:"+filepath.Join(dir, "in"), kmods); err != nil {
		return nil, err
	}
	if _, err := sign.Folder(ctx, kmods, sign.Options{Pair: p}); err != nil {
		return nil, err
	}
	to := "oci:" + filepath.Join(dir, "out") + ":sealed"
	_, err = repack.Run(ctx, repack.Options{Kmods: kmods, Trust: []*x509.Certificate{p.Cert}, Mode: mode, Destination: to, CertPath: repack.DefaultCertPath})
	if err != nil {
		return nil, err
	}
	sealed := filepath.Join(dir, "sealed")
	m, err := takeOut(ctx, to, sealed)
	if err != nil {
		return nil, err
	}
	out := Modules{}
	for _, mod := range m.Modules {
		if out[filepath.Base(mod.Path)], err = os.ReadFile(filepath.Join(sealed, mod.File)); err != nil {
			return nil, err
		}
	}
	if len(out) != len(in) {
		return nil, fmt.Errorf("sealed image: %d modules of %d", len(out), len(in))
	}
	return out, nil
}

func takeOut(ctx context.Context, name, kmods string) (*manifest.Manifest, error) {
	ref, err := source.Parse(name)
	if err != nil {
		return nil, err
	}
	src, err := source.Open(ctx, ref, source.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { _ = src.Close() }()
	return extract.Run(ctx, src, extract.Options{Kmods: kmods})
}

// layoutOf writes an OCI layout whose one image has the modules in one layer.
func layoutOf(dir, arch string, in Modules) error {
	var tape bytes.Buffer
	w := tar.NewWriter(&tape)
	for _, name := range slices.Sorted(maps.Keys(in)) {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: "opt/lib/modules/" + name, Mode: 0o644, Size: int64(len(in[name]))}
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		if _, err := w.Write(in[name]); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(tape.Bytes())), nil })
	if err != nil {
		return err
	}
	img, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return err
	}
	if img, err = mutate.ConfigFile(img, platform(img, arch)); err != nil {
		return err
	}
	l, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	return l.AppendImage(img)
}

func platform(img v1.Image, arch string) *v1.ConfigFile {
	c, err := img.ConfigFile()
	if err != nil {
		return &v1.ConfigFile{}
	}
	c = c.DeepCopy()
	c.OS, c.Architecture = "linux", arch
	return c
}

func write(dir string, in Modules) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, b := range in {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func read(dir string, in Modules) (Modules, error) {
	out := Modules{}
	for name := range in {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		out[name] = b
	}
	return out, nil
}
