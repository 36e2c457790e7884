// Package pki makes the certificates and PKCS#7 messages of the Secure Boot
// test: good ones, and ones that no tool would make. Same input, same bytes.
package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"embed"
	"encoding/pem"
	"fmt"

	// The digests that names here stand for.
	_ "crypto/md5"
	_ "crypto/sha1"
	_ "crypto/sha256"
	_ "crypto/sha3"
	_ "crypto/sha512"
)

//go:embed testdata/keys/*.pem
var keyFiles embed.FS

// Key loads one of the committed test keys; it panics on a name that is none.
func Key(name string) crypto.Signer {
	b, err := keyFiles.ReadFile("testdata/keys/" + name + ".pem")
	if err != nil {
		panic(err)
	}
	block, _ := pem.Decode(b)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		panic(fmt.Errorf("test key %s: %w", name, err))
	}
	return key.(crypto.Signer)
}

// Hash is a digest by the name that sign-file has for it.
func Hash(name string) crypto.Hash {
	return map[string]crypto.Hash{
		"md5": crypto.MD5, "sha1": crypto.SHA1, "sha224": crypto.SHA224, "sha256": crypto.SHA256,
		"sha384": crypto.SHA384, "sha512": crypto.SHA512,
		"sha3-256": crypto.SHA3_256, "sha3-384": crypto.SHA3_384, "sha3-512": crypto.SHA3_512,
	}[name]
}

// hashOID is the digest's object identifier.
func hashOID(name string) string {
	return map[string]string{
		"md5": "1.2.840.113549.2.5", "sha1": "1.3.14.3.2.26",
		"sha224": "2.16.840.1.101.3.4.2.4", "sha256": "2.16.840.1.101.3.4.2.1",
		"sha384": "2.16.840.1.101.3.4.2.2", "sha512": "2.16.840.1.101.3.4.2.3",
		"sha3-256": "2.16.840.1.101.3.4.2.8", "sha3-384": "2.16.840.1.101.3.4.2.9", "sha3-512": "2.16.840.1.101.3.4.2.10",
	}[name]
}

// rsaOID and ecdsaOID are the signature algorithms that name a digest as well.
func rsaOID(hash string) string {
	return map[string]string{
		"md5": "1.2.840.113549.1.1.4", "sha1": "1.2.840.113549.1.1.5", "sha224": "1.2.840.113549.1.1.14",
		"sha256": "1.2.840.113549.1.1.11", "sha384": "1.2.840.113549.1.1.12", "sha512": "1.2.840.113549.1.1.13",
		"sha3-256": "2.16.840.1.101.3.4.3.14", "sha3-384": "2.16.840.1.101.3.4.3.15", "sha3-512": "2.16.840.1.101.3.4.3.16",
	}[hash]
}

func ecdsaOID(hash string) string {
	return map[string]string{
		"sha1": "1.2.840.10045.4.1", "sha224": "1.2.840.10045.4.3.1", "sha256": "1.2.840.10045.4.3.2",
		"sha384": "1.2.840.10045.4.3.3", "sha512": "1.2.840.10045.4.3.4",
		"sha3-256": "2.16.840.1.101.3.4.3.10", "sha3-384": "2.16.840.1.101.3.4.3.11", "sha3-512": "2.16.840.1.101.3.4.3.12",
	}[hash]
}

// sign signs data under the digest named; the same data gives the same signature.
func sign(key crypto.Signer, hash string, data []byte) []byte {
	var sig []byte
	var err error
	switch k := key.(type) {
	case ed25519.PrivateKey:
		return ed25519.Sign(k, data)
	case *rsa.PrivateKey:
		sig, err = rsa.SignPKCS1v15(nil, k, Hash(hash), digest(hash, data))
	case *ecdsa.PrivateKey:
		sig, err = k.Sign(nil, digest(hash, data), Hash(hash)) // RFC 6979
	}
	if err != nil {
		panic(fmt.Errorf("sign with test key: %w", err))
	}
	return sig
}

func digest(hash string, data []byte) []byte {
	h := Hash(hash).New()
	h.Write(data)
	return h.Sum(nil)
}
