package verdict

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"slices"
	"time"

	"github.com/kmodseal/kmodseal/pkg/modsig"
)

// eku identifiers: module signing means something to shim only (its
// verify.c): such a certificate does not vouch for boot files.
func ekuModuleSigning() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 2312, 16, 1, 2}
}

// warnings are what the kernel does not mind and people should.
func (g *judging) warnings(state State) []string {
	var out []string
	if g.v.Hash == "sha1" {
		out = append(out, "signed with SHA-1: the kernel still takes it, but nobody should")
	}
	out = append(out, g.innerWarnings(state)...)
	if g.anchor == nil {
		return out
	}
	out = append(out, g.revokedWarnings()...)
	if g.anchor.anchor.Where == MOK {
		out = append(out, shimWarnings(g.anchor.anchor.DER)...)
	}
	if c := g.v.Anchor; c != nil {
		out = append(out, dateWarnings(c, g.config.Now)...)
		out = append(out, usageWarnings(c, g.anchor.anchor.Where)...)
	}
	return out
}

// innerWarnings: the kernel looks at the outermost signature only.
func (g *judging) innerWarnings(state State) []string {
	if g.plain == nil || len(g.body) == len(g.plain) {
		return nil
	}
	_, n := modsig.Strip(g.body)
	if n == 0 {
		return nil
	}
	out := []string{fmt.Sprintf("%d more signature(s) under the outermost one, which the kernel does not look at", n)}
	k := g.kernel
	inner := &judging{kernel: k, config: g.config, v: &Verdict{}, plain: g.body}
	inner.log, inner.unchecked = nil, nil
	if o := inner.checkSignature(); o.errno == noError && state != Loads {
		out = append(out, "signing again destroyed trust: the signature underneath fits a trusted certificate")
	}
	return out
}

func (g *judging) revokedWarnings() []string {
	var out []string
	for _, r := range g.config.Revoked {
		if r.DER != nil && bytes.Equal(r.DER, g.anchor.raw) && !g.rules.revocation {
			out = append(out, "the signer's certificate is on the revocation list, which this kernel does not look at (SYSTEM_REVOCATION_LIST)")
		}
	}
	if sum := digest("sha256", g.plain); g.blockedFiles[string(sum)] && !g.rules.fileBlockList {
		out = append(out, "the file's hash is on the block list, which this kernel does not look at for modules")
	}
	return out
}

// shimWarnings: shim takes certificates of 256 to 65535 bytes only, which
// start with 30 82.
func shimWarnings(der []byte) []string {
	if len(der) >= 2 && der[0] == tagSequence && der[1] == indefinite+2 {
		return nil
	}
	return []string{"shim does not take the certificate into the MOK list: it must be of 256 bytes or more (DER that starts with 30 82)"}
}

func dateWarnings(c *x509.Certificate, now time.Time) []string {
	switch {
	case now.IsZero():
		return nil
	case now.After(c.NotAfter):
		return []string{"the certificate expired on " + c.NotAfter.UTC().Format(time.DateOnly) + "; the kernel does not look at dates"}
	case now.Before(c.NotBefore):
		return []string{"the certificate is valid from " + c.NotBefore.UTC().Format(time.DateOnly) + " only; the kernel does not look at dates"}
	}
	return nil
}

func usageWarnings(c *x509.Certificate, where Place) []string {
	var out []string
	if c.KeyUsage != 0 && c.KeyUsage&(x509.KeyUsageDigitalSignature|x509.KeyUsageCertSign) == 0 {
		out = append(out, "the certificate's key usage has neither digitalSignature nor keyCertSign; the kernel does not look at it")
	}
	if c.SignatureAlgorithm == x509.SHA1WithRSA || c.SignatureAlgorithm == x509.ECDSAWithSHA1 {
		out = append(out, "the certificate itself is signed with SHA-1")
	}
	moduleSigning := slices.ContainsFunc(c.UnknownExtKeyUsage, ekuModuleSigning().Equal)
	code := slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageCodeSigning) || slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny)
	if len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) > 0 && !code && !moduleSigning {
		out = append(out, "the certificate's extended key usage does not have codeSigning; the kernel does not look at it")
	}
	if where == MOK && !moduleSigning && !c.IsCA {
		out = append(out, "shim takes this MOK certificate for boot loaders and kernels, too: give it the module signing usage 1.3.6.1.4.1.2312.16.1.2 to keep it to modules")
	}
	return out
}
