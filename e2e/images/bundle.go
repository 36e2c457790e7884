package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"sigs.k8s.io/yaml"
)

// maxBundle is the number of resources that Tekton takes from one bundle.
const maxBundle = 20

// tektonBundle makes a Tekton bundle of the YAML files <dir>/<name>/*.yaml: one layer
// a resource, named by annotations (tektoncd/pipeline docs/tekton-bundle-contracts.md).
func tektonBundle(dir string, annotations map[string]string) (v1.Image, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*", "*.yaml"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 || len(files) > maxBundle {
		return nil, fmt.Errorf("%s: %d resources, a bundle has 1 to %d", dir, len(files), maxBundle)
	}
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	for _, f := range files {
		add, err := resource(f)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f, err)
		}
		if img, err = mutate.Append(img, *add); err != nil {
			return nil, err
		}
	}
	return mutate.Annotations(img, annotations).(v1.Image), nil //nolint:forcetypeassert // gives what it was given
}

// resource is the layer of one file: a tar with the file in it.
func resource(file string) (*mutate.Addendum, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var head struct {
		APIVersion, Kind string
		Metadata         struct{ Name string }
	}
	if err := yaml.Unmarshal(content, &head); err != nil {
		return nil, err
	}
	if !strings.HasPrefix(head.APIVersion, "tekton.dev/") || head.Kind == "" || head.Metadata.Name == "" {
		return nil, fmt.Errorf("not a resource of Tekton: %s %s %q", head.APIVersion, head.Kind, head.Metadata.Name)
	}
	var tape bytes.Buffer
	w := tar.NewWriter(&tape)
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: head.Metadata.Name, Mode: 0o600, Size: int64(len(content))}); err != nil {
		return nil, err
	}
	if _, err := w.Write(content); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(tape.Bytes())), nil
	}, tarball.WithMediaType(types.OCILayer))
	return &mutate.Addendum{Layer: layer, Annotations: map[string]string{
		"dev.tekton.image.apiVersion": head.APIVersion,
		"dev.tekton.image.kind":       strings.ToLower(head.Kind),
		"dev.tekton.image.name":       head.Metadata.Name,
	}}, err
}

// publishBundle puts the bundle wherever the flags say, under the name tasks.
func publishBundle(o *options) error {
	img, err := tektonBundle(o.bundle, map[string]string{
		"org.opencontainers.image.title":   "kmodseal tasks",
		"org.opencontainers.image.source":  "https://github.com/kmodseal/kmodseal",
		"org.opencontainers.image.version": o.version,
	})
	if err != nil {
		return fmt.Errorf("bundle: %w", err)
	}
	digest, err := publish("tasks", img, o)
	if err != nil {
		return fmt.Errorf("publish the bundle: %w", err)
	}
	_, err = fmt.Println("tasks", digest)
	return err
}
