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
	leaf := g.embedded()
	if leaf != nil {
		out = append(out, dateWarnings("the signer's certificate", leaf, g.config.Now)...)
		out = append(out, usageWarnings("the signer's certificate", leaf)...)
	}
	c := g.v.Anchor
	if c == nil {
		return out
	}
	out = append(out, dateWarnings("the trusted certificate", c, g.config.Now)...)
	if leaf == nil { // it signs modules itself
		out = append(out, usageWarnings("the trusted certificate", c)...)
	}
	if g.anchor.anchor.Where == MOK && !c.IsCA && !signsModules(c) {
		out = append(out, "shim takes this MOK certificate for boot loaders and kernels, too: give it the module signing usage 1.3.6.1.4.1.2312.16.1.2 to keep it to modules")
	}
	return out
}

// embedded is the signer's certificate where the signature carries it and
// another one vouches for it.
func (g *judging) embedded() *x509.Certificate {
	for _, s := range g.message.signers {
		if s.signer == nil || bytes.Equal(s.signer.raw, g.anchor.raw) {
			continue
		}
		if c, err := x509.ParseCertificate(s.signer.raw); err == nil {
			return c
		}
	}
	return nil
}

func signsModules(c *x509.Certificate) bool {
	return slices.ContainsFunc(c.UnknownExtKeyUsage, ekuModuleSigning().Equal)
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

func dateWarnings(what string, c *x509.Certificate, now time.Time) []string {
	switch {
	case now.IsZero():
		return nil
	case now.After(c.NotAfter):
		return []string{what + " expired on " + c.NotAfter.UTC().Format(time.DateOnly) + "; the kernel does not look at dates"}
	case now.Before(c.NotBefore):
		return []string{what + " is valid from " + c.NotBefore.UTC().Format(time.DateOnly) + " only; the kernel does not look at dates"}
	}
	return nil
}

func usageWarnings(what string, c *x509.Certificate) []string {
	var out []string
	if c.KeyUsage != 0 && c.KeyUsage&(x509.KeyUsageDigitalSignature|x509.KeyUsageCertSign) == 0 {
		out = append(out, what+" has neither digitalSignature nor keyCertSign as its key usage; the kernel does not look at it")
	}
	if c.SignatureAlgorithm == x509.SHA1WithRSA || c.SignatureAlgorithm == x509.ECDSAWithSHA1 {
		out = append(out, what+" is itself signed with SHA-1")
	}
	code := slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageCodeSigning) || slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny)
	if len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) > 0 && !code && !signsModules(c) {
		out = append(out, what+" does not have codeSigning as its extended key usage; the kernel does not look at it")
	}
	return out
}
