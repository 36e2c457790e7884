package main

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// flow compares the whole job, registry to registry, on an image of three
// layers: a userland, 40 MB of firmware, 200 modules.
func (b *bench) flow() error {
	if err := b.keyPair("2048"); err != nil {
		return err
	}
	host, stop, err := b.registry()
	if err != nil {
		return err
	}
	defer stop()
	if err := b.pushImages(host); err != nil {
		return err
	}
	signFile, err := newest("/usr/lib/linux-kbuild-*/scripts/sign-file")
	if err != nil {
		return err
	}
	if err := b.scripts(host, signFile); err != nil {
		return err
	}
	fresh := func() error {
		return errors.Join(os.RemoveAll(filepath.Join(b.dir, "kmods")), os.RemoveAll(filepath.Join(b.dir, "work")))
	}
	sh := func(script string, args ...string) []string {
		return append([]string{"bash", filepath.Join(b.dir, script)}, args...)
	}
	err = b.compare("image to signed image", []contender{
		{"kmodseal", fresh, sh("kmodseal.sh", "first", "kmodseal")},
		{"skopeo, tar, sign-file, crane", fresh, sh("shell.sh", "first", "shell")},
		{"KMM's Dockerfile on buildah", fresh, sh("buildah.sh", "first", "buildah")},
		{"floor: fetch and inflate each layer once", fresh, sh("floor.sh", "first")},
	})
	if err != nil {
		return err
	}
	// The cache is what signing the first kernel left.
	if _, err := b.once(contender{"fill the cache", fresh, sh("kmodseal.sh", "first", "fill", "--cache", "cache")}); err != nil {
		return err
	}
	return b.compare("next kernel on the same base", []contender{
		{"kmodseal --cache", fresh, sh("kmodseal.sh", "second", "kmodseal", "--cache", "cache")},
		{"skopeo, tar, sign-file, crane", fresh, sh("shell.sh", "second", "shell")},
		{"KMM's Dockerfile on buildah", fresh, sh("buildah.sh", "second", "buildah")},
	})
}

// registry runs Debian's docker-registry, which keeps blobs on disk.
func (b *bench) registry() (host string, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	host = l.Addr().String()
	l.Close()
	config := filepath.Join(b.dir, "registry.yml")
	text := fmt.Sprintf("version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: %s}\n",
		filepath.Join(b.dir, "registry"), host)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return "", nil, err
	}
	cmd := exec.Command("docker-registry", "serve", config)
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	stop = func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }
	for range 100 {
		c, err := net.Dial("tcp", host)
		if err == nil {
			c.Close()
			return host, stop, nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	stop()
	return "", nil, fmt.Errorf("docker-registry does not answer on %s", host)
}

// pushImages pushes driver:first and driver:second, which differ in the
// modules alone.
func (b *bench) pushImages(host string) error {
	base, err := b.usrLayer()
	if err != nil {
		return err
	}
	for _, tag := range []string{"first", "second"} {
		dir := filepath.Join(b.dir, tag, "opt/lib/modules/6.1.0-"+tag)
		if err := writeModules(dir, 200); err != nil {
			return err
		}
		firmware, err := b.layer(tag+"-firmware.tgz", "firmware.bin", b.dir)
		if err != nil {
			return err
		}
		modules, err := b.layer(tag+".tgz", "opt", filepath.Join(b.dir, tag))
		if err != nil {
			return err
		}
		img := mutate.MediaType(empty.Image, types.DockerManifestSchema2)
		if img, err = mutate.ConfigFile(img, &v1.ConfigFile{OS: "linux", Architecture: "amd64", RootFS: v1.RootFS{Type: "layers"}}); err != nil {
			return err
		}
		if img, err = mutate.AppendLayers(img, base, firmware, modules); err != nil {
			return err
		}
		ref, err := name.ParseReference(host + "/driver:" + tag)
		if err != nil {
			return err
		}
		if err := remote.Write(ref, img); err != nil {
			return fmt.Errorf("push %s: %w", ref, err)
		}
	}
	return nil
}

func (b *bench) layer(file, what, from string) (v1.Layer, error) {
	if what == "firmware.bin" {
		cmd := exec.Command("openssl", "rand", "-out", filepath.Join(b.dir, what), "40000000")
		if _, err := os.Stat(filepath.Join(b.dir, what)); err != nil {
			if out, err := cmd.CombinedOutput(); err != nil {
				return nil, fmt.Errorf("make firmware: %w\n%s", err, out)
			}
		}
	}
	file = filepath.Join(b.dir, file)
	tarCmd := exec.Command("tar", "-C", from, "--sort=name", "--mtime=@0", "--transform", "s,^firmware,opt/lib/firmware,", "-czf", file, what)
	if out, err := tarCmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("pack %s: %w\n%s", what, err, out)
	}
	return tarball.LayerFromFile(file)
}

// usrLayer packs files of this machine's /usr, up to baseMB megabytes, as the
// userland: real binaries, libraries and texts.
func (b *bench) usrLayer() (v1.Layer, error) {
	file := filepath.Join(b.dir, "usr.tgz")
	f, err := os.Create(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	gz := exec.Command("gzip", "-c")
	gz.Stdout = f
	in, err := gz.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := gz.Start(); err != nil {
		return nil, err
	}
	w := tar.NewWriter(in)
	left := int64(b.baseMB) << 20
	walk := filepath.WalkDir("/usr", func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || left < 0 || strings.Contains(filepath.Base(p), ".ko") {
			return err
		}
		n, err := addFile(w, p)
		left -= n
		return err
	})
	if err := errors.Join(walk, w.Close(), in.Close(), gz.Wait()); err != nil {
		return nil, fmt.Errorf("pack /usr: %w", err)
	}
	return tarball.LayerFromFile(file)
}

func addFile(w *tar.Writer, path string) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	h := &tar.Header{Name: strings.TrimPrefix(path, "/"), Mode: 0o644, Size: info.Size(), Typeflag: tar.TypeReg}
	if err := w.WriteHeader(h); err != nil {
		return 0, err
	}
	return io.Copy(w, f)
}
