package main

import (
	"fmt"
	"os/exec"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// toolsImage packs sh and sign-file with the libraries that they load.
func (b *bench) toolsImage(host, signFile string) error {
	file := filepath.Join(b.dir, "tools.tgz")
	script := `set -euo pipefail
mkdir -p tools/bin; cp -L /bin/sh tools/bin/sh; cp "$1" tools/sign-file; cp key2048.pem cert2048.pem tools/
for lib in $(ldd /bin/sh "$1" | grep -o '/[^ ]*\.so[^ ]*' | sort -u); do mkdir -p "tools/$(dirname "$lib")"; cp -L "$lib" "tools/$lib"; done
tar -C tools -czf "$2" .`
	cmd := exec.Command("bash", "-c", script, "tools", signFile, file)
	cmd.Dir = b.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("pack tools: %w\n%s", err, out)
	}
	layer, err := tarball.LayerFromFile(file)
	if err != nil {
		return err
	}
	img, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{OS: "linux", Architecture: "amd64", RootFS: v1.RootFS{Type: "layers"}})
	if err != nil {
		return err
	}
	if img, err = mutate.AppendLayers(img, layer); err != nil {
		return err
	}
	ref, err := name.ParseReference(host + "/tools:latest")
	if err != nil {
		return err
	}
	return remote.Write(ref, img)
}
