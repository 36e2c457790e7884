package verdict

import (
	"fmt"
	"slices"
)

// hint says what to do about an outcome: one sentence, with the command or
// the option.
func (g *judging) hint(o outcome) string {
	switch o.state {
	case Loads:
		return ""
	case Unsigned:
		return "sign it: `sign-kmods --key KEY --cert CERT FILE`; if it was signed, strip and compress before signing, not after"
	case UnavailableKey:
		return g.keyHint()
	case UnsupportedCrypto:
		return g.cryptoHint(o)
	case Tampered:
		return g.tamperedHint(o)
	case Malformed:
		return "sign it again: `sign-kmods --on-signed replace` writes what the kernel reads, without signed attributes or content"
	case BadCompression:
		return g.compressionHint(o)
	case WrongKernel:
		if o.rule == ruleArch && g.byImage {
			return "give the image the platform of its modules, or build the modules for the image's platform"
		}
		return "build the module for the target kernel: its headers package has the right vermagic and Module.symvers"
	case MissingSymbol:
		return "build against the Module.symvers of the target kernel and of the modules it needs, and ship those modules beside it"
	case MissingDependency:
		return "put the module that it needs into the same set, signed by the same key, and run depmod"
	case NotModule:
		return "name modules only: ELF relocatable files, plain or as .gz, .xz or .zst"
	}
	return ""
}

func (g *judging) keyHint() string {
	switch {
	case g.message == nil:
	case !g.config.knowsAnchors():
		return "name the certificates that the machine trusts with --trust: its MOK list, db, and the kernel's own key for modules of the distribution"
	case g.knownKey(g.message) != "":
		return "the kernel has a key of that name: name its certificate, too, and the signature is checked: `--trust builtin:FILE`"
	case g.issuerTrusted() && len(g.message.certs) == 0:
		return "the issuer is enrolled: sign with `sign-kmods --embed-cert always`, so that the signature leads to it"
	case g.namedIn(g.rings.unloaded) && g.config.SecureBoot == Off:
		return "turn Secure Boot on in the firmware: without it the kernel does not read the MOK list"
	}
	if t := g.platformKey(g.message); t != nil {
		return g.platformHint(t.anchor.Where)
	}
	return "enrol the signer's certificate with `mokutil --import signer.der`, reboot and confirm in MokManager; or sign with an enrolled key: `sign-kmods --on-signed replace`"
}

func (c *Config) knowsAnchors() bool { return len(c.Trust)+len(c.Anchors) > 0 }

// issuerTrusted: is there a trusted certificate with the name of the signer's
// issuer, which is not the signer's own?
func (g *judging) issuerTrusted() bool {
	return slices.ContainsFunc(g.rings.secondary.keys, func(t *trusted) bool {
		return g.message.issuer != nil && string(t.rawSubject) == string(g.message.issuer)
	})
}

func (g *judging) namedIn(list []unloaded) bool {
	return slices.ContainsFunc(list, func(u unloaded) bool {
		return u.cert != nil && g.message.names(u.cert)
	})
}

// platformHint: the signer's certificate is in .platform, which the kernel does
// not ask for modules.
func (g *judging) platformHint(enrolled Place) string {
	switch {
	case enrolled == DB:
		return "enrol the certificate in the MOK list, too: `mokutil --import signer.der`; keys in db do not count for modules"
	case !g.is("INTEGRITY_MACHINE_KEYRING"):
		return "sign with a key that the kernel was built with, or take a kernel with CONFIG_INTEGRITY_MACHINE_KEYRING=y (Linux 5.18): this one takes none from the MOK list for modules"
	case g.rules.machineCA:
		return "enrol the issuing CA (CA:TRUE, keyCertSign) with `mokutil --import ca.der`, and sign with `sign-kmods --embed-cert always`"
	}
	return "have the MOK list trusted with `mokutil --trust-mok`, reboot and confirm in MokManager"
}

// platformKey is the signer's certificate in .platform.
func (g *judging) platformKey(m *message) *trusted {
	for _, t := range g.rings.platform.keys {
		if m.names(t.certificate) {
			return t
		}
	}
	return nil
}

func (g *judging) cryptoHint(o outcome) string {
	if o.rule == ruleTrailer {
		return "sign it again with a tool that writes PKCS#7: `sign-kmods --on-signed replace`"
	}
	return "sign with what every kernel has: `sign-kmods --hash sha256` and an RSA key of 2048, 3072 or 4096 bits; or build the digest into the kernel (CONFIG_CRYPTO_...=y)"
}

func (g *judging) tamperedHint(o outcome) string {
	switch o.rule {
	case ruleRevoked:
		return "sign with a key that is not revoked: `sign-kmods --on-signed replace`"
	case ruleFileHash:
		return "build and sign again: any change of the file changes its hash; or take the hash off with `mokutil --mokx --delete-hash`"
	}
	return "take the file that the build made and sign it again as the last step: `sign-kmods --on-signed replace`"
}

func (g *judging) compressionHint(o outcome) string {
	codec := g.codec()
	switch {
	case o.errno == eOPNOTSUPP:
		return "let kmod decompress, or ship the module plain (.ko); the kernel needs CONFIG_MODULE_DECOMPRESS=y for this"
	case o.rule == ruleKmodCodec:
		return "sign first and compress afterwards (sign-kmods does), in a codec that the target's kmod has; plain .ko always works"
	case codec == "none":
		return "ship the module plain (.ko)"
	}
	return fmt.Sprintf("compress as %s, for xz with `xz --check=crc32 --lzma2=dict=1MiB`; sign-kmods does", codec)
}
