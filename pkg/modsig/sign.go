package modsig

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"math/big"
	"slices"
)

// SignerID says how the signature names its certificate.
type SignerID int

// The two forms of RFC 5652 section 5.3.
const (
	IssuerSerial SignerID = iota // SignedData version 1
	SubjectKeyID                 // version 3, sign-file -k
)

// Options of Sign; the zero value is what sign-file does with sha256.
type Options struct {
	Hash  crypto.Hash // 0: SHA256
	ID    SignerID
	Embed []*x509.Certificate // certificates to carry in the message
}

// Sign makes the PKCS#7 message over a module's digest: for RSA the bytes of
// the kernel's scripts/sign-file, for ECDSA the same around a deterministic
// signature (RFC 6979), as far as key honours a nil random source.
// cert is the certificate of key; an RSA or ECDSA (P-256, P-384) key is taken,
// and SHA-256, SHA-384 or SHA-512: anything else is ErrUnsupported. The result
// is parsed and verified against cert before it is returned, so that a key
// service that answers with something else never yields a module.
func Sign(digest []byte, key crypto.Signer, cert *x509.Certificate, o Options) ([]byte, error) {
	if o.Hash == 0 {
		o.Hash = crypto.SHA256
	}
	e, err := newEncoder(cert, o)
	if err != nil {
		return nil, err
	}
	if len(digest) != o.Hash.Size() {
		return nil, fmt.Errorf("sign: digest of %d bytes, %s has %d", len(digest), HashName(o.Hash), o.Hash.Size())
	}
	value, err := key.Sign(nil, digest, o.Hash)
	if err != nil {
		return nil, fmt.Errorf("sign with key of %q: %w", cert.Subject, err)
	}
	der, err := e.encode(value)
	if err != nil {
		return nil, err
	}
	if err := recheck(der, digest, cert); err != nil {
		return nil, fmt.Errorf("check new signature by %q: %w", cert.Subject, err)
	}
	return der, nil
}

// recheck reads a new message as a verifier would.
func recheck(der, digest []byte, cert *x509.Certificate) error {
	s, err := Parse(der)
	if err != nil {
		return err
	}
	if !s.Signers[0].Names(cert) {
		return fmt.Errorf("%w: it does not name the certificate", ErrMalformed)
	}
	return s.Signers[0].CheckDigest(digest, cert)
}

// The DER of the message. Parameters of digest algorithms are absent, those of
// rsaEncryption are NULL, and a set that is empty is left out.
type (
	contentInfo struct {
		Type    asn1.ObjectIdentifier
		Content signedData `asn1:"explicit,tag:0"`
	}
	signedData struct {
		Version          int
		DigestAlgorithms []algorithm `asn1:"set"`
		Content          struct{ Type asn1.ObjectIdentifier }
		Certificates     asn1.RawValue `asn1:"optional"`
		Signers          []signerInfo  `asn1:"set"`
	}
	signerInfo struct {
		Version            int
		ID                 asn1.RawValue
		DigestAlgorithm    algorithm
		SignatureAlgorithm algorithm
		Value              []byte
	}
	algorithm struct {
		OID        asn1.ObjectIdentifier
		Parameters asn1.RawValue `asn1:"optional"`
	}
	issuerAndSerial struct {
		Issuer asn1.RawValue // copied, never encoded anew: the kernel compares bytes
		Serial *big.Int
	}
)

// encoder holds all of a message but the signature value.
type encoder struct {
	version           int
	id                asn1.RawValue
	digest, signature algorithm
	certificates      asn1.RawValue
}

func newEncoder(cert *x509.Certificate, o Options) (*encoder, error) {
	d, err := signingDigest(o.Hash)
	if err != nil {
		return nil, err
	}
	e := &encoder{digest: algorithm{OID: parseOID(d.oid)}, certificates: certificateSet(o.Embed)}
	if e.signature, err = signatureAlgorithm(cert, d); err != nil {
		return nil, err
	}
	if o.ID == SubjectKeyID {
		if len(cert.SubjectKeyId) == 0 {
			return nil, fmt.Errorf("%w: certificate %q has no subject key identifier", ErrUnsupported, cert.Subject)
		}
		e.version = 3
		e.id = asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, Bytes: cert.SubjectKeyId}
		return e, nil
	}
	id, err := asn1.Marshal(issuerAndSerial{asn1.RawValue{FullBytes: cert.RawIssuer}, cert.SerialNumber})
	if err != nil {
		return nil, fmt.Errorf("encode issuer of %q: %w", cert.Subject, err)
	}
	e.version, e.id = 1, asn1.RawValue{FullBytes: id}
	return e, nil
}

func signatureAlgorithm(cert *x509.Certificate, d digest) (algorithm, error) {
	switch pub := cert.PublicKey.(type) {
	case *rsa.PublicKey:
		return algorithm{parseOID(oidRSAEncryption), asn1.NullRawValue}, nil
	case *ecdsa.PublicKey:
		if pub.Curve == elliptic.P256() || pub.Curve == elliptic.P384() {
			return algorithm{OID: parseOID(d.ecdsa)}, nil
		}
		return algorithm{}, fmt.Errorf("%w: curve %s: want P-256 or P-384", ErrUnsupported, pub.Curve.Params().Name)
	default:
		return algorithm{}, fmt.Errorf("%w: key of kind %T (%v): want RSA or ECDSA", ErrUnsupported, pub, cert.PublicKeyAlgorithm)
	}
}

func (e *encoder) encode(value []byte) ([]byte, error) {
	data := signedData{
		Version:          e.version,
		DigestAlgorithms: []algorithm{e.digest},
		Certificates:     e.certificates,
		Signers:          []signerInfo{{e.version, e.id, e.digest, e.signature, value}},
	}
	data.Content.Type = parseOID(oidData)
	der, err := asn1.Marshal(contentInfo{parseOID(oidSignedData), data})
	if err != nil {
		return nil, fmt.Errorf("encode signature: %w", err)
	}
	return der, nil
}

// certificateSet is [0] IMPLICIT SET OF Certificate, in the order that DER
// asks for (X.690 section 11.6); the zero value for none.
func certificateSet(certs []*x509.Certificate) asn1.RawValue {
	if len(certs) == 0 {
		return asn1.RawValue{}
	}
	raw := make([][]byte, 0, len(certs))
	for _, c := range certs {
		raw = append(raw, c.Raw)
	}
	slices.SortFunc(raw, bytes.Compare)
	raw = slices.CompactFunc(raw, bytes.Equal)
	return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: bytes.Join(raw, nil)}
}
