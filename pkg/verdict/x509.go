package verdict

import "bytes"

// certificate is one as crypto/asymmetric_keys/x509_cert_parser.c reads it:
// of dates and extensions only what the kernel itself looks at.
type certificate struct {
	raw, tbs                         []byte
	rawSerial, rawIssuer, rawSubject []byte // contents, without tag and length
	subject                          string // as the kernel names the key
	keyID                            []byte // SubjectKeyIdentifier, nil for none
	id                               []byte // serial and issuer
	authorityID, authorityKeyID      []byte // of the issuer's certificate, nil for none
	key                              publicKey
	sig                              signature
	from, to                         int64

	isCA, certSign, digitalSignature bool
	selfSigned, unsupported, blocked bool

	// while a message is verified
	seen, verified bool
	signer         *certificate
}

// certParser is the state of one reading.
type certParser struct {
	k         *kernel
	c         *certificate
	data      []byte
	last      oid
	sigAlgo   oid
	params    []byte
	haveKey   bool
	akid      []byte
	akidName  []byte
	org, name []byte
	email     []byte
	issuer    bool // its name was made
}

// parseCertificate reads one certificate; bytes behind it are ignored.
func (k *kernel) parseCertificate(data []byte) (*certificate, Errno) {
	p := &certParser{k: k, c: &certificate{raw: data}, data: data}
	if e := decode(data, p.grammar()); e != noError {
		return nil, e
	}
	if p.akid != nil {
		if e := decode(p.akid, p.akidGrammar()); e != noError {
			k.say("X.509: Couldn't decode AuthKeyIdentifier")
			return nil, e
		}
	}
	k.digestCertificate(p.c)
	p.c.id = keyIdentifier(p.c.rawSerial, p.c.rawIssuer)
	if e := k.checkSelfSigned(p.c); e != noError {
		return nil, e
	}
	return p.c, noError
}

// digestCertificate looks for the hash of the certificate on the block list
// (x509_get_sig_params).
func (k *kernel) digestCertificate(c *certificate) {
	hash := c.sig.hash
	if k.rules.certHashSHA256 {
		hash = "sha256"
	}
	if !c.sig.takesData {
		c.unsupported = !k.hasHash(c.sig.hash)
	}
	if c.unsupported && !k.rules.certHashSHA256 {
		return
	}
	sum := digest(hash, c.tbs)
	if k.blockedCerts[string(sum)] {
		k.say("X.509: Cert %x is blacklisted", sum)
		c.blocked = true
	}
	if !c.sig.takesData {
		c.sig.sum = digest(c.sig.hash, c.tbs)
	} else {
		c.sig.sum = c.tbs
	}
}

// checkSelfSigned is x509_check_for_self_signed: a certificate that names
// itself as its issuer must be signed by its own key.
func (k *kernel) checkSelfSigned(c *certificate) Errno {
	if !bytes.Equal(c.rawSubject, c.rawIssuer) {
		return noError
	}
	if c.authorityID != nil || c.authorityKeyID != nil {
		byKey, byID := sameID(c.keyID, c.authorityKeyID), sameID(c.id, c.authorityID)
		if !byKey && !byID {
			return noError
		}
		if byKey != byID && c.authorityID != nil && c.authorityKeyID != nil {
			return eKEYREJECTED
		}
	}
	if c.unsupported {
		return noError
	}
	switch e := k.verifySignature(&c.key, &c.sig); e {
	case noError:
		c.selfSigned = true
	case eNOPKG:
		c.unsupported = true
	default:
		return e
	}
	return noError
}

// sameID compares key names; none is like none.
func sameID(a, b []byte) bool { return a != nil && b != nil && bytes.Equal(a, b) }

func (p *certParser) noteOID(e element) Errno {
	p.last = p.k.oids.find(e.val)
	return noError
}

func (p *certParser) noteSerial(e element) Errno { p.c.rawSerial = e.val; return noError }

func (p *certParser) noteSigAlgo(element) Errno {
	hash, key, encoding := p.k.certSignature(p.last)
	if key == "" {
		return eNOPKG
	}
	p.sigAlgo = p.last
	p.c.sig = signature{hash: hash, key: key, encoding: encoding, takesData: isMLDSA(key)}
	return noError
}

func (p *certParser) noteIssuer(e element) Errno {
	p.c.rawIssuer = e.val
	p.issuer = true
	p.makeName()
	return noError
}

func (p *certParser) noteSubject(e element) Errno {
	p.c.rawSubject = e.val
	p.c.subject = p.makeName()
	return noError
}

func (p *certParser) noteNamePart(e element) Errno {
	switch p.last {
	case oidCommonName:
		p.name = e.val
	case oidOrganization:
		p.org = e.val
	case oidEmail:
		p.email = e.val
	}
	return noError
}

// makeName is the name that the kernel gives a key (x509_fabricate_name).
func (p *certParser) makeName() string {
	org, name, email := p.org, p.name, p.email
	p.org, p.name, p.email = nil, nil, nil
	switch {
	case len(name) > 0 && len(org) > 0:
		if bytes.HasPrefix(name, org) || len(name) >= 7 && len(org) >= 7 && bytes.Equal(name[:7], org[:7]) {
			return string(name)
		}
		return string(org) + ": " + string(name)
	case len(name) > 0:
		return string(name)
	case len(org) > 0:
		return string(org)
	}
	return string(email)
}

func (p *certParser) noteTBS(e element) Errno {
	p.c.tbs = p.data[e.off-e.hdr : e.off+len(e.val)]
	return noError
}

// noteParams keeps the parameters of the subject's key, the second of three.
func (p *certParser) noteParams(e element) Errno {
	if p.c.rawSubject != nil && !p.haveKey {
		p.params = p.data[e.off-e.hdr : e.off+len(e.val)]
	}
	return noError
}

func (p *certParser) noteKey(e element) Errno {
	algo, err := p.k.keyKind(p.last, p.params)
	if err != noError {
		return err
	}
	if len(e.val) < 1 || e.val[0] != 0 {
		return eBADMSG
	}
	p.haveKey = true
	p.c.key = publicKey{algo: algo, data: e.val[1:]}
	return noError
}

func (p *certParser) noteSignature(e element) Errno {
	if p.last != p.sigAlgo {
		p.k.say("X.509: signatureAlgorithm (%d) differs from tbsCertificate.signature (%d)",
			p.k.oids.number(p.last), p.k.oids.number(p.sigAlgo))
		return eINVAL
	}
	if len(e.val) < 1 || e.val[0] != 0 {
		return eBADMSG
	}
	p.c.sig.value = e.val[1:]
	return noError
}

func (p *certParser) notBefore(e element) (err Errno) { p.c.from, err = parseTime(e); return err }
func (p *certParser) notAfter(e element) (err Errno)  { p.c.to, err = parseTime(e); return err }
