package keys

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/youmark/pkcs8"

	"github.com/kmodseal/kmodseal/pkg/fault"
)

// Object identifiers of RFC 8018 and RFC 7914.
const (
	oidPBES2  = "1.2.840.113549.1.5.13"
	oidPBKDF2 = "1.2.840.113549.1.5.12"
	oidScrypt = "1.3.6.1.4.1.11591.4.11"
	oidSHA1   = "1.2.840.113549.2.7" // HMAC, the default
	oidSHA256 = "1.2.840.113549.2.9"
)

// Limits on what a file may ask of this machine before it says whether the
// passphrase is right.
const (
	maxIterations   = 5_000_000
	maxScryptMemory = 512 << 20 // bytes
	maxScryptLanes  = 64
)

// encryption is the AlgorithmIdentifier of an EncryptedPrivateKeyInfo (RFC
// 5958), nil for anything else.
func encryption(der []byte) *pkix.AlgorithmIdentifier {
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		Data      []byte
	}
	if _, err := asn1.Unmarshal(der, &info); err != nil {
		return nil
	}
	return &info.Algorithm
}

func openEncrypted(name string, der []byte, e *pkix.AlgorithmIdentifier, ask func() ([]byte, error)) (crypto.Signer, error) {
	if err := checkEncryption(e); err != nil {
		return nil, fault.New(fault.Key, "key %s: %w", name, err).
			Hint("convert it: openssl pkcs8 -topk8 -v2 aes-256-cbc -v2prf hmacWithSHA256 -in FILE -out NEW")
	}
	pass, err := passphrase(name, ask)
	if err != nil {
		return nil, err
	}
	key, err := decryptPKCS8(der, pass)
	if err != nil {
		return nil, wrongPassphrase(name)
	}
	return asSigner(name, key)
}

// decryptPKCS8 turns the library's panics on a damaged file into errors.
func decryptPKCS8(der, pass []byte) (key any, err error) {
	defer func() {
		if r := recover(); r != nil {
			key, err = nil, fmt.Errorf("decrypt: %v", r)
		}
	}()
	return pkcs8.ParsePKCS8PrivateKey(der, pass)
}

// checkEncryption refuses what the library cannot do, and what would keep this
// machine busy for too long.
func checkEncryption(e *pkix.AlgorithmIdentifier) error {
	if oid := e.Algorithm.String(); oid != oidPBES2 {
		return fmt.Errorf("encrypted with %s: only PBES2 is supported", encryptionName(oid))
	}
	var p struct{ KDF, Cipher pkix.AlgorithmIdentifier }
	if _, err := asn1.Unmarshal(e.Parameters.FullBytes, &p); err != nil {
		return errors.New("damaged encryption parameters")
	}
	switch oid := p.KDF.Algorithm.String(); oid {
	case oidPBKDF2:
		return checkPBKDF2(p.KDF.Parameters.FullBytes)
	case oidScrypt:
		return checkScrypt(p.KDF.Parameters.FullBytes)
	default:
		return fmt.Errorf("key derivation %s is not supported", oid)
	}
}

func checkPBKDF2(params []byte) error {
	var p struct {
		Salt       []byte
		Iterations int
		Length     int                      `asn1:"optional"`
		PRF        pkix.AlgorithmIdentifier `asn1:"optional"`
	}
	if _, err := asn1.Unmarshal(params, &p); err != nil {
		return errors.New("damaged PBKDF2 parameters")
	}
	if p.Iterations < 1 || p.Iterations > maxIterations {
		return fmt.Errorf("PBKDF2 with %d iterations: at most %d are taken", p.Iterations, maxIterations)
	}
	if oid := p.PRF.Algorithm.String(); oid != "" && oid != oidSHA1 && oid != oidSHA256 {
		return fmt.Errorf("PBKDF2 with %s: only hmacWithSHA1 and hmacWithSHA256 are supported", prfName(oid))
	}
	return nil
}

func checkScrypt(params []byte) error {
	var p struct {
		Salt    []byte
		N, R, P int
		Length  int `asn1:"optional"`
	}
	if _, err := asn1.Unmarshal(params, &p); err != nil {
		return errors.New("damaged scrypt parameters")
	}
	if p.N < 2 || p.R < 1 || p.P < 1 || p.P > maxScryptLanes || p.N > maxScryptMemory/128 || p.R > maxScryptMemory/128/p.N {
		return fmt.Errorf("scrypt with N=%d, r=%d, p=%d wants too much memory or time", p.N, p.R, p.P)
	}
	return nil
}

func encryptionName(oid string) string {
	names := map[string]string{
		"1.2.840.113549.1.5.3":    "PBE-MD5-DES",
		"1.2.840.113549.1.5.10":   "PBE-SHA1-DES",
		"1.2.840.113549.1.12.1.1": "PBE-SHA1-RC4-128",
		"1.2.840.113549.1.12.1.3": "PBE-SHA1-3DES",
		"1.2.840.113549.1.12.1.6": "PBE-SHA1-RC2-40",
	}
	if n := names[oid]; n != "" {
		return n
	}
	return oid
}

func prfName(oid string) string {
	names := map[string]string{
		"1.2.840.113549.2.8": "hmacWithSHA224", "1.2.840.113549.2.10": "hmacWithSHA384", "1.2.840.113549.2.11": "hmacWithSHA512",
	}
	if n := names[oid]; n != "" {
		return n
	}
	return oid
}

// openTraditional reads OpenSSL's old form, where the parameters are in PEM
// headers: Proc-Type and DEK-Info. It has no iterations to bound.
func openTraditional(name string, block *pem.Block, ask func() ([]byte, error)) (crypto.Signer, error) {
	pass, err := passphrase(name, ask)
	if err != nil {
		return nil, err
	}
	der, err := x509.DecryptPEMBlock(block, pass) //nolint:staticcheck // old keys exist; warned of in documentation
	if err != nil {
		if errors.Is(err, x509.IncorrectPasswordError) {
			return nil, wrongPassphrase(name)
		}
		return nil, fault.New(fault.Key, "key %s: %w", name, err).
			Hint("convert it: openssl pkcs8 -topk8 -in FILE -out NEW")
	}
	key, err := parseKey(der)
	if err != nil { // one wrong passphrase in 256 leaves right padding
		return nil, wrongPassphrase(name)
	}
	return asSigner(name, key)
}

// passphrase asks once; wrong tries are for people, not for CI.
func passphrase(name string, ask func() ([]byte, error)) ([]byte, error) {
	var pass []byte
	if ask != nil {
		var err error
		if pass, err = ask(); err != nil {
			return nil, fault.New(fault.Key, "key %s: passphrase: %w", name, err).
				Hint("look at --passphrase-file")
		}
	}
	if len(pass) == 0 {
		return nil, fault.New(fault.Key, "key %s: is encrypted, and no passphrase was given", name).
			Hint("give it with --passphrase-file or in the environment variable KBUILD_SIGN_PIN")
	}
	return pass, nil
}

func wrongPassphrase(name string) error {
	return fault.New(fault.Key, "key %s: wrong passphrase, or the file is damaged", name).
		Hint("it comes from --passphrase-file, else from KBUILD_SIGN_PIN; one newline at the end of the file is taken off")
}
