// Package keys loads signing keys and certificates.
package keys

import (
	"crypto"
	"crypto/x509"
)

// Request says where key and certificate are.
type Request struct {
	Key        string                 // KEY: a file, a folder mounted from a Secret, env:NAME
	Cert       string                 // file; empty where Key brings it
	Passphrase func() ([]byte, error) // called once, only for an encrypted key; nil: none given
	Getenv     func(string) (string, bool)
}

// Pair is a key with its certificate. Its String redacts the key.
type Pair struct {
	Signer   crypto.Signer
	Cert     *x509.Certificate
	Chain    []*x509.Certificate // further certificates found beside it
	From     string              // what was found, for a message: never key bytes
	Warnings []string
}

// Load reads, pairs and checks; every refusal is a fault of class Key that
// names the file and the cause.
func Load(r Request) (*Pair, error) { panic("stub") }

// Certificates reads every certificate in a PEM or DER file.
func Certificates(file string) ([]*x509.Certificate, error) { panic("stub") }

// Fingerprint is the lower-case hex SHA-256 of the certificate's DER.
func Fingerprint(c *x509.Certificate) string { panic("stub") }
