package verdict

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"

	"github.com/kmodseal/kmodseal/pkg/efisig"
	"github.com/kmodseal/kmodseal/pkg/fault"
)

// Trust is what a machine trusts and what it does not trust any more.
type Trust struct {
	Anchors []Anchor
	Revoked []Revocation
}

// maxTrust bounds one file of certificates, in bytes.
const maxTrust = 4 << 20

// ParseTrust reads trusted certificates: PEM or DER, one or several, or EFI
// signature lists as MokListRT and db have them, also as a file of efivarfs.
// They are taken as enrolled in where. Hashes in a list are passed over, since
// they are about boot files; certificates in it are what a machine has, readable
// or not. Errors are of fault class Key.
func ParseTrust(name string, data []byte, where Place) (Trust, error) {
	var t Trust
	if entries, err := efisig.Parse(data); err == nil {
		for _, e := range entries {
			if e.Kind == efisig.X509 {
				t.Anchors = append(t.Anchors, Anchor{e.Data, where, name})
			}
		}
		return t, nil
	}
	ders, err := certificates(data)
	if err != nil {
		return t, fault.New(fault.Key, "read certificates from %s: %w", name, err).
			Hint("give PEM or DER certificates, an EFI signature list (MokListRT, db), or the folder that `mokutil --export` wrote")
	}
	for i, der := range ders {
		if _, err := x509.ParseCertificate(der); err != nil { // whoever named the file meant another one
			return t, fault.New(fault.Key, "read certificates from %s: number %d: %w", name, i+1, err)
		}
		t.Anchors = append(t.Anchors, Anchor{der, where, name})
	}
	return t, nil
}

// ParseRevoked reads revocations: certificates as ParseTrust does, and the
// hashes of EFI signature lists (MokListXRT, dbx). Errors are of fault class Key.
func ParseRevoked(name string, data []byte, where Place) (Trust, error) {
	var t Trust
	entries, err := efisig.Parse(data)
	if err != nil {
		certs, err := ParseTrust(name, data, where)
		for _, a := range certs.Anchors {
			t.Revoked = append(t.Revoked, Revocation{DER: a.DER, Where: where, From: name})
		}
		return t, err
	}
	for _, e := range entries {
		r := Revocation{Where: where, From: name}
		switch e.Kind {
		case efisig.X509:
			r.DER = e.Data
		case efisig.SHA256:
			r.SHA256 = e.Data
		case efisig.X509SHA256:
			// The kernel compares all of it, the time of revocation behind the hash included.
			r.CertSHA256 = e.Data
		default:
			continue
		}
		t.Revoked = append(t.Revoked, r)
	}
	return t, nil
}

func readFile(dir fs.FS, name string, limit int64) ([]byte, error) {
	f, err := dir.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // read only
	return limited(f, limit)
}

// certificates splits PEM, or DER certificates in a row.
func certificates(data []byte) ([][]byte, error) {
	if bytes.Contains(data, []byte("-----BEGIN")) {
		return pemCertificates(data)
	}
	var out [][]byte
	for len(data) > 0 {
		n := derLength(data)
		if n == 0 || n > len(data) {
			return nil, errors.New("neither PEM, nor DER, nor an EFI signature list")
		}
		out, data = append(out, data[:n]), data[n:]
	}
	if len(out) == 0 {
		return nil, errors.New("the file is empty")
	}
	return out, nil
}

func pemCertificates(data []byte) ([][]byte, error) {
	var out [][]byte
	for {
		var b *pem.Block
		if b, data = pem.Decode(data); b == nil {
			break
		}
		switch b.Type {
		case "CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE":
			n := derLength(b.Bytes) // OpenSSL's trusted certificates have more behind
			if n == 0 || n > len(b.Bytes) {
				return nil, errors.New("a PEM block holds no certificate")
			}
			out = append(out, b.Bytes[:n])
		}
	}
	if len(out) == 0 {
		return nil, errors.New("no PEM certificate in it")
	}
	return out, nil
}

// derLength is the size of a SEQUENCE with its header, 0 for anything else.
func derLength(b []byte) int {
	if len(b) < 4 || b[0] != tagSequence {
		return 0
	}
	switch n := int(b[1]); {
	case n < indefinite:
		return 2 + n
	case n == indefinite+1:
		return 3 + int(b[2])
	case n == indefinite+2:
		return 4 + int(b[2])<<8 + int(b[3])
	}
	return 0
}
