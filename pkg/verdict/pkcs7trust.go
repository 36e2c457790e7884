package verdict

// validate is pkcs7_validate_trust: does a key in ring vouch for a signer?
// The anchor is the key that did.
func (k *kernel) validate(m *message, ring *keyring) (*trusted, Errno) {
	for _, c := range m.certs {
		c.seen = false
	}
	var anchor *trusted
	result := eNOKEY
	for _, s := range m.signers {
		t, e := k.validateSigner(s, ring)
		switch e {
		case eNOKEY:
		case eNOPKG:
			if result == eNOKEY {
				result = eNOPKG
			}
		case noError:
			result = noError
			if anchor == nil {
				anchor = t
			}
		default:
			return t, e
		}
	}
	return anchor, result
}

// validateSigner looks for one of the signer's embedded certificates, then for
// the issuer of the last of them, then for the signer itself among the keys.
// A key that was found decides: its refusal is final.
func (k *kernel) validateSigner(s *signerInfo, ring *keyring) (*trusted, Errno) {
	if s.unsupported {
		return nil, eNOPKG
	}
	sig := &s.sig
	var last *certificate
	for c := s.signer; c != nil; c = c.signer {
		if c.seen {
			if c.verified {
				s.markVerified(c)
				return nil, noError
			}
			return nil, eNOKEY
		}
		c.seen = true
		if t, e := ring.find(c.id, c.keyID); e == noError {
			return k.matched(s, t, sig, c)
		}
		if c.signer == c {
			return nil, eNOKEY
		}
		last, sig = c, &c.sig
	}
	if last != nil && (last.authorityID != nil || last.authorityKeyID != nil) {
		t, e := ring.find(last.authorityID, last.authorityKeyID)
		if e == noError {
			return k.matched(s, t, sig, last)
		}
		if e != eNOKEY {
			return nil, e
		}
	}
	t, e := ring.find(s.id, nil)
	if e != noError {
		return nil, e
	}
	return k.matched(s, t, &s.sig, nil)
}

// matched: the key must verify what it stands for; any failure is a rejection.
func (k *kernel) matched(s *signerInfo, t *trusted, sig *signature, upTo *certificate) (*trusted, Errno) {
	if e := k.verifySignature(&t.key, sig); e != noError {
		return t, eKEYREJECTED
	}
	if upTo != nil {
		s.markVerified(upTo)
	}
	return t, noError
}

func (s *signerInfo) markVerified(upTo *certificate) {
	upTo.verified = true
	for p := s.signer; p != upTo; p = p.signer {
		p.verified = true
	}
}
