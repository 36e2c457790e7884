package verdict

// grammar is crypto/asymmetric_keys/x509.asn1 as the kernel's decoder runs it:
//
//	Certificate ::= SEQUENCE { tbs, Algorithm, signature BIT STRING }
//	tbs         ::= SEQUENCE {
//	    version [0] INTEGER OPTIONAL, serial INTEGER, Algorithm, issuer Name,
//	    validity SEQUENCE { Time, Time }, subject Name,
//	    key SEQUENCE { Algorithm, BIT STRING },
//	    [1] OPTIONAL, [2] OPTIONAL, extensions [3] SEQUENCE OF Extension OPTIONAL }
//	Algorithm   ::= SEQUENCE { OID, parameters ANY OPTIONAL }
//	Extension   ::= SEQUENCE { OID, BOOLEAN OPTIONAL, OCTET STRING }
//	Time        ::= UTCTime | GeneralizedTime
func (p *certParser) grammar() []step {
	algorithm := step{tag: tagSequence, call: true, body: []step{
		{tag: tagOID, act: p.noteOID},
		{any: true, skip: true, act: p.noteParams},
	}}
	name := step{tag: tagSequence, call: true, many: true, body: nameParts(p.noteOID, p.noteNamePart)}
	extension := step{tag: tagSequence, body: []step{
		{tag: tagOID, act: p.noteOID},
		{tag: tagBoolean, skip: true},
		{tag: tagOctets, act: p.noteExtension},
	}}
	validity := append(timeOf(p.notBefore), timeOf(p.notAfter)...)
	tbs := []step{
		{tag: context(0), skip: true, call: true, body: []step{{tag: tagInteger}}},
		{tag: tagInteger},
		{kind: stepAct, act: p.noteSerial},
		algorithm,
		{kind: stepAct, act: p.noteSigAlgo},
		name,
		{kind: stepAct, act: p.noteIssuer},
		{tag: tagSequence, body: validity},
		name,
		{kind: stepAct, act: p.noteSubject},
		{tag: tagSequence, body: []step{algorithm, {tag: tagBits, act: p.noteKey}}},
		{tag: primitive(1), skip: true},
		{tag: primitive(2), skip: true},
		{tag: context(3), skip: true, call: true, body: []step{
			{tag: tagSequence, many: true, body: []step{extension}},
		}},
	}
	return []step{{tag: tagSequence, body: []step{
		{tag: tagSequence, body: tbs},
		{kind: stepAct, act: p.noteTBS},
		algorithm,
		{tag: tagBits, act: p.noteSignature},
	}}}
}

func timeOf(act action) []step {
	return []step{
		{tag: tagUTC, skip: true},
		{tag: tagGenTime, skip: true, cond: true},
		{kind: stepFail},
		{kind: stepAct, act: act},
	}
}

// akidGrammar is x509_akid.asn1, the AuthorityKeyIdentifier (RFC 5280 section
// 4.2.1.1). Before 6.12 some forms of GeneralName were read otherwise; they
// do not occur in certificates of signers.
//
//	AKID        ::= SEQUENCE { [0] key id OPTIONAL, [1] SEQUENCE OF GeneralName OPTIONAL,
//	                           [2] serial OPTIONAL }
//	GeneralName ::= [0] | [1] | [2] | [3] ANY | [4] Name | [5] | [6] | [7] | [8]
func (p *certParser) akidGrammar() []step {
	anyIn := func(n byte) step { return step{tag: context(n), body: []step{{any: true}}} }
	wrap := func(s step) step { s.skip, s.cond, s.call = true, true, true; return s }
	leaf := func(n byte) step { return step{tag: primitive(n), skip: true, cond: true} }
	other := wrap(step{tag: context(0), body: []step{{tag: tagOID}, anyIn(0)}})
	other.cond = false
	nameAssigner := wrap(anyIn(0))
	nameAssigner.cond = false
	directory := step{tag: context(4), body: []step{
		{tag: tagSequence, many: true, body: nameParts(p.noteOID, p.noteNamePart)},
		{kind: stepAct, act: p.akidIssuer},
	}}
	general := []step{
		other, leaf(1), leaf(2), wrap(anyIn(3)), wrap(directory),
		wrap(step{tag: context(5), body: []step{nameAssigner, anyIn(1)}}),
		leaf(6), leaf(7), leaf(8),
		{kind: stepFail},
	}
	return []step{{tag: tagSequence, body: []step{
		{tag: primitive(0), skip: true, act: p.akidKeyID},
		{tag: context(1), skip: true, call: true, many: true, body: general},
		{tag: primitive(2), skip: true, act: p.akidSerial},
	}}}
}
