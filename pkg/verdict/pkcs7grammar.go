package verdict

// grammar is crypto/asymmetric_keys/pkcs7.asn1 as the kernel's decoder runs it:
//
//	ContentInfo  ::= SEQUENCE { contentType OID, content [0] SignedData OPTIONAL }
//	SignedData   ::= SEQUENCE {
//	    version INTEGER,
//	    digestAlgorithms  SET OF Algorithm | SEQUENCE OF Algorithm,
//	    contentInfo       SEQUENCE { contentType OID, content [0] ANY OPTIONAL },
//	    certificates      [0] SET OF ANY | [2] SEQUENCE OF ANY, OPTIONAL,
//	    crls              [1] SET OF SEQUENCE OF ANY | [3] the same, OPTIONAL,
//	    signerInfos       SET OF SignerInfo | SEQUENCE OF SignerInfo }
//	SignerInfo   ::= SEQUENCE {
//	    version INTEGER,
//	    sid               SEQUENCE { Name, serial INTEGER } | [0] key id,
//	    digestAlgorithm   Algorithm,
//	    signedAttrs       [0] SET OF Attribute | [2] SEQUENCE OF Attribute, OPTIONAL,
//	    signatureAlgorithm Algorithm,
//	    signature         OCTET STRING,
//	    unsignedAttrs     [1] SET OF Attribute | [3] SEQUENCE OF Attribute, OPTIONAL }
//	Algorithm    ::= SEQUENCE { OID, parameters ANY OPTIONAL }
//	Attribute    ::= SEQUENCE { OID, SET OF ANY }
//	Name         ::= SEQUENCE OF SET OF SEQUENCE { OID, ANY }
//
// A certificate in crls is read like one in certificates.
func (m *message) grammar() []step {
	return []step{{tag: tagSequence, body: []step{
		{tag: tagOID, act: m.noteOID},
		{kind: stepAct, act: m.contentType},
		{tag: context(0), skip: true, call: true, body: []step{{tag: tagSequence, body: m.signedData()}}},
	}}}
}

func (m *message) signedData() []step {
	algorithms := []step{{tag: tagSequence, call: true, body: m.algorithm()}}
	cert := step{any: true, act: m.certificate}
	list := []step{{tag: tagSequence, call: true, many: true, body: []step{cert}}}
	signer := []step{{tag: tagSequence, call: true, body: m.signerInfo(), end: m.noteSigner}}
	anyCert := []step{
		{any: true, skip: true, act: m.certificate},
		{any: true, skip: true, cond: true, act: m.certificate},
		{kind: stepFail},
	}
	return []step{
		{tag: tagInteger, act: m.noteVersion},
		{tag: tagSet, skip: true, call: true, many: true, body: algorithms},
		{tag: tagSequence, skip: true, cond: true, call: true, many: true, body: algorithms},
		{kind: stepFail},
		{tag: tagSequence, body: []step{
			{tag: tagOID, act: m.noteOID},
			{kind: stepAct, act: m.noteOID},
			{tag: context(0), skip: true, call: true, body: []step{{any: true, act: m.noteData}}},
		}},
		{kind: stepAct, act: m.noteContent},
		{tag: context(0), skip: true, call: true, many: true, body: anyCert},
		{tag: context(2), skip: true, cond: true, call: true, many: true, body: []step{cert}},
		{kind: stepAct, act: m.noteCertificates},
		{tag: context(1), skip: true, call: true, many: true, body: list},
		{tag: context(3), skip: true, cond: true, call: true, many: true, body: list},
		{tag: tagSet, skip: true, call: true, many: true, body: signer},
		{tag: tagSequence, skip: true, cond: true, call: true, many: true, body: signer},
		{kind: stepFail},
	}
}

func (m *message) algorithm() []step {
	return []step{{tag: tagOID, act: m.noteOID}, {any: true, skip: true}}
}

func (m *message) signerInfo() []step {
	signed := []step{{tag: tagSequence, call: true, body: []step{
		{tag: tagOID, act: m.noteOID},
		{tag: tagSet, many: true, body: []step{{any: true, act: m.noteAttribute}}},
	}}}
	unsigned := []step{{tag: tagSequence, call: true, body: []step{
		{tag: tagOID},
		{tag: tagSet, many: true, body: []step{{any: true}}},
	}}}
	return []step{
		{tag: tagInteger, act: m.noteSignerVersion},
		{tag: tagSequence, skip: true, call: true, body: []step{
			{tag: tagSequence, many: true, body: nameParts(m.noteOID, nil)},
			{kind: stepAct, act: m.noteIssuer},
			{tag: tagInteger},
			{kind: stepAct, act: m.noteSerial},
		}},
		{tag: primitive(0), skip: true, cond: true, act: m.noteKeyID},
		{kind: stepFail},
		{tag: tagSequence, call: true, body: m.algorithm()},
		{kind: stepAct, act: m.noteDigest},
		{tag: context(0), skip: true, call: true, many: true, body: signed},
		{kind: stepMaybe, act: m.noteAttributes},
		{tag: context(2), skip: true, cond: true, call: true, body: []step{{tag: tagSequence, many: true, body: signed}}},
		{tag: tagSequence, body: m.algorithm()},
		{kind: stepAct, act: m.noteSignatureAlgorithm},
		{tag: tagOctets, act: m.noteSignature},
		{tag: context(1), skip: true, call: true, many: true, body: unsigned},
		{tag: context(3), skip: true, cond: true, call: true, many: true, body: unsigned},
	}
}

// nameParts is the content of a Name.
func nameParts(kind, value action) []step {
	return []step{{tag: tagSet, many: true, body: []step{{tag: tagSequence, body: []step{
		{tag: tagOID, act: kind},
		{any: true, act: value},
	}}}}}
}
