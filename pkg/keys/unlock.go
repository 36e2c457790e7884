package keys

import (
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"strings"

	"github.com/kmodseal/kmodseal/pkg/fault"
)

// unlock takes key and certificates out of what was found.
func unlock(src *source, ask func() ([]byte, error)) (*unlocked, error) {
	held, err := scan(src.key, "key")
	if err != nil {
		return nil, err
	}
	certs, certsName := held.certs, src.key.name
	if src.cert != nil {
		apart, err := scan(*src.cert, "certificate")
		if err != nil {
			return nil, err
		}
		if err := checkRoles(src, held, apart); err != nil {
			return nil, err
		}
		certs, certsName = apart.certs, src.cert.name
	}
	if held.pfx != nil {
		return unlockPFX(src, held.pfx, certs, certsName, ask)
	}
	if err := oneKey(src.key.name, held); err != nil {
		return nil, err
	}
	key, err := held.keys[0].open(src.key.name, ask)
	if err != nil {
		return nil, err
	}
	if len(certs) == 0 {
		return nil, noCertificate(src.key.name)
	}
	return &unlocked{key, held.keys[0].kind, src.key.name, certs, certsName}, nil
}

// checkRoles tells swapped files from others that do not do.
func checkRoles(src *source, key, cert *bundle) error {
	keyInCert := len(cert.keys) > 0 || cert.pfx != nil
	if len(key.keys) == 0 && key.pfx == nil && len(key.certs) > 0 && keyInCert {
		return fault.New(fault.Key, "key %s: key and certificate are swapped: %s holds the key", src.key.name, src.cert.name).
			Hint("exchange --key and --cert")
	}
	if len(cert.certs) > 0 {
		return nil
	}
	err := fault.New(fault.Key, "certificate %s: holds no certificate", src.cert.name)
	if keyInCert {
		return err.Hint("it holds a private key; give the certificate that was made with it")
	}
	return err.Hint("it holds: %q", strings.Join(cert.others, ", "))
}

func oneKey(name string, b *bundle) error {
	switch {
	case len(b.keys) == 1:
		return nil
	case len(b.keys) > 1:
		return fault.New(fault.Key, "key %s: holds %d private keys", name, len(b.keys)).
			Hint("leave only the one to sign with in the file")
	case len(b.others) > 0 && b.others[0] == "OPENSSH PRIVATE KEY":
		return fault.New(fault.Key, "key %s: is an OpenSSH key", name).
			Hint("convert a copy: ssh-keygen -p -m PKCS8 -f COPY")
	case len(b.certs) > 0:
		return fault.New(fault.Key, "key %s: holds a certificate, but no private key", name).
			Hint("give the key that was made together with this certificate")
	}
	return fault.New(fault.Key, "key %s: holds no private key, but %q", name, strings.Join(b.others, ", ")).
		Hint("give the private key that the certificate was made with")
}

func noCertificate(name string) error {
	return fault.New(fault.Key, "key %s: no certificate with it", name).
		Hint("give the certificate of this key with --cert, or add it to the key's file or Secret")
}

// open parses the key, after decryption where it is encrypted.
func (w wrapped) open(name string, ask func() ([]byte, error)) (crypto.Signer, error) {
	if w.pem != nil {
		return openTraditional(name, w.pem, ask)
	}
	if e := encryption(w.der); e != nil {
		return openEncrypted(name, w.der, e, ask)
	}
	key, err := parseKey(w.der)
	if err != nil {
		return nil, keyFault(name, w.der, err)
	}
	return asSigner(name, key)
}

// parseKey reads a private key of any of the three forms, whatever its label.
func parseKey(der []byte) (any, error) {
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err == nil {
		return key, nil
	}
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key, nil
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key, nil
	}
	return nil, err
}

func isKeyDER(der []byte) bool {
	if _, err := parseKey(der); err == nil {
		return true
	}
	return pkcs8Algorithm(der) != nil
}

// pkcs8Algorithm is the kind of an unencrypted PKCS#8 key, nil for anything else.
func pkcs8Algorithm(der []byte) asn1.ObjectIdentifier {
	var info struct {
		Version   int
		Algorithm struct {
			OID        asn1.ObjectIdentifier
			Parameters asn1.RawValue `asn1:"optional"`
		}
		Key []byte
	}
	if _, err := asn1.Unmarshal(der, &info); err != nil {
		return nil
	}
	return info.Algorithm.OID
}

// keyFault names the kinds of key that crypto/x509 only calls unknown. Its own
// errors name structures, never key bytes.
func keyFault(name string, der []byte, err error) error {
	oid := pkcs8Algorithm(der).String()
	if oid == "1.2.840.113549.1.1.10" {
		return fault.New(fault.Key, "key %s: RSA-PSS: no kernel checks such module signatures", name).
			Hint(makeRSA)
	}
	if strings.HasPrefix(oid, "2.16.840.1.101.3.4.3.") {
		return fault.New(fault.Key, "key %s: algorithm %s (ML-DSA or the like) is not supported", name, oid).Hint(makeRSA)
	}
	return fault.New(fault.Key, "key %s: %w", name, err).
		Hint("look at it with: openssl pkey -in FILE -noout -text_pub")
}

func asSigner(name string, key any) (crypto.Signer, error) {
	s, ok := key.(crypto.Signer)
	if !ok {
		return nil, fault.New(fault.Key, "key %s: a key of kind %s cannot sign", name, fmt.Sprintf("%T", key)).Hint(makeRSA)
	}
	return s, nil
}
