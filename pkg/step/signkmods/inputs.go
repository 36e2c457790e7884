package signkmods

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/step"
)

// pinVariable is what kbuild and sign-file read the passphrase from
// (Documentation/kbuild/kbuild.rst).
const pinVariable = "KBUILD_SIGN_PIN"

const givePassphrase = "--passphrase-file names a file that holds the passphrase and nothing else"

// passphraseLimit keeps a wrong file name from being read whole.
const passphraseLimit = 64 << 10

// passphrase reads --passphrase-file, else KBUILD_SIGN_PIN, and hides what it
// found from GitHub's log. One line end is taken off; nil: none given.
func (c *command) passphrase(s *step.Session) ([]byte, error) {
	secret, err := c.readPassphrase(s)
	if err != nil || len(secret) == 0 {
		return nil, err
	}
	return secret, s.Mask(secret)
}

func (c *command) readPassphrase(s *step.Session) ([]byte, error) {
	if c.PassphraseFile == "" {
		pin, _ := s.Getenv(pinVariable)
		return []byte(pin), nil
	}
	f, err := os.Open(c.PassphraseFile)
	if err != nil {
		// The name is not repeated: it may be the passphrase itself, from a CI
		// variable that should have been of type File.
		var at *fs.PathError
		if errors.As(err, &at) {
			err = at.Err
		}
		return nil, fault.New(fault.Key, "read passphrase: open --passphrase-file: %w", err).Hint(givePassphrase)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, passphraseLimit+1))
	if err != nil {
		return nil, fault.New(fault.Key, "read passphrase: %w", err).Hint(givePassphrase)
	}
	if len(data) > passphraseLimit {
		return nil, fault.New(fault.Key, "read passphrase %s: larger than %d bytes", c.PassphraseFile, passphraseLimit).Hint(givePassphrase)
	}
	return bytes.TrimSuffix(bytes.TrimSuffix(data, []byte("\n")), []byte("\r")), nil
}

// configuredHash is the digest that the kernel's own modules are signed with;
// without a config sha256, which every kernel knows.
func configuredHash(file string) (string, error) {
	if file == "" {
		return "sha256", nil
	}
	config, err := step.KernelConfig(file)
	if err != nil {
		return "", err
	}
	if h := config["MODULE_SIG_HASH"]; h != "" {
		return h, nil
	}
	return "", fault.New(fault.Input, "kernel config %s: CONFIG_MODULE_SIG_HASH is not set", file).
		Hint("a kernel without CONFIG_MODULE_SIG checks no signatures; give --hash sha256")
}
