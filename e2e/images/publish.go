package main

import (
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// artifact is an image or an index of images.
type artifact interface {
	mutate.Appendable
	remote.Taggable
}

// publish puts what is called image wherever the flags say, and gives its digest.
func publish(image string, what artifact, o *options) (v1.Hash, error) {
	if o.out != "" {
		if err := writeLayout(filepath.Join(o.out, image), what, o.version); err != nil {
			return v1.Hash{}, err
		}
	}
	if o.push != "" {
		ref, err := name.NewTag(o.push + "/" + image + ":" + o.version)
		if err != nil {
			return v1.Hash{}, err
		}
		// docker login is how the release comes by its credentials.
		if err := remote.Push(ref, what, remote.WithAuthFromKeychain(authn.DefaultKeychain)); err != nil {
			return v1.Hash{}, err
		}
	}
	return what.Digest()
}

// writeLayout makes dir an OCI layout of nothing but what, under the tag version.
func writeLayout(dir string, what artifact, version string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	_, err := layout.Write(dir, mutate.AppendManifests(empty.Index, mutate.IndexAddendum{
		Add:        what,
		Descriptor: v1.Descriptor{Annotations: map[string]string{"org.opencontainers.image.ref.name": version}},
	}))
	return err
}
