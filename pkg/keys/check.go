package keys

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/kmodseal/kmodseal/pkg/fault"
)

const (
	minRSA = 2048 // bits; fewer are broken or soon will be
	maxRSA = 4096 // bits; the kernel's RSA takes no more (crypto/rsa.c)
)

// moduleSigning is the extended key usage of certs/x509.genkey that keeps shim
// from taking the key for boot loaders.
const moduleSigning = "1.3.6.1.4.1.2312.16.1.2"

// kmmTestKey is the certificate in the test tree of Kernel Module Management,
// SHA-256: its private key lies beside it, for everyone to sign with.
const kmmTestKey = "e0f555412fd89435aac7385793debac271e3f946981ab118b5e199ebae7701e2"

// checkKey refuses kinds and sizes that kernels do not verify.
func checkKey(name string, key crypto.Signer) error {
	switch k := key.Public().(type) {
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n < minRSA || n > maxRSA {
			return keyKind(name, fmt.Sprintf("RSA with %d bits: want %d to %d", n, minRSA, maxRSA))
		}
		return nil
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() && k.Curve != elliptic.P384() {
			return keyKind(name, fmt.Sprintf("ECDSA on %s: want P-256 or P-384", k.Curve.Params().Name))
		}
		return nil
	case ed25519.PublicKey:
		return keyKind(name, "Ed25519: no kernel checks such module signatures")
	default:
		return keyKind(name, fmt.Sprintf("unsupported kind %T", k))
	}
}

func keyKind(name, problem string) error {
	return fault.New(fault.Key, "key %s: %s", name, problem).
		Hint(makeRSA)
}

// refusePublished refuses a certificate that nobody should trust, whichever it
// is of a file.
func refusePublished(name string, certs []*x509.Certificate, published string) error {
	for _, cert := range certs {
		if Fingerprint(cert) != published {
			continue
		}
		return fault.New(fault.Key, "certificate %s: the published test certificate of Kernel Module Management: its private key is public", name).
			Hint("make a key of your own: openssl req -new -x509 -newkey rsa:4096 -nodes -keyout key.pem -out cert.pem")
	}
	return nil
}

// certificateWarnings are facts that the kernel does not mind, or not every
// kernel.
func certificateWarnings(name string, c *x509.Certificate, now time.Time) []string {
	var out []string
	warn := func(when bool, format string, args ...any) {
		if when {
			out = append(out, fmt.Sprintf("certificate %s: ", name)+fmt.Sprintf(format, args...))
		}
	}
	day := "2006-01-02"
	warn(now.After(c.NotAfter), "expired on %s; kernels load the modules all the same", c.NotAfter.UTC().Format(day))
	warn(now.Before(c.NotBefore), "not valid before %s; kernels load the modules all the same", c.NotBefore.UTC().Format(day))
	warn(len(c.SubjectKeyId) == 0, "has no subject key identifier: --signer-id skid cannot be used")
	warn(hasUsages(c) && !hasUsage(c, moduleSigning), "its extended key usage lacks module signing (%s): once enrolled, shim takes the key for boot loaders too", moduleSigning)
	warn(c.IsCA, "is a CA: once enrolled, it also vouches for whatever certificate its key signs")
	warn(!bytes.HasPrefix(c.Raw, []byte{0x30, 0x82}), "its DER (%d bytes) does not begin with 30 82: shim does not take it as a machine owner key", len(c.Raw))
	warn(!kernelReads(c.SignatureAlgorithm), "it is itself signed with %v, which kernels cannot read: they will not enrol it", c.SignatureAlgorithm)
	return out
}

func hasUsages(c *x509.Certificate) bool {
	return len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) > 0
}

func hasUsage(c *x509.Certificate, oid string) bool {
	for _, u := range c.UnknownExtKeyUsage {
		if u.String() == oid {
			return true
		}
	}
	return false
}

// kernelReads: x509_note_sig_algo in crypto/asymmetric_keys/x509_cert_parser.c.
func kernelReads(a x509.SignatureAlgorithm) bool {
	switch a {
	case x509.SHA1WithRSA, x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA,
		x509.ECDSAWithSHA1, x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512:
		return true
	}
	return false
}

const makeRSA = "make an RSA key: openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:4096 -out key.pem"
