package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/kmodseal/kmodseal/pkg/kmodtest"
)

// signing compares sign-kmods on a folder with sign-file in a loop.
func (b *bench) signing() error {
	signFile, err := newest("/usr/lib/linux-kbuild-*/scripts/sign-file")
	if err != nil {
		return err
	}
	for _, bits := range []string{"2048", "4096"} {
		if err := b.keyPair(bits); err != nil {
			return err
		}
		for _, n := range []int{200, 2000} {
			if err := b.signMany(signFile, bits, n); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *bench) signMany(signFile, bits string, n int) error {
	tree := filepath.Join(b.dir, "modules")
	fresh := func() error { return writeModules(tree, n) }
	kmods := []string{
		filepath.Join(b.bin, "sign-kmods"), "--quiet", "--key", "key" + bits + ".pem", "--cert", "cert" + bits + ".pem",
	}
	each := fmt.Sprintf("%s sha256 key%s.pem cert%s.pem", signFile, bits, bits)
	return b.compare(fmt.Sprintf("sign %d modules, RSA-%s", n, bits), []contender{
		{"sign-kmods", fresh, append(kmods, "modules")},
		{"sign-kmods --jobs 1", fresh, append(kmods, "--jobs", "1", "modules")},
		{"sign-file in a loop", fresh, []string{"bash", "-c", "for m in modules/*.ko; do " + each + ` "$m" || exit 1; done`}},
		{"xargs -P2 sign-file", fresh, []string{"bash", "-c", "ls modules/*.ko | xargs -P2 -n1 " + each}},
	})
}

// writeModules fills dir with n modules of about 80 kB, the mean size of a
// distribution's. What an earlier run left is moved away, not removed: ext4
// searches long for an inode where many were freed a moment ago.
func writeModules(dir string, n int) error {
	if _, err := os.Stat(dir); err == nil {
		used, err := os.MkdirTemp(filepath.Dir(dir), "used-")
		if err != nil {
			return err
		}
		if err := os.Rename(dir, filepath.Join(used, filepath.Base(dir))); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for i := range n {
		name := fmt.Sprintf("bench%04d", i)
		m := kmodtest.Build(kmodtest.Spec{Name: name, Release: "6.1.0-bench", Machine: "amd64", Pad: 80_000})
		if err := os.WriteFile(filepath.Join(dir, name+".ko"), m, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) keyPair(bits string) error {
	cmd := exec.Command("openssl", "req", "-new", "-x509", "-newkey", "rsa:"+bits, "-nodes", "-days", "30",
		"-subj", "/CN=kmodseal bench test key", "-keyout", "key"+bits+".pem", "-out", "cert"+bits+".pem")
	cmd.Dir = b.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("make key: %w\n%s", err, out)
	}
	return nil
}
