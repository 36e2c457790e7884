package keys

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"

	"github.com/kmodseal/kmodseal/pkg/efisig"
	"github.com/kmodseal/kmodseal/pkg/fault"
)

// Certificates reads every certificate in a file: PEM, DER one after the
// other, or an EFI signature list as mokutil and efivars give it. None is a
// fault of class Key.
func Certificates(file string) ([]*x509.Certificate, error) {
	m, err := readFile(file, "certificate")
	if err != nil {
		return nil, err
	}
	return certificates(m)
}

func certificates(m material) ([]*x509.Certificate, error) {
	if list, err := efisig.Parse(m.data); err == nil {
		return efiCertificates(m.name, list)
	}
	b, err := scan(m, "certificate")
	if err != nil {
		return nil, err
	}
	if len(b.certs) == 0 {
		return nil, fault.New(fault.Key, "certificate %s: holds no certificate", m.name).
			Hint("give the certificate of the signing key, PEM or DER")
	}
	return b.certs, nil
}

// Fingerprint is the lower-case hex SHA-256 of the certificate's DER.
func Fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}
