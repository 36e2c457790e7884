// Command images builds the container images of the steps: one static binary
// for each, on nothing, for each of Linux's platforms. The same sources and
// version give the same digests.
//
//	go run ./e2e/images -version v1.0.0 -out dist/images                  OCI layouts
//	go run ./e2e/images -version v1.0.0 -push ghcr.io/kmodseal            and to a registry
//	go run ./e2e/images -version v1.0.0 -stamp tasks                      and tag and digest into the YAML
//	go run ./e2e/images -version v1.0.0 -only none -bundle tasks -out dist/images   a Tekton bundle of the YAML
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kmodseal/kmodseal/pkg/step/catalog"
)

type options struct {
	version, revision, out, push, stamp, bundle string
	only, platforms                             []string
}

func main() {
	var o options
	var only, platforms string
	flag.StringVar(&o.version, "version", "dev", "version for the binaries, the tag and the labels")
	flag.StringVar(&o.revision, "revision", "", "commit for the labels")
	flag.StringVar(&o.out, "out", "", "folder for an OCI layout of each image")
	flag.StringVar(&o.push, "push", "", "registry and path to push to, such as ghcr.io/kmodseal")
	flag.StringVar(&o.stamp, "stamp", "", "folder whose YAML files get tag and digest of each image")
	flag.StringVar(&o.bundle, "bundle", "", "folder whose YAML files to make a Tekton bundle of, named tasks; after -stamp")
	flag.StringVar(&only, "only", "", "names of the steps, comma-separated; default all")
	flag.StringVar(&platforms, "platforms", "linux/amd64,linux/arm64,linux/ppc64le,linux/s390x", "platforms, comma-separated")
	flag.Parse()
	if only != "" {
		o.only = strings.Split(only, ",")
	}
	o.platforms = strings.Split(platforms, ",")
	if err := run(context.Background(), &o); err != nil {
		fmt.Fprintln(os.Stderr, "images:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o *options) error {
	work, err := os.MkdirTemp("", "kmodseal-images-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work) //nolint:errcheck // a temporary folder
	for _, cmd := range catalog.Steps() {
		about := cmd.About()
		if len(o.only) > 0 && !contains(o.only, about.Name) {
			continue
		}
		idx, err := build(ctx, about, o, work)
		if err != nil {
			return fmt.Errorf("build %s: %w", about.Name, err)
		}
		digest, err := publish(about.Name, idx, o)
		if err != nil {
			return fmt.Errorf("publish %s: %w", about.Name, err)
		}
		if err := record(about.Name, idx, digest, o); err != nil {
			return fmt.Errorf("record %s: %w", about.Name, err)
		}
	}
	if o.stamp != "" {
		if err := stampLabel(o.stamp, o.version); err != nil {
			return err
		}
	}
	if o.bundle == "" {
		return nil
	}
	return publishBundle(o)
}

// record stamps the digest where the flags say so, and prints a line of the image.
func record(image string, idx v1.ImageIndex, digest v1.Hash, o *options) error {
	if o.stamp != "" {
		if err := stamp(o.stamp, image, o.version+"@"+digest.String()); err != nil {
			return err
		}
	}
	return describe(image, idx, digest)
}

// describe prints name, digest and the compressed size of each platform.
func describe(name string, idx v1.ImageIndex, digest v1.Hash) error {
	m, err := idx.IndexManifest()
	if err != nil {
		return err
	}
	line := name + " " + digest.String()
	for i := range m.Manifests {
		img, err := idx.Image(m.Manifests[i].Digest)
		if err != nil {
			return err
		}
		mf, err := img.Manifest()
		if err != nil {
			return err
		}
		size := mf.Config.Size
		for _, l := range mf.Layers {
			size += l.Size
		}
		line += fmt.Sprintf(" %s=%.1fMiB", m.Manifests[i].Platform, float64(size)/(1<<20))
	}
	_, err = fmt.Println(line)
	return err
}

func contains(list []string, s string) bool {
	for _, l := range list {
		if l == s {
			return true
		}
	}
	return false
}
