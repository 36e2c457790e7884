// Package keys loads signing keys and certificates, and refuses those that no
// kernel would accept a signature of.
package keys

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/kmodseal/kmodseal/pkg/fault"
)

// Request says where key and certificate are.
type Request struct {
	Key        string                           // KEY: a file, a folder mounted from a Secret, env:NAME
	Cert       string                           // a file, a folder mounted from a Secret, env:NAME; empty where Key brings it
	Passphrase func() ([]byte, error)           // called once at most, only for an encrypted key; nil: none given
	Getenv     func(name string) (string, bool) // nil: os.LookupEnv
	Found      func(text []byte) error          // told of a key's text in a variable, and of the PEM that this is base64 of; may be nil
	Now        time.Time                        // for the warnings on dates; zero: the clock
}

// Pair is a key with its certificate. However it is printed, the key is not.
type Pair struct {
	Signer   crypto.Signer
	Cert     *x509.Certificate
	Chain    []*x509.Certificate // further certificates found beside it
	From     string              // what was found, for a message: never key bytes
	Warnings []string
}

// Load reads, pairs and checks; every refusal is a fault of class Key that
// names the file and the cause.
func Load(r Request) (*Pair, error) {
	if r.Getenv == nil {
		r.Getenv = os.LookupEnv
	}
	if r.Found == nil {
		r.Found = func([]byte) error { return nil }
	}
	src, err := locate(r)
	if err != nil {
		return nil, err
	}
	found, err := unlock(src, r.Passphrase)
	if err != nil {
		return nil, err
	}
	if err := checkKey(src.key.name, found.key); err != nil {
		return nil, err
	}
	if err := refusePublished(found.certsName, found.certs, kmmTestKey); err != nil {
		return nil, err
	}
	cert, chain, err := match(found)
	if err != nil {
		return nil, err
	}
	if r.Now.IsZero() {
		r.Now = time.Now()
	}
	return &Pair{
		Signer:   secret{found.key},
		Cert:     cert,
		Chain:    chain,
		From:     fmt.Sprintf("key: %s in %s; certificate: %s", found.kind, src.key.name, found.certsName),
		Warnings: append(src.warnings, certificateWarnings(found.certsName, cert, r.Now)...),
	}, nil
}

// unlocked is a key out of its wrapping, with the certificates to choose from.
type unlocked struct {
	key       crypto.Signer
	kind      string // PEM PKCS#8, ...
	keyName   string
	certs     []*x509.Certificate
	certsName string
}

// match picks the certificate of the key; the rest is the chain.
func match(u *unlocked) (*x509.Certificate, []*x509.Certificate, error) {
	i := slices.IndexFunc(u.certs, func(c *x509.Certificate) bool { return belongs(u.key, c) })
	if i >= 0 {
		return u.certs[i], slices.Delete(slices.Clone(u.certs), i, i+1), nil
	}
	return nil, nil, fault.New(fault.Key, "key %s: does not belong to the certificate in %s (%s)",
		u.keyName, u.certsName, subjects(u.certs)).
		Hint("give the certificate that was made together with this key")
}

// belongs compares public keys. One that Go cannot read belongs to none.
func belongs(key crypto.Signer, cert *x509.Certificate) bool {
	pub, err := x509.MarshalPKIXPublicKey(key.Public())
	return err == nil && bytes.Equal(pub, normalKey(cert))
}

func normalKey(cert *x509.Certificate) []byte {
	pub, err := x509.MarshalPKIXPublicKey(cert.PublicKey)
	if err != nil {
		return nil
	}
	return pub
}

func subjects(certs []*x509.Certificate) string {
	var out []string
	for _, c := range certs {
		out = append(out, fmt.Sprintf("%q", c.Subject.String()))
	}
	return fmt.Sprint(out)
}
