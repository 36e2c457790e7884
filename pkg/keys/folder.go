package keys

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/kmodseal/kmodseal/pkg/fault"
)

// folderPair is the names of key and certificate in a mounted Secret.
type folderPair struct{ key, cert string }

func folderPairs() []folderPair {
	return []folderPair{
		{"key", "cert"},                         // Kernel Module Management
		{"tls.key", "tls.crt"},                  // kubernetes.io/tls, cert-manager
		{"signing_key.pem", "signing_key.x509"}, // the kernel's certs/, Piraeus
	}
}

// fromFolder takes the one pair that is there. The certificate may be missing
// where it is named apart or comes in the key's file.
func fromFolder(dir, cert string) (*source, error) {
	var found []folderPair
	for _, p := range folderPairs() {
		switch _, err := os.Stat(filepath.Join(dir, p.key)); {
		case err == nil:
			found = append(found, p)
		case !errors.Is(err, fs.ErrNotExist):
			return nil, unreadable("key", err)
		}
	}
	switch len(found) {
	case 0:
		return nil, noPair(dir)
	case 1:
		return readPair(dir, found[0], cert)
	}
	return nil, fault.New(fault.Key, "key %s: ambiguous: it has %s and %s", dir, found[0].key, found[1].key).
		Hint("name the key's file itself, and the certificate with --cert")
}

func readPair(dir string, p folderPair, cert string) (*source, error) {
	path := filepath.Join(dir, p.key)
	key, err := readFile(path, "key")
	if err != nil {
		return nil, err
	}
	src := &source{key: key}
	if !isSecretMount(dir) {
		src.warnings = permissionWarnings(path)
	}
	beside := filepath.Join(dir, p.cert)
	if _, err := os.Stat(beside); cert != "" || errors.Is(err, fs.ErrNotExist) {
		return src, nil
	}
	m, err := readFile(beside, "certificate")
	src.cert = &m
	return src, err
}

// certificateIn is path itself, or the certificate in the folder that a Secret
// of its own is mounted to, as KMM's certSecret: one of the known names.
func certificateIn(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", unreadable("certificate", err)
	}
	if !info.IsDir() {
		return path, nil
	}
	var found []string
	for _, p := range folderPairs() {
		file := filepath.Join(path, p.cert)
		if _, err := os.Stat(file); err == nil {
			found = append(found, file)
		}
	}
	if len(found) == 1 {
		return found[0], nil
	}
	return "", fault.New(fault.Key, "certificate %s: the folder holds %d certificates, not one", path, len(found)).
		Hint("its file is named cert, tls.crt or signing_key.x509; the folder has: %q", visible(path))
}

func noPair(dir string) error {
	var want []string
	for _, p := range folderPairs() {
		want = append(want, p.key+" + "+p.cert)
	}
	err := fault.New(fault.Key, "key %s: the folder holds no key", dir).
		Hint("it needs one of: %s", strings.Join(want, ", "))
	if names := visible(dir); len(names) > 0 {
		err = err.Hint("it has: %q", names)
	}
	return err
}

// visible lists at most ten names of a folder, for a message.
func visible(dir string) []string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && len(names) < 10 {
			names = append(names, e.Name())
		}
	}
	return names
}
