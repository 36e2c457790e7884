// Package sample makes a driver image to try kmodseal on: two platforms,
// modules in every codec, and the awkward things that real images hold.
package sample

import (
	"archive/tar"
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"time"

	"github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/kmodseal/kmodseal/pkg/kmod"
	"github.com/kmodseal/kmodseal/pkg/kmodtest"
	"github.com/kmodseal/kmodseal/pkg/modsig"
)

// Release is the kernel that the sample modules are built for.
const Release = "6.1.0-sample+1"

// Key is a throw-away signing key with a self-signed certificate.
type Key struct {
	Private *rsa.PrivateKey
	Cert    *x509.Certificate
}

// NewKey makes an RSA-2048 key whose certificate has the common name cn.
func NewKey(cn string) (*Key, error) {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	now := time.Now()
	t := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: cn},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true, SubjectKeyId: []byte(cn),
		UnknownExtKeyUsage: []asn1.ObjectIdentifier{{1, 3, 6, 1, 4, 1, 2312, 16, 1, 2}}, // module signing: not for boot loaders
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, k.Public(), k)
	if err != nil {
		return nil, fmt.Errorf("make certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	return &Key{k, cert}, err
}

// PEM gives the key as PKCS#8 and the certificate.
func (k *Key) PEM() (key, cert []byte, err error) {
	der, err := x509.MarshalPKCS8PrivateKey(k.Private)
	if err != nil {
		return nil, nil, fmt.Errorf("encode key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: k.Cert.Raw}), nil
}

// Sign appends a signature by k to module.
func (k *Key) Sign(module []byte) ([]byte, error) {
	sum := sha256.Sum256(module)
	sig, err := modsig.Sign(sum[:], k.Private, k.Cert, modsig.Options{})
	if err != nil {
		return nil, fmt.Errorf("sign sample: %w", err)
	}
	return modsig.Append(module, sig), nil
}

// Index is the sample driver image for linux/amd64 and linux/arm64.
func Index() (v1.ImageIndex, error) {
	stranger, err := NewKey("A stranger")
	if err != nil {
		return nil, err
	}
	idx := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, arch := range []string{"amd64", "arm64"} {
		img, err := Image(arch, stranger)
		if err != nil {
			return nil, err
		}
		idx = mutate.AppendManifests(idx, mutate.IndexAddendum{
			Add:        img,
			Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}},
		})
	}
	return idx, nil
}

// Image is the sample for one architecture: three layers with a plain, an xz,
// a zstd and a gzip module, one signed by stranger, one that the last layer
// deletes, a hard link, a symbolic link and a firmware blob.
func Image(arch string, stranger *Key) (v1.Image, error) {
	layers, err := entries(arch, stranger)
	if err != nil {
		return nil, err
	}
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	cfg := &v1.ConfigFile{OS: "linux", Architecture: arch, RootFS: v1.RootFS{Type: "layers"}, Config: v1.Config{Labels: map[string]string{"driver": "sample"}}}
	if img, err = mutate.ConfigFile(img, cfg); err != nil {
		return nil, fmt.Errorf("set config: %w", err)
	}
	for i, l := range layers {
		layer, err := Layer(l)
		if err != nil {
			return nil, err
		}
		img, err = mutate.Append(img, mutate.Addendum{
			Layer: layer, MediaType: types.OCILayer,
			History: v1.History{CreatedBy: fmt.Sprintf("sample layer %d", i)},
		})
		if err != nil {
			return nil, fmt.Errorf("append layer: %w", err)
		}
	}
	return img, nil
}

// Entry is one entry of a layer; Content only for regular files.
type Entry struct {
	Name    string
	Type    byte // 0: regular
	Link    string
	Mode    int64 // 0: 0644, folders 0755
	Content []byte
}

// Layer packs entries as a gzip layer with the same bytes on each call.
func Layer(entries []Entry) (v1.Layer, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := &tar.Header{
			Name: e.Name, Typeflag: e.Type, Linkname: e.Link, Mode: e.Mode,
			Size: int64(len(e.Content)), ModTime: time.Unix(1_700_000_000, 0), Format: tar.FormatPAX,
		}
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		if h.Mode == 0 {
			h.Mode = 0o644
		}
		if err := w.WriteHeader(h); err != nil {
			return nil, fmt.Errorf("write %s: %w", e.Name, err)
		}
		if _, err := w.Write(e.Content); err != nil {
			return nil, fmt.Errorf("write %s: %w", e.Name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("close layer: %w", err)
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(b.Bytes())), nil
	})
}

func entries(arch string, stranger *Key) ([][]Entry, error) {
	dir := "opt/lib/modules/" + Release + "/"
	plain := func(name string) []byte {
		return kmodtest.Build(kmodtest.Spec{Name: name, Release: Release, Machine: arch, Pad: 20_000})
	}
	second := []Entry{
		{Name: dir, Type: tar.TypeDir, Mode: 0o755},
		{Name: dir + "sample_plain.ko", Mode: 0o600, Content: plain("sample_plain")},
	}
	for _, c := range []struct {
		suffix string
		codec  kmod.Codec
	}{{".ko.xz", kmod.XZ}, {".ko.zst", kmod.Zstd}, {".ko.gz", kmod.Gzip}} {
		var b bytes.Buffer
		name := "sample_" + string(c.codec)
		if err := kmod.Encode(&b, plain(name), c.codec); err != nil {
			return nil, fmt.Errorf("encode %s: %w", name, err)
		}
		second = append(second, Entry{Name: dir + name + c.suffix, Content: b.Bytes()})
	}
	strange, err := stranger.Sign(plain("sample_stranger"))
	if err != nil {
		return nil, err
	}
	second = append(second,
		Entry{Name: dir + "sample_stranger.ko", Content: strange},
		Entry{Name: dir + "sample_alias.ko", Type: tar.TypeLink, Link: dir + "sample_plain.ko"},
		Entry{Name: dir + "sample_link.ko", Type: tar.TypeSymlink, Link: "sample_stranger.ko"},
	)
	return [][]Entry{
		{
			{Name: "etc/os-release", Content: []byte("ID=sample\n")},
			{Name: "opt/lib/firmware/sample.bin", Content: bytes.Repeat([]byte("firmware"), 1<<16)},
			{Name: dir + "sample_deleted.ko", Content: plain("sample_deleted")},
		},
		second,
		{{Name: dir + ".wh.sample_deleted.ko"}},
	}, nil
}
