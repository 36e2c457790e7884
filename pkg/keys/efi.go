package keys

import (
	"crypto/x509"

	"github.com/kmodseal/kmodseal/pkg/efisig"
	"github.com/kmodseal/kmodseal/pkg/fault"
)

func efiCertificates(name string, entries []efisig.Entry) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	for _, e := range entries {
		if e.Kind != efisig.X509 {
			continue
		}
		c, err := x509.ParseCertificate(e.Data)
		if err != nil {
			return nil, fault.New(fault.Key, "certificate %s: EFI signature list: %w", name, err).
				Hint("write the list again, or give the certificate itself, PEM or DER")
		}
		certs = append(certs, c)
	}
	if len(certs) == 0 {
		return nil, fault.New(fault.Key, "certificate %s: an EFI signature list without certificates", name).
			Hint("give the certificate itself, PEM or DER")
	}
	return certs, nil
}
