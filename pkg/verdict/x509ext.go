package verdict

// noteExtension reads the four extensions that the kernel looks at
// (x509_process_extension). keyUsage and basicConstraints since 6.4.
func (p *certParser) noteExtension(e element) Errno {
	v := e.val
	switch p.last {
	case oidSubjectKeyID:
		if p.c.keyID != nil || len(v) < 3 || v[0] != tagOctets || int(v[1]) != len(v)-2 {
			return eBADMSG
		}
		p.c.keyID = keyIdentifier(v[2:], nil)
	case oidAuthorityKeyID:
		p.akid = keyIdentifier(v, nil)
	case oidKeyUsage:
		return p.keyUsage(v)
	case oidConstraints:
		return p.basicConstraints(v)
	}
	return noError
}

// keyUsage: a BIT STRING of one or two bytes; 0x80 is digitalSignature, 0x04
// keyCertSign (RFC 5280 section 4.2.1.3).
func (p *certParser) keyUsage(v []byte) Errno {
	if !p.k.rules.readsKeyUsage {
		return noError
	}
	if len(v) < 4 || v[0] != tagBits || v[2] >= 8 {
		return eBADMSG
	}
	p.c.digitalSignature = p.c.digitalSignature || v[3]&0x80 != 0
	if v[3]&0x04 != 0 && (v[1] == 2 && v[2] <= 2 || len(v) > 4 && v[1] == 3) {
		p.c.certSign = true
	}
	return noError
}

// basicConstraints: an empty SEQUENCE, or one that starts with BOOLEAN TRUE.
func (p *certParser) basicConstraints(v []byte) Errno {
	if !p.k.rules.readsKeyUsage {
		return noError
	}
	if len(v) < 2 || v[0] != tagSequence || int(v[1]) != len(v)-2 {
		return eBADMSG
	}
	if v[1] == 0 {
		return noError
	}
	if len(v) < 5 || v[2] != tagBoolean || v[3] != 1 || v[4] != 0xff {
		return eBADMSG
	}
	p.c.isCA = true
	return noError
}

func (p *certParser) akidKeyID(e element) Errno {
	if p.c.authorityKeyID == nil {
		p.c.authorityKeyID = keyIdentifier(e.val, nil)
	}
	return noError
}

func (p *certParser) akidIssuer(e element) Errno {
	p.akidName = keyIdentifier(e.val, nil)
	return noError
}

func (p *certParser) akidSerial(e element) Errno {
	if p.akidName != nil && p.c.authorityID == nil {
		p.c.authorityID = keyIdentifier(e.val, p.akidName)
	}
	return noError
}
