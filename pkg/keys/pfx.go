package keys

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"

	"software.sslmate.com/src/go-pkcs12"

	"github.com/kmodseal/kmodseal/pkg/fault"
)

// isPFX tells PKCS#12 (RFC 7292 section 4): SEQUENCE { 3, SEQUENCE { data, [0] ... }, ... }.
func isPFX(der []byte) bool {
	var p struct {
		Version  int
		AuthSafe struct {
			Type    asn1.ObjectIdentifier
			Content asn1.RawValue `asn1:"explicit,tag:0"`
		}
		Mac asn1.RawValue `asn1:"optional"`
	}
	_, err := asn1.Unmarshal(der, &p)
	return err == nil && p.Version == 3
}

// unlockPFX opens a PKCS#12 file; certificates given apart go before those in it.
func unlockPFX(src *source, pfx []byte, certs []*x509.Certificate, certsName string, ask func() ([]byte, error)) (*unlocked, error) {
	name := src.key.name
	if err := checkIterations(pfx, 0); err != nil {
		return nil, fault.New(fault.Key, "key %s: PKCS#12 with %w", name, err).
			Hint("export it again: openssl pkcs12 -export -inkey KEY -in CERT -out NEW")
	}
	key, inside, err := openPFX(name, pfx, ask)
	if err != nil {
		return nil, err
	}
	signer, err := asSigner(name, key)
	if err != nil {
		return nil, err
	}
	if certs == nil {
		certs = inside
	}
	return &unlocked{signer, "PKCS#12", name, certs, certsName}, nil
}

// openPFX tries the empty password first, which needs nobody to be asked.
func openPFX(name string, pfx []byte, ask func() ([]byte, error)) (any, []*x509.Certificate, error) {
	key, certs, err := decodePFX(pfx, "")
	if err == nil {
		return key, certs, nil
	}
	pass, err := passphrase(name, ask)
	if err != nil {
		return nil, nil, err
	}
	key, certs, err = decodePFX(pfx, string(pass))
	switch {
	case err == nil:
		return key, certs, nil
	case errors.Is(err, pkcs12.ErrIncorrectPassword), errors.Is(err, pkcs12.ErrDecryption):
		return nil, nil, wrongPassphrase(name)
	}
	return nil, nil, fault.New(fault.Key, "key %s: %w", name, err).
		Hint("convert it to PEM: openssl pkcs12 -in FILE -out NEW.pem")
}

func decodePFX(pfx []byte, pass string) (key any, certs []*x509.Certificate, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("read PKCS#12: %v", r)
		}
	}()
	key, cert, more, err := pkcs12.DecodeChain(pfx, pass)
	if err != nil {
		return nil, nil, err
	}
	return key, append([]*x509.Certificate{cert}, more...), nil
}

// maxDepth bounds how far checkIterations follows elements in elements.
const maxDepth = 24

// checkIterations finds the counts of every key derivation and MAC that is in
// the clear. In all of them (PBKDF2 and PBE parameters, MacData) the count
// follows the salt: an INTEGER after an OCTET STRING.
func checkIterations(der []byte, depth int) error {
	afterSalt := false
	for len(der) > 0 && depth < maxDepth {
		var e asn1.RawValue
		var ok bool
		if der, ok = nextElement(der, &e); !ok {
			return nil // not for us to judge: the decoder will
		}
		if afterSalt && e.Tag == asn1.TagInteger && e.Class == asn1.ClassUniversal && tooMany(e.FullBytes) {
			return fmt.Errorf("more than %d iterations", maxIterations)
		}
		octets := e.Class == asn1.ClassUniversal && e.Tag == asn1.TagOctetString
		afterSalt = octets
		if e.IsCompound || octets {
			if err := checkIterations(e.Bytes, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

func nextElement(der []byte, e *asn1.RawValue) (rest []byte, ok bool) {
	rest, err := asn1.Unmarshal(der, e)
	return rest, err == nil
}

func tooMany(integer []byte) bool {
	var n int
	_, err := asn1.Unmarshal(integer, &n)
	return err != nil || n > maxIterations
}
