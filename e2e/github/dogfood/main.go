// Command dogfood makes what the project's own workflow signs: a throw-away
// test key, modules in a folder, and a driver image in a registry.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/kmodseal/kmodseal/e2e/sample"
	"github.com/kmodseal/kmodseal/pkg/kmodtest"
)

func main() {
	image := flag.String("image", "", "push the sample driver here, plain HTTP")
	out := flag.String("out", "dogfood", "folder for key.pem, cert.pem and modules")
	flag.Parse()
	err := folder(*out)
	if err == nil && *image != "" {
		err = push(*image)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "dogfood:", err)
		os.Exit(1)
	}
}

func folder(dir string) error {
	key, err := sample.NewKey("Test key of the project's own CI, throw away")
	if err != nil {
		return err
	}
	private, cert, err := key.PEM()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(dir, "modules"), 0o700); err != nil {
		return err
	}
	for file, content := range map[string][]byte{
		"key.pem": private, "cert.pem": cert,
		"modules/one.ko": kmodtest.Build(kmodtest.Spec{Name: "one", Release: "6.1.0-sample+1", Machine: "amd64"}),
		"modules/two.ko": kmodtest.Build(kmodtest.Spec{Name: "two", Release: "6.1.0-sample+1", Machine: "arm64"}),
	} {
		if err := os.WriteFile(filepath.Join(dir, filepath.FromSlash(file)), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// push waits up to ten seconds for a registry that has just been started.
func push(image string) error {
	ref, err := name.ParseReference(image, name.Insecure)
	if err != nil {
		return err
	}
	idx, err := sample.Index()
	if err != nil {
		return err
	}
	for range 20 {
		if err = remote.WriteIndex(ref, idx); err == nil {
			return nil
		}
		time.Sleep(500 * time.Millisecond)
	}
	return fmt.Errorf("push %s: %w", image, err)
}
