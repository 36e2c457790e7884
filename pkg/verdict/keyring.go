package verdict

import (
	"encoding/hex"
)

// keyring is an ordered set of certificates. A later one with the same
// description takes the place of an earlier one (security/keys/keyring.c).
type keyring struct {
	name string
	keys []*trusted
}

// trusted is a certificate that the kernel loaded.
type trusted struct {
	*certificate
	anchor Anchor
	ring   string
}

func (r *keyring) add(c *certificate, a Anchor) {
	t := &trusted{certificate: c, anchor: a, ring: r.name}
	if a.Where == Builtin {
		t.ring = ringBuiltin
	}
	for i, old := range r.keys {
		if old.ring == t.ring && old.description() == c.description() {
			r.keys[i] = t
			return
		}
	}
	r.keys = append(r.keys, t)
}

// description is the name under which a key lies in a keyring (x509_key_preparse).
func (c *certificate) description() string {
	tail := c.keyID
	if tail == nil {
		tail = c.rawSerial
	}
	return c.subject + ": " + hex.EncodeToString(tail)
}

// find is find_asymmetric_key: by the first name if there is one, which may
// fit either of a key's two; the second must then be the key's own key id. A
// name without a byte is no search at all (asymmetric_key_match_preparse).
func (r *keyring) find(id, keyID []byte) (*trusted, Errno) {
	wanted := id
	if wanted == nil {
		wanted = keyID
	}
	if len(wanted) == 0 {
		return nil, eINVAL
	}
	for _, t := range r.keys {
		if !sameID(t.id, wanted) && !sameID(t.keyID, wanted) {
			continue
		}
		if id != nil && keyID != nil && !sameID(t.keyID, keyID) {
			return nil, eKEYREJECTED
		}
		return t, noError
	}
	return nil, eNOKEY
}

// rings are the keyrings that module signatures are checked against.
type rings struct {
	secondary keyring // .builtin_trusted_keys, .secondary_trusted_keys and .machine
	platform  keyring // .platform: db, and what may not enter .machine
	revoked   keyring // certificates in .blacklist
	unloaded  []unloaded
}

// unloaded is an anchor that the kernel puts nowhere, with the reason.
type unloaded struct {
	cert   *certificate // nil: the kernel cannot read it
	reason string
}

// fill puts every anchor where the kernel would (load_uefi.c, machine_keyring.c,
// restrict.c), in the order in which it does.
func (k *kernel) fill(c *Config) {
	k.rings.secondary.name, k.rings.platform.name = ringMachine, ringPlatform
	for _, a := range c.anchors() {
		if a.Where == Builtin {
			k.load(&k.rings.secondary, a, "")
		}
	}
	for _, a := range c.anchors() {
		if a.Where == DB {
			k.load(&k.rings.platform, a, k.rules.noPlatform)
		}
	}
	k.fillRevoked(c)
	for _, a := range c.anchors() {
		if a.Where == MOK {
			k.loadMOK(a)
		}
	}
	k.log = nil
}

const (
	ringBuiltin  = ".builtin_trusted_keys"
	ringMachine  = ".machine"
	ringPlatform = ".platform"
)

// load adds a certificate that the kernel can read; refusal is why the ring
// does not exist, if it does not.
func (k *kernel) load(r *keyring, a Anchor, refusal string) *certificate {
	c, e := k.parseCertificate(a.DER)
	switch {
	case e != noError:
		refusal = "the kernel cannot load the certificate (" + string(e) + ")"
	case c.blocked:
		refusal = "its hash is on the block list"
	}
	if refusal != "" {
		k.leaveOut(c, e, refusal)
		return nil
	}
	r.add(c, a)
	return c
}

// leaveOut notes a certificate, as it was parsed, that goes nowhere.
func (k *kernel) leaveOut(c *certificate, e Errno, reason string) {
	if e != noError {
		c = nil
	}
	k.rings.unloaded = append(k.rings.unloaded, unloaded{c, reason})
}

func (k *kernel) loadMOK(a Anchor) {
	c, e := k.parseCertificate(a.DER)
	if k.rules.noMOK != "" {
		k.leaveOut(c, e, k.rules.noMOK)
		return
	}
	if e == noError && k.rules.machine && k.mayEnterMachine(c) && !c.blocked {
		k.rings.secondary.add(c, a)
		return
	}
	k.load(&k.rings.platform, a, k.rules.noPlatform)
}

// mayEnterMachine is restrict_link_by_ca.
func (k *kernel) mayEnterMachine(c *certificate) bool {
	if !k.rules.machineCA {
		return true
	}
	return c.isCA && c.certSign && (!k.rules.machineCAMax || !c.digitalSignature)
}

// fillRevoked reads dbx and MokListX. Certificates count only with
// SYSTEM_REVOCATION_LIST, hashes always.
func (k *kernel) fillRevoked(c *Config) {
	k.blockedCerts, k.blockedFiles = map[string]bool{}, map[string]bool{}
	for _, r := range c.Revoked {
		if r.Where == MOK && k.rules.noMOK != "" {
			continue
		}
		switch {
		case len(r.CertSHA256) > 0:
			k.blockedCerts[string(r.CertSHA256)] = true
		case len(r.SHA256) > 0:
			k.blockedFiles[string(r.SHA256)] = true
		case k.rules.revocation:
			if cert, e := k.parseCertificate(r.DER); e == noError {
				k.rings.revoked.add(cert, Anchor{DER: r.DER, Where: r.Where})
			}
		}
	}
}
