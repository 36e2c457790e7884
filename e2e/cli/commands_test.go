package cli_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/kmodseal/kmodseal/pkg/kmod"
	"github.com/kmodseal/kmodseal/pkg/kmodtest"
)

// module FILE [release=R] [machine=M]: makes a module, stored as FILE's ending says.
func module(ts *testscript.TestScript, _ bool, args []string) {
	file := ts.MkAbs(args[0])
	base, ending, _ := strings.Cut(filepath.Base(file), ".ko")
	spec := kmodtest.Spec{Name: base, Release: "6.1.0-56-amd64", Machine: "amd64", Pad: 4096}
	for _, a := range args[1:] {
		key, value, _ := strings.Cut(a, "=")
		switch key {
		case "release":
			spec.Release = value
		case "machine":
			spec.Machine = value
		default:
			ts.Fatalf("module: what is %s?", a)
		}
	}
	codec := map[string]kmod.Codec{"": kmod.None, ".gz": kmod.Gzip, ".xz": kmod.XZ, ".zst": kmod.Zstd}[ending]
	var b bytes.Buffer
	ts.Check(kmod.Encode(&b, kmodtest.Build(spec), codec))
	ts.Check(os.MkdirAll(filepath.Dir(file), 0o755))
	ts.Check(os.WriteFile(file, b.Bytes(), 0o644))
}

// push REF DIR...: an image whose layers are the folders' files; with
// OS/ARCH=DIR arguments an index of such images.
func push(ts *testscript.TestScript, _ bool, args []string) {
	ref, err := name.ParseReference(args[0], name.Insecure)
	ts.Check(err)
	if !strings.Contains(args[1], "=") {
		ts.Check(remote.Write(ref, imageOf(ts, "linux/amd64", args[1:])))
		return
	}
	idx := v1.ImageIndex(empty.Index)
	for _, a := range args[1:] {
		platform, dir, _ := strings.Cut(a, "=")
		p, err := v1.ParsePlatform(platform)
		ts.Check(err)
		idx = mutate.AppendManifests(idx, mutate.IndexAddendum{
			Add: imageOf(ts, platform, []string{dir}), Descriptor: v1.Descriptor{Platform: p},
		})
	}
	ts.Check(remote.WriteIndex(ref, idx))
}

func imageOf(ts *testscript.TestScript, platform string, dirs []string) v1.Image {
	img := empty.Image
	for _, d := range dirs {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		root := ts.MkAbs(d)
		ts.Check(filepath.WalkDir(root, func(p string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			rel, err := filepath.Rel(root, p)
			if err != nil {
				return err
			}
			data, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			return addFile(w, filepath.ToSlash(rel), data)
		}))
		img = withLayer(ts, img, w, &b)
	}
	return onPlatform(ts, img, platform)
}

func onPlatform(ts *testscript.TestScript, img v1.Image, platform string) v1.Image {
	goos, arch, _ := strings.Cut(platform, "/")
	cfg, err := img.ConfigFile()
	ts.Check(err)
	cfg = cfg.DeepCopy()
	cfg.OS, cfg.Architecture = goos, arch
	img, err = mutate.ConfigFile(img, cfg)
	ts.Check(err)
	return img
}

func addFile(w *tar.Writer, path string, data []byte) error {
	if err := w.WriteHeader(&tar.Header{Name: path, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(data))}); err != nil {
		return err
	}
	_, err := w.Write(data)
	return err
}

func withLayer(ts *testscript.TestScript, img v1.Image, w *tar.Writer, b *bytes.Buffer) v1.Image {
	ts.Check(w.Close())
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
	ts.Check(err)
	img, err = mutate.AppendLayers(img, l)
	ts.Check(err)
	return img
}

// hostile REF [control]: an image whose modules have names that try to be
// commands, also by control characters.
func hostile(ts *testscript.TestScript, _ bool, args []string) {
	ref, err := name.ParseReference(args[0], name.Insecure)
	ts.Check(err)
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	names := []string{
		"::set-output name=forged::1.ko",
		"lib/b|`x`<img src=x onerror=alert(1)>.ko",
		"lib/c_GitHubActionsFileCommandDelimeter_.ko",
		"lib/e$(id);`id`.ko",
		"lib/f%0A::add-mask::x.ko",
		"lib/##[add-mask]x.ko",
	}
	if len(args) > 1 {
		names = append(names, "lib/a\n::set-output name=forged::1\n.ko", "lib/d\x1b[31mred.ko")
	}
	for i, n := range names {
		m := kmodtest.Build(kmodtest.Spec{Name: "m" + strconv.Itoa(i), Release: "::add-mask::x", Machine: "amd64"})
		ts.Check(addFile(w, n, m))
	}
	ts.Check(remote.Write(ref, onPlatform(ts, withLayer(ts, empty.Image, w, &b), "linux/amd64")))
}

// craft REF NAME...: an image with modules of such names, which may have Go's
// escapes; NAME->TARGET is a symbolic link.
func craft(ts *testscript.TestScript, _ bool, args []string) {
	ref, err := name.ParseReference(args[0], name.Insecure)
	ts.Check(err)
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, a := range args[1:] {
		path, err := strconv.Unquote(`"` + a + `"`)
		ts.Check(err)
		if from, to, ok := strings.Cut(path, "->"); ok {
			ts.Check(w.WriteHeader(&tar.Header{Name: from, Typeflag: tar.TypeSymlink, Linkname: to}))
			continue
		}
		ts.Check(addFile(w, path, kmodtest.Build(kmodtest.Spec{Name: "m", Release: "6.1.0-56-amd64"})))
	}
	ts.Check(remote.Write(ref, onPlatform(ts, withLayer(ts, empty.Image, w, &b), "linux/amd64")))
}

// run CODE COMMAND ARG...: the command has to end with CODE, and its output
// must hold nothing of the key.
func run(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: run CODE COMMAND ARG...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("%s: exit code %d, want %d", args[1], got, want)
	}
	for _, stream := range []string{"stdout", "stderr"} {
		if leak := findKey([]byte(ts.ReadFile(stream))); leak != "" {
			ts.Fatalf("%s: %s holds %s", args[1], stream, leak)
		}
	}
	if problem := explained(args[1], ts.ReadFile("stderr"), want); problem != "" {
		ts.Fatalf("%s: exit code %d: %s", args[1], want, problem)
	}
}

// explained says what a step's message lacks: one line with the cause and, where
// the input is refused, a hint on what to do.
func explained(step, stderr string, code int) string {
	if code == 0 || step == "plan-kmods" || strings.HasPrefix(stderr, "{") || strings.Contains(stderr, "would not load") {
		return ""
	}
	causes, hints := 0, 0
	for line := range strings.Lines(stderr) {
		if strings.HasPrefix(line, step+": ") {
			causes++
		}
		if strings.HasPrefix(line, "hint: ") {
			hints++
		}
	}
	switch {
	case causes != 1:
		return fmt.Sprintf("%d lines with a cause", causes)
	case hints == 0 && slices.Contains([]int{2, 3, 4, 9}, code):
		return "no hint"
	}
	return ""
}

// noleak: no file of the script's folder but keys/ holds anything of the key,
// nor a blob of the registries.
func noleak(ts *testscript.TestScript, _ bool, _ []string) {
	files := 0
	ts.Check(filepath.WalkDir(ts.MkAbs("."), func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.Name() == "keys" && e.IsDir() {
			return fs.SkipDir
		}
		if !e.Type().IsRegular() {
			return nil
		}
		data, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		files++
		if leak := findKey(data); leak != "" {
			ts.Fatalf("%s holds %s", p, leak)
		}
		return nil
	}))
	if files == 0 {
		ts.Fatalf("noleak: nothing searched")
	}
}

// damage FILE: flips a byte in the middle.
func damage(ts *testscript.TestScript, _ bool, args []string) {
	file := ts.MkAbs(args[0])
	data, err := os.ReadFile(file)
	ts.Check(err)
	data[len(data)/3] ^= 1
	ts.Check(os.WriteFile(file, data, 0o644))
}

// tags REPOSITORY TAG...: the registry has exactly these tags.
func tags(ts *testscript.TestScript, _ bool, args []string) {
	repo, err := name.NewRepository(args[0], name.Insecure)
	ts.Check(err)
	have, err := remote.List(repo)
	if err != nil {
		have = nil
	}
	slices.Sort(have)
	if strings.Join(have, " ") != strings.Join(args[1:], " ") {
		ts.Fatalf("tags of %s: %v, want %v", args[0], have, args[1:])
	}
}

// same REF REF: both name one digest.
func same(ts *testscript.TestScript, neg bool, args []string) {
	digest := func(s string) string {
		ref, err := name.ParseReference(s, name.Insecure)
		ts.Check(err)
		d, err := remote.Head(ref)
		ts.Check(err)
		return d.Digest.String()
	}
	if (digest(args[0]) == digest(args[1])) == neg {
		ts.Fatalf("%s and %s: same is %v", args[0], args[1], neg)
	}
}

// keyenv NAME FILE: sets a variable to what a file holds.
func keyenv(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv(args[0], ts.ReadFile(args[1]))
}

// emptydir DIR: nothing is in it.
func emptydir(ts *testscript.TestScript, _ bool, args []string) {
	entries, err := os.ReadDir(ts.MkAbs(args[0]))
	ts.Check(err)
	if len(entries) > 0 {
		ts.Fatalf("%s holds %s", args[0], entries[0].Name())
	}
}
