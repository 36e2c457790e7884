package main

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"

	"github.com/kmodseal/kmodseal/pkg/step"
)

// nonRoot is the user and group of the processes, as distroless has it.
const nonRoot = "65532:65532"

// networked steps get the certificate authorities; the others have no use for them.
func networked(cmd string) bool {
	return slices.Contains([]string{"extract-kmods", "verify-kmods", "repack-image"}, cmd)
}

func build(ctx context.Context, about step.About, o *options, work string) (v1.ImageIndex, error) {
	idx := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, p := range o.platforms {
		platform, err := v1.ParsePlatform(p)
		if err != nil {
			return nil, err
		}
		binary := filepath.Join(work, about.Name+"-"+platform.Architecture)
		if err := compile(ctx, about.Name, binary, o.version, platform); err != nil {
			return nil, err
		}
		img, err := image(about, binary, o, platform)
		if err != nil {
			return nil, err
		}
		idx = mutate.AppendManifests(idx, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: platform}})
	}
	return mutate.Annotations(idx, labels(about, o)).(v1.ImageIndex), nil //nolint:forcetypeassert // gives what it was given
}

func compile(ctx context.Context, name, out, version string, p *v1.Platform) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false",
		"-ldflags", "-s -w -buildid= -X github.com/kmodseal/kmodseal/pkg/step.version="+version,
		"-o", out, "github.com/kmodseal/kmodseal/steps/"+name)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+p.OS, "GOARCH="+p.Architecture, "GOFLAGS=")
	cmd.Stderr = os.Stderr
	return cmd.Run()
}

func labels(about step.About, o *options) map[string]string {
	l := map[string]string{
		"org.opencontainers.image.title":       about.Name,
		"org.opencontainers.image.description": about.Summary,
		"org.opencontainers.image.source":      "https://github.com/kmodseal/kmodseal",
		"org.opencontainers.image.licenses":    "Apache-2.0",
		"org.opencontainers.image.version":     o.version,
	}
	if o.revision != "" {
		l["org.opencontainers.image.revision"] = o.revision
	}
	return l
}

func image(about step.About, binary string, o *options, p *v1.Platform) (v1.Image, error) {
	content, err := pack(about.Name, binary)
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content)), nil
	}, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	img, err := mutate.AppendLayers(base, layer)
	if err != nil {
		return nil, err
	}
	file, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	file.OS, file.Architecture, file.Variant = p.OS, p.Architecture, p.Variant
	file.Config = v1.Config{
		User: nonRoot, WorkingDir: "/", Entrypoint: []string{"/usr/bin/" + about.Name},
		Env: []string{"PATH=/usr/bin", "HOME=/"}, Labels: labels(about, o),
	}
	return mutate.ConfigFile(img, file)
}

// pack is the layer: the binary, a user, /tmp, and the certificate authorities
// of Mozilla as golang.org/x/crypto pins them (a package of the build machine's
// would make the digest depend on the day).
func pack(name, binary string) ([]byte, error) {
	program, err := os.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	add := func(h tar.Header, data []byte) {
		if err == nil {
			h.Size = int64(len(data))
			err = w.WriteHeader(&h)
		}
		if err == nil {
			_, err = w.Write(data)
		}
	}
	dir := func(name string, mode int64) { add(tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: mode}, nil) }
	file := func(name string, mode int64, data []byte) {
		add(tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode}, data)
	}
	dir("etc/", 0o755)
	file("etc/passwd", 0o644, []byte("root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n"))
	file("etc/group", 0o644, []byte("root:x:0:\nnonroot:x:65532:\n"))
	if networked(name) {
		dir("etc/ssl/", 0o755)
		dir("etc/ssl/certs/", 0o755)
		file("etc/ssl/certs/ca-certificates.crt", 0o644, authorities())
	}
	dir("tmp/", 0o1777)
	dir("usr/", 0o755)
	dir("usr/bin/", 0o755)
	file("usr/bin/"+name, 0o755, program)
	if err != nil {
		return nil, fmt.Errorf("pack: %w", err)
	}
	err = w.Close()
	return buf.Bytes(), err
}

// authorities leaves out those that a program would have to distrust in part.
func authorities() []byte {
	var out bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			_ = pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate})
		}
	}
	return out.Bytes()
}
