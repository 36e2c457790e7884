package modsig

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
)

// Supported is ErrUnsupported where no kernel can check such a signature
// (ENOPKG): a digest that it does not know, or a signature algorithm other
// than rsaEncryption and ECDSA, such as sha256WithRSAEncryption or RSA-PSS.
func (s *Signer) Supported() error {
	if s.Hash == 0 {
		return fmt.Errorf("%w: digest %s", ErrUnsupported, s.HashOID)
	}
	if s.SignatureOID != oidRSAEncryption && !isECDSA(s.SignatureOID) {
		return fmt.Errorf("%w: signature algorithm %s", ErrUnsupported, s.SignatureOID)
	}
	return nil
}

// Check verifies s over body with cert's key, whatever cert's dates and uses,
// and whether or not s names cert. ErrUnsupported as Supported has it,
// ErrRejected where the signature is not the key's over body, or has signed
// attributes.
func (s *Signer) Check(body []byte, cert *x509.Certificate) error {
	if err := s.Supported(); err != nil {
		return err
	}
	h := s.Hash.New()
	h.Write(body)
	return s.CheckDigest(h.Sum(nil), cert)
}

// CheckDigest is Check for a body whose digest by s.Hash is known.
func (s *Signer) CheckDigest(digest []byte, cert *x509.Certificate) error {
	if err := s.Supported(); err != nil {
		return err
	}
	if s.SignedAttrs {
		return fmt.Errorf("%w: it has signed attributes", ErrRejected)
	}
	switch pub := cert.PublicKey.(type) {
	case *rsa.PublicKey:
		if s.SignatureOID != oidRSAEncryption {
			return fmt.Errorf("%w: %s with an RSA key", ErrRejected, s.SignatureOID)
		}
		if err := rsa.VerifyPKCS1v15(pub, s.Hash, digest, s.Value); err != nil {
			return fmt.Errorf("%w: %w", ErrRejected, err)
		}
	case *ecdsa.PublicKey:
		if !isECDSA(s.SignatureOID) {
			return fmt.Errorf("%w: %s with an ECDSA key", ErrRejected, s.SignatureOID)
		}
		if !ecdsa.VerifyASN1(pub, digest, s.Value) {
			return fmt.Errorf("%w: ECDSA verification error", ErrRejected)
		}
	default:
		return fmt.Errorf("%w: certificate %q has a key of kind %T", ErrUnsupported, cert.Subject, pub)
	}
	return nil
}

// Names reports whether s names cert as its signer, as the kernel compares
// them: bytes of issuer and serial in version 1, of the key id in version 3.
func (s *Signer) Names(cert *x509.Certificate) bool {
	if s.Version != 1 {
		return len(s.KeyID) > 0 && bytes.Equal(s.KeyID, cert.SubjectKeyId)
	}
	if s.Serial == nil {
		return false
	}
	serial, err := asn1.Marshal(cert.SerialNumber)
	return err == nil && bytes.Equal(s.RawSerial, valueOf(serial)) &&
		bytes.Equal(valueOf(s.RawIssuer), valueOf(cert.RawIssuer))
}

// valueOf is an element without its header.
func valueOf(der []byte) []byte {
	c := cursor(der)
	e, err := c.next()
	if err != nil {
		return nil
	}
	return e.body
}
