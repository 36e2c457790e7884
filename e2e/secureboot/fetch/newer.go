package fetch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// newer unpacks a kernel of the next Debian's backports with the C library its
// build tools need. The system's own apt configuration is left alone.
func (c Cache) newer(ctx context.Context, series string) (*Kernel, error) {
	debs, root, err := c.folders("debs-newer", "root-newer")
	if err != nil {
		return nil, err
	}
	a, err := c.newerState(ctx)
	if err != nil {
		return nil, err
	}
	binary, err := c.newest(ctx, a, series)
	if err != nil {
		return nil, err
	}
	release := strings.TrimPrefix(binary, "linux-binary-")
	abi := strings.TrimSuffix(release, "-amd64")
	v, err := a.download(ctx, debs, root, "linux-binary-"+release, "linux-base-"+release, "linux-modules-"+release,
		"linux-headers-"+release, "linux-headers-"+abi+"-common", "linux-kbuild-"+abi,
		"libc6", "libelf1t64", "libssl3t64", "zlib1g", "libzstd1")
	if err != nil {
		return nil, err
	}
	k := kernelAt(root, series, release, v)
	k.Modules = filepath.Join(root, "usr/lib/modules", release)
	k.Vmlinuz = filepath.Join(k.Modules, "vmlinuz")
	k.Config = filepath.Join(k.Modules, "config")
	if err := errors.Join(find(&k.Vmlinuz, root, "vmlinuz", release), find(&k.Config, root, "config", release)); err != nil {
		return nil, err
	}
	return k, c.adapt(root, k, abi)
}

// newest is the image package in the cache, else the last one that the suites have.
func (c Cache) newest(ctx context.Context, a apt, series string) (string, error) {
	found, _ := filepath.Glob(filepath.Join(c.Dir, "debs-newer", "linux-binary-"+series+".*-amd64_*.deb"))
	if len(found) > 0 {
		name, _, _ := strings.Cut(filepath.Base(found[len(found)-1]), "_")
		return name, nil
	}
	out, err := a.run(ctx, ".", "apt-cache", "pkgnames", "linux-binary-"+series+".")
	if err != nil {
		return "", err
	}
	plain := regexp.MustCompile(`^linux-binary-[0-9.]+(\+deb\d+)?-amd64$`)
	best := ""
	for line := range strings.Lines(out) {
		name := strings.TrimSpace(line)
		if plain.MatchString(name) && (len(name) > len(best) || len(name) == len(best) && name > best) {
			best = name
		}
	}
	if best == "" {
		return "", fmt.Errorf("no linux-binary-%s.* in trixie-backports", series)
	}
	return best, nil
}

// find corrects a path that package layouts disagree about.
func find(file *string, root, word, release string) error {
	for _, try := range []string{*file, filepath.Join(root, "boot", word+"-"+release), filepath.Join(root, "usr/lib/modules", release, word)} {
		if _, err := os.Stat(try); err == nil {
			*file = try
			return nil
		}
	}
	return fmt.Errorf("no %s for %s below %s", word, release, root)
}

// newerState is the apt state for the next Debian.
func (c Cache) newerState(ctx context.Context) (apt, error) {
	return c.state(ctx, "apt-newer", AMD64, mirror()+" trixie", mirror()+" trixie-backports")
}

// state makes a private apt state for suites or an architecture that the system does not have.
func (c Cache) state(ctx context.Context, name, arch string, suites ...string) (apt, error) {
	dir := filepath.Join(c.Dir, name)
	for _, d := range []string{"lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return apt{}, err
		}
	}
	list := ""
	for _, s := range suites {
		list += "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] " + s + " main\n"
	}
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "list"), []byte(list), 0o644), os.WriteFile(filepath.Join(dir, "status"), nil, 0o644)); err != nil {
		return apt{}, err
	}
	a := apt{opts: []string{
		"-o", "APT::Architecture=" + arch, "-o", "APT::Architectures=" + arch,
		"-o", "Dir::Etc::sourcelist=" + dir + "/list", "-o", "Dir::Etc::sourceparts=/dev/null",
		"-o", "Dir::State::lists=" + dir + "/lists", "-o", "Dir::State::status=" + dir + "/status",
		"-o", "Dir::Cache=" + dir + "/cache", "-o", "Acquire::Languages=none",
	}}
	if found, _ := filepath.Glob(filepath.Join(dir, "lists", "*Packages*")); len(found) > 0 {
		return a, nil
	}
	_, err := a.run(ctx, ".", "apt-get", "update")
	return a, err
}

// mirror is the Debian mirror of this machine.
func mirror() string {
	uri := regexp.MustCompile(`(?m)^(?:URIs:|deb)\s.*?(https?://\S*/debian)/?(?:\s|$)`)
	files, _ := filepath.Glob("/etc/apt/sources.list.d/*")
	for _, f := range append(files, "/etc/apt/sources.list") {
		text, err := os.ReadFile(f)
		if m := uri.FindSubmatch(text); err == nil && m != nil {
			return string(m[1])
		}
	}
	return "http://deb.debian.org/debian"
}

// adapt makes the newer kernel's build tools run on this Debian: through the
// newer C library, with this machine's compiler.
func (c Cache) adapt(root string, k *Kernel, abi string) error {
	lib := filepath.Join(root, "usr/lib/x86_64-linux-gnu")
	k.Runner = []string{filepath.Join(lib, "ld-linux-x86-64.so.2"), "--library-path", lib}
	mark := filepath.Join(root, ".adapted-"+k.Release)
	if _, err := os.Stat(mark); err == nil {
		return nil
	}
	kbuild := filepath.Join(root, "usr/lib/linux-kbuild-"+abi)
	// objtool and modpost are launchers that look for SELF.real-ARCH: go there directly.
	for launcher, real := range map[string]string{"tools/objtool/objtool": "real-x86", "scripts/mod/modpost": "real-lsb-64"} {
		f := filepath.Join(kbuild, launcher)
		b, err := os.ReadFile(f + "." + real)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := errors.Join(err, os.WriteFile(f, b, 0o755)); err != nil {
			return err
		}
	}
	if err := wrapTools(kbuild, k.Runner); err != nil {
		return err
	}
	if err := errors.Join(relocate(k.Headers, root), compiler(root, k.Headers)); err != nil {
		return err
	}
	if err := os.Symlink("usr/lib", filepath.Join(root, "lib")); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	_ = os.Remove(filepath.Join(k.Headers, "vmlinux")) // no BTF: this Debian's pahole is too old
	return os.WriteFile(mark, nil, 0o644)
}

// wrapTools replaces every ELF program below dir by a script that starts it with the newer C library.
func wrapTools(dir string, runner []string) error {
	return filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || strings.HasSuffix(file, ".elf") {
			return err
		}
		b, err := os.ReadFile(file)
		if err != nil || !strings.HasPrefix(string(b), "\x7fELF") {
			return err
		}
		if err := os.Rename(file, file+".elf"); err != nil {
			return err
		}
		script := "#!/bin/sh\nexec " + strings.Join(runner, " ") + " " + file + ".elf \"$@\"\n"
		return os.WriteFile(file, []byte(script), 0o755)
	})
}

// compiler lets kbuild use this Debian's gcc, which lacks one option that the newer one has.
func compiler(root, headers string) error {
	cc := filepath.Join(root, "cc")
	script := "#!/bin/bash\na=()\nfor x in \"$@\"; do case $x in -fmin-function-alignment=*) a+=(-falign-functions=\"${x#*=}\");; *) a+=(\"$x\");; esac; done\nexec gcc \"${a[@]}\"\n"
	if err := os.WriteFile(cc, []byte(script), 0o755); err != nil {
		return err
	}
	file := filepath.Join(headers, ".kernelvariables")
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	text = regexp.MustCompile(`gcc-\d+`).ReplaceAll(text, []byte("gcc"))
	text = regexp.MustCompile(`(?m)^override CROSS_COMPILE = .*$`).ReplaceAll(text, []byte("override CROSS_COMPILE ="))
	text = regexp.MustCompile(`(?m)^CC = .*$`).ReplaceAll(text, []byte("CC = "+cc))
	return os.WriteFile(file, text, 0o644)
}
