package kernels

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// edits take Debian's additions out of the source, so that a kernel decides as
// kernel.org's does. A fourth one is an option: LOCK_DOWN_IN_EFI_SECURE_BOOT.
func edits() map[string]func(string) (string, error) {
	return map[string]func(string) (string, error){
		"kernel/module/signing.c":                             upstreamSigning,
		"security/integrity/platform_certs/machine_keyring.c": upstreamMachine,
	}
}

// upstreamSigning: no second try with .platform, no list of blocked file hashes.
func upstreamSigning(s string) (string, error) {
	s, err := cut(s, "\tif (ret == -ENOKEY && IS_ENABLED(CONFIG_INTEGRITY_PLATFORM_KEYRING))", "\treturn ret;\n", false)
	if err != nil {
		return "", err
	}
	if s, err = cut(s, "static int mod_is_hash_blacklisted", "\n}\n", true); err != nil {
		return "", err
	}
	s = strings.ReplaceAll(s, ", wholelen;", ";")
	return regexp.MustCompile(`(?m)^\twholelen = .*\n`).ReplaceAllString(s, ""), nil
}

// upstreamMachine: the MOK list is trusted where shim says so.
func upstreamMachine(s string) (string, error) {
	const always = "trust_moklist(void)\n{\n\treturn true;"
	if !strings.Contains(s, always) {
		return "", errors.New("trust_moklist is not as Debian has it")
	}
	return strings.Replace(s, always, "trust_moklist(void)\n{\n\treturn efi_mokvar_entry_find(\"MokListTrustedRT\") != NULL;", 1), nil
}

// cut takes out what is between two texts, the first included, the second if with.
func cut(s, from, to string, with bool) (string, error) {
	i := strings.Index(s, from)
	if i < 0 {
		return "", fmt.Errorf("no %q", strings.TrimSpace(from))
	}
	j := strings.Index(s[i:], to)
	if j < 0 {
		return "", fmt.Errorf("no %q behind %q", strings.TrimSpace(to), strings.TrimSpace(from))
	}
	if with {
		j += len(to)
	}
	return s[:i] + s[i+j:], nil
}

// arrange gives the source tree the wanted form. A file that has it already is
// not touched, so that make builds what changed only.
func arrange(src string, upstream bool) error {
	for name, edit := range edits() {
		file := filepath.Join(src, name)
		kept := file + ".debian"
		text, err := os.ReadFile(kept)
		if errors.Is(err, fs.ErrNotExist) {
			if text, err = os.ReadFile(file); err == nil {
				err = os.WriteFile(kept, text, 0o644)
			}
		}
		if err != nil {
			return err
		}
		if upstream {
			s, err := edit(string(text))
			if err != nil {
				return fmt.Errorf("take Debian's additions out of %s: %w", name, err)
			}
			text = []byte(s)
		}
		if now, err := os.ReadFile(file); err == nil && bytes.Equal(now, text) {
			continue
		}
		if err := os.WriteFile(file, text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
