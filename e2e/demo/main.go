// Command demo does kmodseal's main job in front of your eyes: it starts a
// registry in its own process, pushes a sample driver image, signs it with the
// four binaries and a throw-away key, and does it again to show that the digest
// is the same. It needs nothing but the binaries.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/kmodseal/kmodseal/e2e/sample"
)

func main() {
	bin := flag.String("bin", "bin", "folder of the step binaries")
	flag.Parse()
	if err := run(context.Background(), *bin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

type demo struct {
	ctx      context.Context
	bin, dir string
	out      io.Writer
}

func run(ctx context.Context, bin string, out io.Writer) error {
	dir, err := os.MkdirTemp("", "kmodseal-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if bin, err = filepath.Abs(bin); err != nil {
		return err
	}
	reg := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer reg.Close()
	host := strings.TrimPrefix(reg.URL, "http://")

	d := &demo{ctx, bin, dir, out}
	if err := d.prepare(host); err != nil {
		return err
	}
	first, err := d.seal(host, "signed")
	if err != nil {
		return err
	}
	second, err := d.seal(host, "again", "--quiet")
	if err != nil {
		return err
	}
	if first != second {
		return fmt.Errorf("the second run gave %s, the first %s", second, first)
	}
	fmt.Fprintf(out, "\nsigned image, on both runs: %s\n", first)
	return nil
}

// prepare pushes the sample and writes the key pair.
func (d *demo) prepare(host string) error {
	idx, err := sample.Index()
	if err != nil {
		return err
	}
	ref, err := name.ParseReference(host + "/driver:unsigned")
	if err != nil {
		return err
	}
	if err := remote.WriteIndex(ref, idx, remote.WithContext(d.ctx)); err != nil {
		return fmt.Errorf("push sample: %w", err)
	}
	key, err := sample.NewKey("kmodseal demo key, throw away")
	if err != nil {
		return err
	}
	k, c, err := key.PEM()
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(d.dir, "key.pem"), k, 0o600),
		os.WriteFile(filepath.Join(d.dir, "cert.pem"), c, 0o600))
}

// seal runs the steps as a user would, with further flags, and gives the digest
// under tag.
func (d *demo) seal(host, tag string, flags ...string) (string, error) {
	src, dst := host+"/driver:unsigned", host+"/driver:"+tag
	for _, step := range [][]string{
		{"extract-kmods", "--source", src, "--kernel", sample.Release, "--insecure"},
		{"sign-kmods", "--key", "key.pem", "--cert", "cert.pem"},
		{"verify-kmods", "--trust", "cert.pem", "--kernel", sample.Release},
		{"repack-image", "--destination", dst, "--trust", "cert.pem", "--insecure"},
		{"verify-kmods", "--source", dst, "--trust", "cert.pem", "--insecure"},
	} {
		step = append(step, flags...)
		fmt.Fprintf(d.out, "\n$ %s\n", strings.Join(step, " "))
		cmd := exec.CommandContext(d.ctx, filepath.Join(d.bin, step[0]), step[1:]...)
		cmd.Dir, cmd.Stdout, cmd.Stderr = d.dir, d.out, d.out
		if err := cmd.Run(); err != nil {
			return "", fmt.Errorf("%s: %w", step[0], err)
		}
	}
	ref, err := name.ParseReference(dst)
	if err != nil {
		return "", err
	}
	desc, err := remote.Head(ref, remote.WithContext(d.ctx))
	if err != nil {
		return "", fmt.Errorf("read %s: %w", dst, err)
	}
	return desc.Digest.String(), nil
}
