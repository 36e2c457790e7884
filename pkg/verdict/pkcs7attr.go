package verdict

// Signed attributes: module signatures must not have any, but the kernel reads
// them before it says so, and one kernel option lets ML-DSA ones pass.

// noteAttribute is one value of a signed attribute.
func (m *message) noteAttribute(e element) Errno {
	s, kind := m.current, m.last
	switch kind {
	case oidContentType, oidSigningTime, oidMessageDigest, oidSMIMECaps, oidOpusInfo, oidStatementType:
	default:
		return noError
	}
	if s.seen == nil {
		s.seen = map[oid]bool{}
	}
	if s.seen[kind] {
		m.k.say("PKCS7: Repeated/multivalue AuthAttrs not permitted")
		return eKEYREJECTED
	}
	s.seen[kind] = true
	switch kind {
	case oidContentType:
		return m.matchContentType(e)
	case oidSigningTime:
		var err Errno
		s.signedAt, err = parseTime(e)
		return err
	case oidMessageDigest:
		if e.tag != tagOctets {
			return eBADMSG
		}
		s.digest = e.val
		return noError
	case oidSMIMECaps:
		return m.onlyAuthenticode("PKCS7: S/MIME Caps only allowed with Authenticode")
	default:
		return m.onlyAuthenticode("PKCS7: Authenticode AuthAttrs only allowed with Authenticode")
	}
}

func (m *message) matchContentType(e element) Errno {
	kind := m.k.oids.find(e.val)
	if kind != m.dataType {
		m.k.say("PKCS7: Mismatch between global data type (%d) and sinfo %d (%d)",
			m.k.oids.number(m.dataType), 0, m.k.oids.number(kind))
		return eBADMSG
	}
	return noError
}

func (m *message) onlyAuthenticode(line string) Errno {
	if m.dataType != oidIndirectData {
		m.k.say("%s", line)
		return eKEYREJECTED
	}
	return noError
}

// noteAttributes ends the set. What is signed is the set with the tag of a SET
// instead of [0] (RFC 5652 section 5.4).
func (m *message) noteAttributes(e element) Errno {
	s := m.current
	if !s.seen[oidContentType] || !s.seen[oidMessageDigest] {
		m.k.say("PKCS7: Missing required AuthAttr")
		return eBADMSG
	}
	if m.dataType != oidIndirectData && s.seen[oidOpusInfo] {
		m.k.say("PKCS7: Unexpected Authenticode AuthAttr")
		return eBADMSG
	}
	s.attributes = append([]byte{tagSet}, m.data[e.off-e.hdr+1:e.off+len(e.val)]...)
	return noError
}

// parseTime reads a UTCTime or GeneralizedTime as x509_decode_time does, in
// seconds since 1970.
func parseTime(e element) (int64, Errno) {
	v := e.val
	var year int
	switch {
	case e.tag == tagUTC && len(v) == 13:
		year = 1900 + two(v)
		if year < 1950 {
			year += 100
		}
		v = v[2:]
	case e.tag == tagGenTime && len(v) == 15:
		year = two(v)*100 + two(v[2:])
		if two(v) < 0 || two(v[2:]) < 0 || year >= 1950 && year <= 2049 {
			return 0, eBADMSG
		}
		v = v[4:]
	default:
		return 0, eBADMSG
	}
	month, day, hour, minute, second := two(v), two(v[2:]), two(v[4:]), two(v[6:]), two(v[8:])
	digits := two(e.val) >= 0 && min(month, day, hour, minute, second) >= 0
	if !digits || v[10] != 'Z' || year < 1970 || month < 1 || month > 12 ||
		day < 1 || day > monthLength(year, month) || hour > 24 || minute > 59 || second > 60 {
		return 0, eBADMSG
	}
	return unixTime(year, month, day, hour, minute, second), noError
}

// two is a number of two digits, far below zero where they are none.
func two(b []byte) int {
	if b[0] < '0' || b[0] > '9' || b[1] < '0' || b[1] > '9' {
		return -1 << 20
	}
	return int(b[0]-'0')*10 + int(b[1]-'0')
}
