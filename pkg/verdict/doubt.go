package verdict

import (
	"encoding/hex"
	"slices"
	"strings"
)

// doubtMachine notes what decides whether a certificate of the MOK list gets
// into .machine, where no config tells. On Debian .platform does as well.
func (g *judging) doubtMachine(t *trusted) {
	switch {
	case t == nil, g.facts.Config != nil, g.rules.platformRetry, t.anchor.Where != MOK:
	case g.version.before(version{5, 18}):
		g.note("whether the MOK list counts for modules: before Linux 5.18 it does where the distribution made it so, and there is no kernel config")
	case t.isCA && t.certSign && !t.digitalSignature:
		g.note("whether the MOK list counts for modules (INTEGRITY_MACHINE_KEYRING): no kernel config")
	default:
		g.note("whether the MOK list counts for modules (INTEGRITY_MACHINE_KEYRING), and not its CAs alone (INTEGRITY_CA_MACHINE_KEYRING): no kernel config")
	}
}

// doubtNoKey notes what would make a key available.
func (g *judging) doubtNoKey(m *message) {
	if !g.rules.platformRetry && g.platformKey(m) != nil {
		g.note("whether the kernel asks .platform, too, as Debian's does: no option of its config tells, and it is taken as not asking")
	}
	if name := g.knownKey(m); name != "" {
		g.note("the signature: the kernel has a key named " + name + ", whose certificate is not at hand")
	}
	if !slices.ContainsFunc(g.config.Anchors, func(a Anchor) bool { return a.Where == Builtin }) {
		g.note("the keys that the kernel was built with: --trust builtin:FILE names none")
	}
}

// knownKey is the name of a key that the kernel is known to have and that may
// be the signer's, or its issuer's: it has the key id or the name that the signature tells.
func (g *judging) knownKey(m *message) string {
	for _, key := range g.config.Keys {
		name, id := key, ""
		if i := strings.LastIndex(key, ": "); i >= 0 {
			name, id = key[:i], key[i+2:]
		}
		if g.issuer != "" && (name == g.issuer || strings.HasSuffix(name, ": "+g.issuer)) {
			return name
		}
		for _, s := range m.signers {
			if id != "" && hex.EncodeToString(s.id) == id {
				return name
			}
		}
	}
	return ""
}

// doubtContent notes what the kernel looks at in a module and this package does
// not: type information, and what a live patch patches.
func (g *judging) doubtContent() {
	release, _, _ := strings.Cut(g.elf.Vermagic, " ")
	mismatch := g.facts.Config == nil || g.is("DEBUG_INFO_BTF_MODULES") && !g.is("MODULE_ALLOW_BTF_MISMATCH")
	if g.release != "" && g.release != release && mismatch && len(g.image.named(".BTF", false)) > 0 {
		g.note("whether its BTF fits the kernel's: it was made for " + release)
	}
	if len(g.elf.Info["livepatch"]) > 0 {
		g.note("whether the kernel takes live patches (LIVEPATCH), and has what this one patches")
	}
}
