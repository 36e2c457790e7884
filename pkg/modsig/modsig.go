// Package modsig reads, makes and checks the signature that the kernel looks
// for behind a module.
package modsig

import (
	"crypto"
	"crypto/x509"
	"errors"
	"math/big"
)

// Marker ends every signed module (kernel: include/linux/module_signature.h).
const Marker = "~Module signature appended~\n"

// What Split and Parse refuse.
var (
	ErrUnsigned  = errors.New("no signature")
	ErrMalformed = errors.New("malformed signature")
)

// Trailer is struct module_signature: the 12 bytes before the marker.
type Trailer struct {
	Algo, Hash, IDType, SignerLen, KeyIDLen byte
	Pad                                     [3]byte
	SigLen                                  uint32 // big endian on every architecture
}

// Appended is a module cut at its outermost signature; the slices point into the input.
type Appended struct {
	Body    []byte // what is signed: the module with any inner signature
	PKCS7   []byte
	Trailer Trailer
}

// Split cuts module at its outermost signature. ErrUnsigned where the marker
// is not at the very end, ErrMalformed where the trailer does not fit.
func Split(module []byte) (Appended, error) { panic("stub") }

// Strip takes every trailing signature off and says how many there were.
func Strip(module []byte) (body []byte, n int) { panic("stub") }

// Append puts a PKCS#7 message, the trailer and the marker behind body.
func Append(body, pkcs7 []byte) []byte { panic("stub") }

// Signature is a parsed PKCS#7 SignedData.
type Signature struct {
	Version      int
	Signers      []Signer
	Certificates []*x509.Certificate // embedded ones that parse
	Attached     bool                // has content of its own
}

// Signer is one SignerInfo.
type Signer struct {
	Version      int
	RawIssuer    []byte      // nil with a key id
	Serial       *big.Int    // nil with a key id
	KeyID        []byte      // nil with issuer and serial
	Hash         crypto.Hash // 0 where the kernel knows no such digest
	HashOID      string
	SignatureOID string
	SignedAttrs  bool
	Value        []byte
}

// Parse reads a PKCS#7 message.
func Parse(der []byte) (*Signature, error) { panic("stub") }

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

// Sign makes the PKCS#7 message over a module's digest.
func Sign(digest []byte, key crypto.Signer, cert *x509.Certificate, o Options) ([]byte, error) {
	panic("stub")
}

// Check verifies s over body with cert's key, whatever cert's dates and uses.
func (s *Signer) Check(body []byte, cert *x509.Certificate) error { panic("stub") }

// Names reports whether s names cert as its signer (raw issuer and serial, or key id).
func (s *Signer) Names(cert *x509.Certificate) bool { panic("stub") }
