package modsig

import (
	"crypto"
	_ "crypto/sha1" //nolint:gosec // registered for reading, as are those below: kernels verify it still
	_ "crypto/sha256"
	_ "crypto/sha3"
	_ "crypto/sha512"
	"encoding/asn1"
	"fmt"
	"strconv"
	"strings"
)

// Object identifiers (RFC 5652, RFC 8017 appendix C, RFC 5758).
const (
	oidData          = "1.2.840.113549.1.7.1"
	oidSignedData    = "1.2.840.113549.1.7.2"
	oidIndirectData  = "1.3.6.1.4.1.311.2.1.4" // Authenticode, for EFI programs
	oidRSAEncryption = "1.2.840.113549.1.1.1"
)

// digest is a digest algorithm that the kernel verifies module signatures
// with (crypto/asymmetric_keys/pkcs7_parser.c).
type digest struct {
	hash  crypto.Hash
	name  string // as modinfo and Kconfig spell it
	oid   string
	ecdsa string // OID of ECDSA with it
}

func digests() []digest {
	return []digest{
		{crypto.SHA1, "sha1", "1.3.14.3.2.26", "1.2.840.10045.4.1"},
		{crypto.SHA224, "sha224", "2.16.840.1.101.3.4.2.4", "1.2.840.10045.4.3.1"},
		{crypto.SHA256, "sha256", "2.16.840.1.101.3.4.2.1", "1.2.840.10045.4.3.2"},
		{crypto.SHA384, "sha384", "2.16.840.1.101.3.4.2.2", "1.2.840.10045.4.3.3"},
		{crypto.SHA512, "sha512", "2.16.840.1.101.3.4.2.3", "1.2.840.10045.4.3.4"},
		{crypto.SHA3_256, "sha3-256", "2.16.840.1.101.3.4.2.8", "2.16.840.1.101.3.4.3.10"},
		{crypto.SHA3_384, "sha3-384", "2.16.840.1.101.3.4.2.9", "2.16.840.1.101.3.4.3.11"},
		{crypto.SHA3_512, "sha3-512", "2.16.840.1.101.3.4.2.10", "2.16.840.1.101.3.4.3.12"},
	}
}

// HashName spells h as modinfo does (sha256, sha3-256); empty for a digest
// that no kernel knows.
func HashName(h crypto.Hash) string {
	for _, d := range digests() {
		if d.hash == h {
			return d.name
		}
	}
	return ""
}

// SigningHash is the digest of a name that Sign takes: sha256, sha384 or
// sha512.
func SigningHash(name string) (crypto.Hash, error) {
	for _, d := range digests() {
		if d.name == name {
			_, err := signingDigest(d.hash)
			return d.hash, err
		}
	}
	return 0, fmt.Errorf("%w: hash %q: want sha256, sha384 or sha512", ErrUnsupported, name)
}

// signingDigest allows what every kernel since 4.x takes and the newest still
// sign with: SHA-1 signatures are on their way out, SHA-3 came with 6.7.
func signingDigest(h crypto.Hash) (digest, error) {
	for _, d := range digests() {
		if d.hash == h && (h == crypto.SHA256 || h == crypto.SHA384 || h == crypto.SHA512) {
			return d, nil
		}
	}
	return digest{}, fmt.Errorf("%w: hash %v: want sha256, sha384 or sha512", ErrUnsupported, h)
}

func hashOf(oid string) crypto.Hash {
	for _, d := range digests() {
		if d.oid == oid {
			return d.hash
		}
	}
	return 0
}

func isECDSA(oid string) bool {
	for _, d := range digests() {
		if d.ecdsa == oid {
			return true
		}
	}
	return false
}

// parseOID reads one of the constants of this file.
func parseOID(dotted string) asn1.ObjectIdentifier {
	var oid asn1.ObjectIdentifier
	for part := range strings.SplitSeq(dotted, ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			panic("not an object identifier: " + dotted)
		}
		oid = append(oid, n)
	}
	return oid
}
