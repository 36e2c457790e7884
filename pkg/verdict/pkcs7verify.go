package verdict

import "bytes"

// verify is pkcs7_verify: that the message fits data and itself, whoever made it.
func (k *kernel) verify(m *message, data []byte) Errno {
	if m.dataType != oidData {
		k.say("PKCS7: Invalid module sig (not pkcs7-data)")
		return eKEYREJECTED
	}
	if m.attributes {
		if !m.waivable || !k.rules.waivesAttributes {
			k.say("PKCS7: Invalid module sig (has authattrs)")
			return eKEYREJECTED
		}
		k.say("PKCS7: Waived invalid module sig (has authattrs)")
	}
	result := eNOPKG
	for i, s := range m.signers {
		e := k.verifySigner(m, s, data, i+1)
		switch {
		case s.blocked:
			if result == eNOPKG {
				result = eKEYREJECTED
			}
		case e == eNOPKG:
			s.unsupported = true
		case e != noError:
			return e
		default:
			result = noError
		}
	}
	return result
}

// verifySigner checks one signature as far as the message itself brings the
// certificates (pkcs7_verify_one).
func (k *kernel) verifySigner(m *message, s *signerInfo, data []byte, index int) Errno {
	if e := k.digestMessage(s, data, index); e != noError {
		return e
	}
	for _, c := range m.certs {
		if bytes.Equal(c.id, s.id) {
			s.signer = c
			break
		}
	}
	if s.signer == nil {
		return noError
	}
	if s.seen[oidSigningTime] && (s.signedAt < s.signer.from || s.signedAt > s.signer.to) {
		k.say("PKCS7: Message signed outside of X.509 validity window")
		return eKEYREJECTED
	}
	if e := k.verifySignature(&s.signer.key, &s.sig); e != noError {
		return e
	}
	return k.verifyChain(m, s, index)
}

// digestMessage is pkcs7_digest.
func (k *kernel) digestMessage(s *signerInfo, data []byte, index int) Errno {
	if s.sig.takesData && s.attributes == nil {
		s.sig.sum = data
		return noError
	}
	if !k.hasHash(s.sig.hash) {
		return eNOPKG
	}
	s.sig.sum = digest(s.sig.hash, data)
	if s.attributes == nil {
		return noError
	}
	if len(s.digest) != len(s.sig.sum) {
		k.say("PKCS7: Sig %d: Invalid digest size (%d)", index, len(s.digest))
		return eBADMSG
	}
	if !bytes.Equal(s.digest, s.sig.sum) {
		k.say("PKCS7: Sig %d: Message digest doesn't match", index)
		return eKEYREJECTED
	}
	s.sig.sum = s.attributes
	if !s.sig.takesData {
		s.sig.sum = digest(s.sig.hash, s.attributes)
	}
	return noError
}

// verifyChain walks from the signer's certificate up as far as the message
// goes, and checks each step (pkcs7_verify_sig_chain).
func (k *kernel) verifyChain(m *message, s *signerInfo, index int) Errno {
	for _, c := range m.certs {
		c.seen = false
	}
	for c := s.signer; ; {
		c.seen = true
		if c.blocked {
			s.blocked = true
			for p := s.signer; p != c; p = p.signer {
				p.blocked = true
			}
			return noError
		}
		if c.selfSigned {
			if !c.unsupported {
				c.signer = c
			}
			return noError
		}
		up, e := k.issuerOf(m, c, index)
		if up == nil || e != noError {
			return e
		}
		if up.seen {
			k.say("PKCS7: Sig %d: X.509 chain contains loop", index)
			return noError
		}
		if e := k.verifySignature(&up.key, &c.sig); e != noError {
			return e
		}
		c.signer, c = up, up
	}
}

// issuerOf finds the embedded certificate that c names as its issuer's.
func (k *kernel) issuerOf(m *message, c *certificate, index int) (*certificate, Errno) {
	if c.authorityID == nil {
		for _, p := range m.certs {
			if sameID(p.keyID, c.authorityKeyID) {
				return p, noError
			}
		}
		return nil, noError
	}
	for i, p := range m.certs {
		if !sameID(p.id, c.authorityID) {
			continue
		}
		if c.authorityKeyID != nil && !sameID(p.keyID, c.authorityKeyID) {
			k.say("PKCS7: Sig %d: X.509 chain contains auth-skid nonmatch (%d->%d)", index, m.indexOf(c), i+1)
			return nil, eKEYREJECTED
		}
		return p, noError
	}
	return nil, noError
}

// indexOf counts certificates from 1 in the order of the message.
func (m *message) indexOf(c *certificate) int {
	for i, p := range m.certs {
		if p == c {
			return i + 1
		}
	}
	return 0
}
