package verdict

import (
	"bytes"
	"fmt"
)

// message is a signature as crypto/asymmetric_keys/pkcs7_parser.c takes it apart.
type message struct {
	k    *kernel
	data []byte

	last     oid // identifier read last, "" for an unknown one
	version  byte
	dataType oid
	attached bool

	certs, pending []*certificate
	signers        []*signerInfo
	attributes     bool // the signers have signed attributes
	waivable       bool // ... and all of them are ML-DSA

	current               *signerInfo
	serial, issuer, keyID []byte // of the signer read last
	byKeyID               bool
}

// signerInfo is one signature in a message.
type signerInfo struct {
	id         []byte // serial and issuer, or the key id
	byKeyID    bool
	sig        signature
	attributes []byte // signed ones as a SET, nil for none
	seen       map[oid]bool
	digest     []byte // messageDigest attribute
	signedAt   int64

	signer      *certificate // embedded
	blocked     bool         // its certificate is on the block list
	unsupported bool
}

// parseMessage reads data; a refusal is the errno that the kernel gives.
func (k *kernel) parseMessage(data []byte) (*message, Errno) {
	m := &message{k: k, data: data, current: &signerInfo{}}
	if e := decode(data, m.grammar()); e != noError {
		return nil, e
	}
	return m, m.checkAttributes()
}

// withoutData drops what only reading and verifying need: a message holds on
// to the module's bytes otherwise.
func (m *message) withoutData() *message {
	if m == nil {
		return nil
	}
	out := &message{issuer: bytes.Clone(m.issuer)}
	for _, s := range m.signers {
		out.signers = append(out.signers, &signerInfo{id: s.id})
	}
	for range m.certs {
		out.certs = append(out.certs, nil)
	}
	return out
}

// checkAttributes wants all signers or none to have signed attributes.
func (m *message) checkAttributes() Errno {
	if len(m.signers) == 0 {
		m.k.say("PKCS7: Inconsistently supplied authAttrs")
		return eINVAL
	}
	m.attributes = m.signers[0].attributes != nil
	m.waivable = m.signers[0].sig.takesData
	for _, s := range m.signers {
		if (s.attributes != nil) != m.attributes {
			m.k.say("PKCS7: Inconsistently supplied authAttrs")
			return eINVAL
		}
		if s.sig.takesData && s.attributes == nil {
			s.sig.hash = "none"
		}
	}
	return noError
}

func (m *message) noteOID(e element) Errno {
	m.last = m.k.oids.find(e.val)
	if m.last == "" {
		m.k.say("PKCS7: Unknown OID: [%d] %s", e.off, printOID(e.val))
	}
	return noError
}

func (m *message) contentType(element) Errno {
	if m.last != oidSignedData {
		m.k.say("PKCS7: Only support pkcs7_signedData type")
		return eINVAL
	}
	return noError
}

func (m *message) noteVersion(e element) Errno {
	if len(e.val) != 1 || e.val[0] != 1 && e.val[0] != 3 {
		m.k.say("PKCS7: Unsupported SignedData version")
		return eINVAL
	}
	m.version = e.val[0]
	return noError
}

func (m *message) noteSignerVersion(e element) Errno {
	if len(e.val) != 1 || e.val[0] != 1 && e.val[0] != 3 {
		m.k.say("PKCS7: Unsupported SignerInfo version")
		return eINVAL
	}
	if (e.val[0] == 1) != (m.version == 1) {
		m.k.say("PKCS7: SignedData-SignerInfo version mismatch")
		return eBADMSG
	}
	m.byKeyID = e.val[0] == 3
	return noError
}

// certificate reads an embedded certificate. The kernel hands on what lies
// behind one of indefinite length, too, so that its end is found.
func (m *message) certificate(e element) Errno {
	if e.tag != tagSequence {
		return eBADMSG
	}
	c, err := m.k.parseCertificate(m.data[e.off-e.hdr : e.off+len(e.val)])
	if err != noError {
		return err
	}
	m.pending = append(m.pending, c)
	return noError
}

func (m *message) noteCertificates(element) Errno {
	m.certs, m.pending = append(m.pending, m.certs...), nil
	return noError
}

func (m *message) noteContent(element) Errno {
	if m.last != oidData && m.last != oidIndirectData {
		m.k.say("PKCS7: Unsupported data type %d", m.k.oids.number(m.last))
		return eINVAL
	}
	m.dataType = m.last
	return noError
}

func (m *message) noteData(element) Errno {
	m.attached = true
	return noError
}

func (m *message) noteIssuer(e element) Errno { m.issuer = e.val; return noError }
func (m *message) noteSerial(e element) Errno { m.serial = e.val; return noError }
func (m *message) noteKeyID(e element) Errno  { m.keyID = e.val; return noError }

func (m *message) noteSignature(e element) Errno {
	m.current.sig.value = e.val
	return noError
}

func (m *message) noteDigest(element) Errno {
	hash := m.k.digestName(m.last)
	if hash == "" {
		m.k.say("Unsupported digest algo: %d", m.k.oids.number(m.last))
		return eNOPKG
	}
	m.current.sig.hash = hash
	return noError
}

func (m *message) noteSignatureAlgorithm(element) Errno {
	key, encoding := m.k.signatureKind(m.last)
	if key == "" {
		m.k.say("Unsupported pkey algo: %d", m.k.oids.number(m.last))
		return eNOPKG
	}
	m.current.sig.key, m.current.sig.encoding = key, encoding
	m.current.sig.takesData = isMLDSA(key)
	return noError
}

// noteSigner ends a SignerInfo. The kernel does not forget the names of the
// signer before, which counts where this one has none of the wanted form.
func (m *message) noteSigner(element) Errno {
	s := m.current
	if m.dataType == oidIndirectData && s.attributes == nil {
		m.k.say("PKCS7: Authenticode requires AuthAttrs")
		return eBADMSG
	}
	s.byKeyID = m.byKeyID
	if s.byKeyID {
		s.id = keyIdentifier(m.keyID, nil)
	} else {
		s.id = keyIdentifier(m.serial, m.issuer)
	}
	m.signers, m.current = append(m.signers, s), &signerInfo{}
	return noError
}

// keyIdentifier is how the kernel names a key: the bytes of both parts in a
// row (asymmetric_key_generate_id). Never nil.
func keyIdentifier(a, b []byte) []byte {
	return append(append(make([]byte, 0, len(a)+len(b)), a...), b...)
}

// log line of a message; the kernel's own lines.
func (k *kernel) say(format string, args ...any) {
	k.log = append(k.log, fmt.Sprintf(format, args...))
}
