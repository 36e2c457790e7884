package verdict

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/kmodseal/kmodseal/pkg/modsig"
)

// signatureStage is module_sig_check (kernel/module/signing.c).
func (g *judging) signatureStage() outcome {
	g.body = g.plain
	if !g.rules.checksSignatures {
		return outcome{state: Loads, rule: ruleNoSignatures, why: "the kernel is built without MODULE_SIG and looks at no signature"}
	}
	o := g.checkSignature()
	switch o.errno {
	case noError:
		return o
	case eNODATA:
		return g.tolerate(o, "unsigned module", "unsigned module loading")
	case eNOPKG:
		return g.tolerate(o, "module with unsupported crypto", "unsigned module loading")
	case eNOKEY:
		return g.tolerate(o, "module with unavailable key", "unsigned module loading")
	}
	return o
}

// tolerate: three errors are fatal only where signatures are enforced.
func (g *judging) tolerate(o outcome, what, locked string) outcome {
	if g.facts.Config == nil && g.profile.guessed && g.config.SigEnforce == Auto {
		g.note("whether the kernel enforces signatures (IMA_ARCH_POLICY, MODULE_SIG_FORCE): no kernel config; taken as enforced")
	}
	switch {
	case g.rules.enforce:
		o.errno = eKEYREJECTED
		o.line = g.sayLine("Loading of %s is rejected", what)
	case g.rules.lockdown:
		o.errno = ePERM
		o.line = g.sayLine("Lockdown: %s: %s is restricted; see man kernel_lockdown.7", g.process, locked)
	default:
		o.why = "loads and taints the kernel, as nothing enforces signatures: " + o.why
		o.state, o.errno, o.rule = Loads, noError, ruleTolerated
	}
	return o
}

func (k *kernel) sayLine(format string, args ...any) string {
	k.say(format, args...)
	return k.log[len(k.log)-1]
}

// checkSignature is mod_verify_sig. What it takes off the end stays off,
// whatever it finds.
func (g *judging) checkSignature() outcome {
	rest, ok := bytes.CutSuffix(g.plain, []byte(modsig.Marker))
	if !ok || len(rest) == 0 {
		return outcome{state: Unsigned, errno: eNODATA, rule: ruleMarker, why: g.whyUnsigned()}
	}
	g.body = rest
	body, message, o := g.trailer(rest)
	if o.errno != noError {
		return o
	}
	g.body = body
	t, o := g.checkMessage(body, message, &g.rings.secondary)
	if o.errno == eNOKEY && g.rules.platformRetry {
		if t, o = g.checkMessage(body, message, &g.rings.platform); o.errno == noError {
			o.rule = rulePlatform
		}
	}
	if o.errno != noError {
		return o
	}
	g.trustedBy(t)
	g.doubtMachine(t)
	if sum := sha256.Sum256(g.plain); g.rules.fileBlockList && g.blockedFiles[string(sum[:])] {
		line := g.sayLine("Module hash %x is blacklisted", sum)
		return outcome{Tampered, eKEYREJECTED, line, ruleFileHash, "the SHA-256 of the whole signed file is on the block list (dbx or MokListX)"}
	}
	return o
}

// trailer is mod_check_sig; struct module_signature is algo, hash, id_type,
// signer_len, key_id_len, three bytes of padding, then the length, big endian.
func (g *judging) trailer(rest []byte) (body, message []byte, o outcome) {
	const size, idType, pkcs7 = 12, 2, 2
	bad := outcome{state: Malformed, errno: eBADMSG, rule: ruleTrailer}
	if len(rest) <= size {
		bad.why = "nothing but a marker and less than a trailer"
		return nil, nil, bad
	}
	cut := len(rest) - size
	t := rest[cut:]
	n := uint64(binary.BigEndian.Uint32(t[8:]))
	if n >= uint64(cut) {
		bad.why = fmt.Sprintf("the trailer says that the signature has %d bytes, but only %d are there", n, cut)
		return nil, nil, bad
	}
	if t[idType] != pkcs7 {
		line := g.sayLine("module: not signed with expected PKCS#7 message")
		return nil, nil, outcome{UnsupportedCrypto, eNOPKG, line, ruleTrailer, fmt.Sprintf("the trailer says signature type %d, the kernel knows PKCS#7 (2) only", t[idType])}
	}
	if !bytes.Equal(t[:8], []byte{0, 0, pkcs7, 0, 0, 0, 0, 0}) {
		bad.line = g.sayLine("module: PKCS#7 signature info has unexpected non-zero params")
		bad.why = "the trailer has values where the kernel wants zeros"
		return nil, nil, bad
	}
	at := cut - int(n) //nolint:gosec // n is smaller than cut
	return rest[:at], rest[at:cut], o
}

// checkMessage is verify_pkcs7_signature against one keyring.
func (g *judging) checkMessage(body, message []byte, ring *keyring) (*trusted, outcome) {
	from := len(g.log)
	m, e := g.parseMessage(message)
	if e != noError {
		return nil, g.shapeOutcome(e, from)
	}
	g.message = m
	g.nameAlgorithm(m)
	if m.attached {
		line := g.sayLine("PKCS7: Data already supplied")
		g.say("PKCS#7 signature with non-detached data")
		return nil, outcome{Malformed, eBADMSG, line, ruleDetached, "the signature brings content of its own; a module signature is detached"}
	}
	if e := g.verify(m, body); e != noError {
		return nil, g.verifyOutcome(m, e, from)
	}
	if g.rules.revocation {
		if _, e := g.validate(m, &g.rings.revoked); e == noError {
			return nil, outcome{state: Tampered, errno: eKEYREJECTED, rule: ruleRevoked, why: "the signer's certificate is on the revocation list (dbx or MokListX)"}
		}
	}
	t, e := g.validate(m, ring)
	switch e {
	case noError:
		return t, outcome{state: Loads, rule: ruleKeyring, why: "the signature fits a trusted certificate"}
	case eNOKEY:
		g.doubtNoKey(m)
		return nil, outcome{state: UnavailableKey, errno: eNOKEY, rule: ruleKeyring, why: g.whyNoKey(m)}
	case eNOPKG:
		return nil, outcome{state: UnsupportedCrypto, errno: eNOPKG, rule: ruleDigest, why: "the kernel lacks " + g.hashList(m)}
	case eINVAL:
		return nil, outcome{state: Malformed, errno: eINVAL, rule: ruleSignerName, why: "the signature names its signer by nothing: the key id, or issuer and serial number, is empty"}
	}
	return nil, outcome{state: Tampered, errno: eKEYREJECTED, rule: ruleSignature, why: "a trusted certificate has the signer's name, but the signature does not fit: the module or its signature was changed after signing, or another key has that name"}
}

// lastLine is what the kernel said since from.
func (k *kernel) lastLine(from int) string {
	if len(k.log) == from {
		return ""
	}
	return k.log[len(k.log)-1]
}

// shapeOutcome: the message could not be read.
func (g *judging) shapeOutcome(e Errno, from int) outcome {
	line := g.lastLine(from)
	switch e {
	case eNOPKG:
		return outcome{UnsupportedCrypto, e, line, ruleDigest, "the kernel does not know the digest or the kind of signature"}
	case eMSGSIZE:
		return outcome{Malformed, e, line, ruleMessage, "the signature is longer than the 65535 bytes that the kernel reads"}
	case eKEYREJECTED:
		return outcome{Malformed, e, line, ruleAttributes, "the signature has signed attributes that the kernel does not take"}
	}
	return outcome{Malformed, e, line, ruleMessage, "the signature is not a PKCS#7 message that the kernel can read"}
}

// verifyOutcome: the message contradicts itself or the module.
func (g *judging) verifyOutcome(m *message, e Errno, from int) outcome {
	line := g.lastLine(from)
	switch {
	case e == eNOPKG:
		return outcome{UnsupportedCrypto, e, line, ruleDigest, "the kernel lacks " + g.hashList(m)}
	case strings.HasSuffix(line, "(has authattrs)"):
		return outcome{Malformed, e, line, ruleAttributes, "the signature has signed attributes; the kernel takes module signatures without them only"}
	case strings.HasSuffix(line, "(not pkcs7-data)"):
		return outcome{Malformed, e, line, ruleMessage, "the signature is not over plain data"}
	}
	return outcome{Tampered, e, line, ruleInternal, "the signature does not fit the module and the certificate that it carries"}
}

func (g *judging) hashList(m *message) string {
	var names []string
	for _, s := range m.signers {
		if !g.hasHash(s.sig.hash) {
			names = append(names, strings.ToUpper(s.sig.hash))
		}
	}
	if len(names) == 0 {
		return "what the signature needs"
	}
	return strings.Join(names, ", ")
}

func (g *judging) nameAlgorithm(m *message) {
	s := m.signers[0]
	g.v.Hash, g.v.Algorithm = s.sig.hash, s.sig.key
	if s.sig.takesData && s.attributes == nil {
		g.v.Hash = ""
	}
}

// trustedBy fills in the certificate that vouches.
func (g *judging) trustedBy(t *trusted) {
	if t == nil {
		return
	}
	g.anchor = t
	sum := sha256.Sum256(t.raw)
	g.v.Fingerprint, g.v.Keyring = fmt.Sprintf("%x", sum), t.ring
	if c, err := x509.ParseCertificate(t.anchor.DER); err == nil {
		g.v.Anchor = c
	}
}

func (g *judging) whyUnsigned() string {
	if g.elfErr != nil && g.elf == nil && len(g.plain) == 0 {
		return "the file is empty"
	}
	if bytes.Contains(g.plain, []byte(modsig.Marker)) {
		return "the signature's marker is not at the very end of the file: bytes were added or the file was stripped after signing"
	}
	return "the module has no signature"
}

// whyNoKey says which certificate is missing or where it went instead.
func (g *judging) whyNoKey(m *message) string {
	for _, u := range g.rings.unloaded {
		if u.cert != nil && m.names(u.cert) {
			return "the signer's certificate is enrolled, but " + u.reason
		}
	}
	if !g.rules.platformRetry && g.platformKey(m) != nil {
		return "the signer's certificate is enrolled, but the kernel puts it into .platform, which it does not ask for modules"
	}
	if len(g.config.anchors()) == 0 {
		return "no trusted certificate was given"
	}
	return "the signer's certificate is in no keyring that the kernel asks for modules, nor is one above it that the signature leads to"
}

// names reports whether a signer of m is named like c.
func (m *message) names(c *certificate) bool {
	for _, s := range m.signers {
		if sameID(s.id, c.id) || sameID(s.id, c.keyID) {
			return true
		}
	}
	return false
}
