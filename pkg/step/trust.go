package step

import (
	"crypto/x509"
	"os"
	"path/filepath"

	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/keys"
)

// Trust reads the certificates that --trust names: files, and every file
// directly in a folder (hidden ones, as Kubernetes makes them in a mounted
// Secret, apart). No certificate at all is a fault of class Key.
func Trust(paths []string) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	for _, p := range paths {
		files, err := TrustFiles(p)
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			found, err := keys.Certificates(f)
			if err != nil {
				return nil, err
			}
			certs = append(certs, found...)
		}
	}
	if len(certs) == 0 {
		return nil, fault.New(fault.Key, "--trust: no certificate in the given files").
			Hint("give the certificate of the signing key, PEM or DER")
	}
	return certs, nil
}

// TrustFiles are path itself, or the files of the folder that it names.
func TrustFiles(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fault.New(fault.Key, "--trust: %w", err).Hint("give the certificate of the signing key, PEM or DER, or a folder with it")
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, fault.New(fault.Key, "--trust: %w", err).Hint("give the certificate of the signing key, PEM or DER, or a folder with it")
	}
	var files []string
	for _, e := range entries {
		name := filepath.Join(path, e.Name())
		if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() && e.Name()[0] != '.' {
			files = append(files, name)
		}
	}
	return files, nil
}
