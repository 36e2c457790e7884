package kernels

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/kmodseal/kmodseal/e2e/secureboot/fetch"
	"github.com/kmodseal/kmodseal/e2e/secureboot/pki"
	"github.com/kmodseal/kmodseal/e2e/secureboot/probe"
)

// Kernel is one that was built, with modules for it.
type Kernel struct {
	fetch.Kernel
	Builtin [][]byte          // certificates in the kernel
	Probes  probe.Set         // the test's own modules, unsigned
	Own     map[string][]byte // modules of the kernel's source, signed by its build key
}

// Builder builds kernels in one build folder, one after the other.
type Builder struct {
	Dir    string        // everything is below it
	Source *fetch.Source // unpacked
	Signer *pki.Cert     // of the kernels; the firmware must know it
}

// compiler is the one that Debian 12 builds its kernels with.
const compiler = "gcc-12"

// ownModules are taken from the build, by the place of their source.
func ownModules() map[string]string {
	return map[string]string{"efivarfs": "fs/efivarfs", "crc7": "lib"}
}

// Build gives the kernel of c: the finished one of an earlier run, else a new one.
func (b Builder) Build(ctx context.Context, c Config) (*Kernel, error) {
	out := filepath.Join(b.Dir, "out", c.Name)
	stamp := c.wishes() + b.Source.Version + "\n" + probe.Digest() + "\n"
	if done, err := os.ReadFile(filepath.Join(out, "stamp")); err != nil || string(done) != stamp {
		if err := b.build(ctx, c, out); err != nil {
			return nil, fmt.Errorf("build kernel %s: %w", c.Name, err)
		}
		if err := os.WriteFile(filepath.Join(out, "stamp"), []byte(stamp), 0o644); err != nil {
			return nil, err
		}
	}
	return b.load(ctx, c, out)
}

func (b Builder) build(ctx context.Context, c Config, out string) error {
	if err := errors.Join(os.RemoveAll(out), os.MkdirAll(out, 0o755), os.MkdirAll(b.tree(), 0o755)); err != nil {
		return err
	}
	if err := arrange(b.Source.Dir, c.Upstream); err != nil {
		return err
	}
	if err := b.configure(ctx, c); err != nil {
		return err
	}
	if err := b.make(ctx, "-j2", "bzImage", "modules"); err != nil {
		return err
	}
	if err := b.sign(ctx, filepath.Join(out, "vmlinuz")); err != nil {
		return err
	}
	for _, name := range []string{".config", "Module.symvers", "include/config/kernel.release", "certs/signing_key.x509"} {
		if err := b.keep(name, filepath.Join(out, filepath.Base(name))); err != nil {
			return err
		}
	}
	for name, dir := range ownModules() {
		if err := b.keep(filepath.Join(dir, name+".ko"), filepath.Join(out, name+".ko")); err != nil {
			return err
		}
		// A build signs modules when it installs them; nothing is installed here.
		key := b.tree() + "/certs/signing_key"
		if err := run(ctx, b.tree()+"/scripts/sign-file", "sha256", key+".pem", key+".x509", filepath.Join(out, name+".ko")); err != nil {
			return err
		}
	}
	// The probes have to be made now, while the tree has this configuration.
	k, err := b.at(c, out)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Join(b.Dir, "probe", k.Release)); err != nil {
		return err
	}
	_, err = probe.Build(ctx, &k.Kernel, filepath.Join(b.Dir, "probe"))
	return err
}

// tree is the build folder.
func (b Builder) tree() string { return filepath.Join(b.Dir, "build") }

func (b Builder) make(ctx context.Context, args ...string) error {
	return run(ctx, "nice", append([]string{"make", "-s", "-C", b.Source.Dir, "O=" + b.tree(), "CC=" + compiler}, args...)...)
}

// configure writes the configuration, and refuses one that is not what was asked for.
func (b Builder) configure(ctx context.Context, c Config) error {
	if err := b.make(ctx, "tinyconfig"); err != nil {
		return err
	}
	file := filepath.Join(b.tree(), ".config")
	tiny, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, append(tiny, c.wishes()...), 0o644); err != nil {
		return err
	}
	if err := b.make(ctx, "olddefconfig"); err != nil {
		return err
	}
	config, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if refused := c.refused(string(config)); len(refused) > 0 {
		return fmt.Errorf("kernel configuration without %s", strings.Join(refused, ", "))
	}
	return nil
}

// sign signs the kernel image for shim and GRUB.
func (b Builder) sign(ctx context.Context, to string) error {
	key, err := x509.MarshalPKCS8PrivateKey(b.Signer.Key)
	if err != nil {
		return err
	}
	keyFile, certFile := filepath.Join(b.Dir, "test-signer.key"), filepath.Join(b.Dir, "test-signer.pem")
	for file, block := range map[string]*pem.Block{keyFile: {Type: "PRIVATE KEY", Bytes: key}, certFile: {Type: "CERTIFICATE", Bytes: b.Signer.DER}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			return err
		}
	}
	return run(ctx, "sbsign", "--key", keyFile, "--cert", certFile, "--output", to, b.tree()+"/arch/x86/boot/bzImage")
}

func (b Builder) keep(name, to string) error {
	text, err := os.ReadFile(filepath.Join(b.tree(), name))
	if err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o644)
}

// at is the kernel in out, without its modules.
func (b Builder) at(c Config, out string) (*Kernel, error) {
	release, err := os.ReadFile(filepath.Join(out, "kernel.release"))
	if err != nil {
		return nil, err
	}
	return &Kernel{Kernel: fetch.Kernel{
		Series: "own-" + c.Name, Release: strings.TrimSpace(string(release)), Arch: fetch.AMD64, Strip: "strip",
		Vmlinuz: filepath.Join(out, "vmlinuz"), Config: filepath.Join(out, ".config"), Symvers: filepath.Join(out, "Module.symvers"),
		Headers: b.tree(), Make: []string{"CC=" + compiler}, Packages: map[string]string{b.Source.Package: b.Source.Version},
	}}, nil
}

func (b Builder) load(ctx context.Context, c Config, out string) (*Kernel, error) {
	k, err := b.at(c, out)
	if err != nil {
		return nil, err
	}
	if k.Probes, err = probe.Build(ctx, &k.Kernel, filepath.Join(b.Dir, "probe")); err != nil {
		return nil, err
	}
	cert, err := os.ReadFile(filepath.Join(out, "signing_key.x509"))
	if err != nil {
		return nil, err
	}
	k.Builtin, k.Own = [][]byte{cert}, map[string][]byte{}
	for name := range ownModules() {
		if k.Own[name], err = os.ReadFile(filepath.Join(out, name+".ko")); err != nil {
			return nil, err
		}
	}
	return k, nil
}

func run(ctx context.Context, program string, args ...string) error {
	out, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
	if err != nil {
		out = bytes.TrimSpace(out)
		return fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, out[max(0, len(out)-2000):])
	}
	return nil
}
