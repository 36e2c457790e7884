package keys

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"strings"

	"github.com/kmodseal/kmodseal/pkg/fault"
)

const pemBegin = "-----BEGIN "

// bundle is what a file holds; nothing is decrypted yet.
type bundle struct {
	keys   []wrapped
	certs  []*x509.Certificate
	pfx    []byte   // PKCS#12
	others []string // PEM types that are of no use here
}

// wrapped is a private key as it was found.
type wrapped struct {
	kind string // PEM PKCS#8, DER PKCS#1, ...
	der  []byte
	pem  *pem.Block // of traditional encryption, whose parameters are in its headers
}

func isPEM(data []byte) bool { return bytes.Contains(data, []byte(pemBegin)) }

// scan tells what m holds. what is the word for it in messages: key or
// certificate.
func scan(m material, what string) (*bundle, error) {
	data := bytes.TrimPrefix(m.data, []byte("\xef\xbb\xbf")) // a byte order mark hides the first line from PEM
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, fault.New(fault.Key, "%s %s: is empty", what, m.name).
			Hint("has the CI system handed the secret on to this job?")
	}
	if isPEM(data) {
		return scanPEM(m.name, what, data)
	}
	return scanDER(m.name, what, data)
}

func scanPEM(name, what string, data []byte) (*bundle, error) {
	b, n := &bundle{}, 0
	for rest := data; ; n++ {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if err := b.add(block); err != nil {
			return nil, fault.New(fault.Key, "%s %s: %w", what, name, err).Hint("%s", hintFor(err))
		}
	}
	if n != bytes.Count(data, []byte(pemBegin)) {
		return nil, brokenPEM(name, what, data)
	}
	return b, nil
}

// brokenPEM explains what pem.Decode passes over without a word. Repairing it
// would be a guess on what else was lost on the way.
func brokenPEM(name, what string, data []byte) error {
	if lines := strings.Count(strings.TrimSpace(string(data)), "\n"); lines < 2 {
		return fault.New(fault.Key, "%s %s: PEM collapsed to one line: its line ends were lost on the way", what, name).
			Hint("give the secret as a file, or store it as base64: base64 -w0 FILE").
			Hint("in a shell, quote the variable: printf '%%s\\n' \"$VARIABLE\"")
	}
	return fault.New(fault.Key, "%s %s: damaged PEM: a block does not end as it begins, or is not base64", what, name).
		Hint("look at it with: openssl pkey -in FILE -noout, openssl x509 -in FILE -noout")
}

func (b *bundle) add(block *pem.Block) error {
	kinds := map[string]string{
		"PRIVATE KEY": "PEM PKCS#8", "ENCRYPTED PRIVATE KEY": "encrypted PEM PKCS#8",
		"RSA PRIVATE KEY": "PEM PKCS#1", "EC PRIVATE KEY": "PEM SEC1",
	}
	switch kind := kinds[block.Type]; {
	case kind != "" && block.Headers["DEK-Info"] != "":
		b.keys = append(b.keys, wrapped{kind: "encrypted " + kind, der: block.Bytes, pem: block})
	case kind != "":
		b.keys = append(b.keys, wrapped{kind: kind, der: block.Bytes})
	case block.Type == "CERTIFICATE" || block.Type == "X509 CERTIFICATE" || block.Type == "TRUSTED CERTIFICATE":
		return b.addCertificate(block)
	default:
		b.others = append(b.others, block.Type)
	}
	return nil
}

// addCertificate reads a certificate; OpenSSL's trusted form has more behind it.
func (b *bundle) addCertificate(block *pem.Block) error {
	der := block.Bytes
	if block.Type == "TRUSTED CERTIFICATE" {
		var first asn1.RawValue
		if _, err := asn1.Unmarshal(der, &first); err == nil {
			der = first.FullBytes
		}
	}
	cert, err := x509.ParseCertificate(der)
	if err == nil {
		b.certs = append(b.certs, cert)
	}
	return err
}

// scanDER tries every form that has no name on it.
func scanDER(name, what string, data []byte) (*bundle, error) {
	if certs, err := x509.ParseCertificates(data); err == nil && len(certs) > 0 {
		return &bundle{certs: certs}, nil
	} else if looksLikeCertificate(data) {
		return nil, fault.New(fault.Key, "%s %s: %w", what, name, err).Hint("%s", hintFor(err))
	}
	if isPFX(data) {
		return &bundle{pfx: data}, nil
	}
	if encryption(data) != nil {
		return &bundle{keys: []wrapped{{kind: "encrypted DER PKCS#8", der: data}}}, nil
	}
	if isKeyDER(data) {
		return &bundle{keys: []wrapped{{kind: "DER", der: data}}}, nil
	}
	err := fault.New(fault.Key, "%s %s: neither PEM nor DER nor PKCS#12", what, name)
	if raw, ok := decodeBase64(data); ok && (isPEM(raw) || raw[0] == 0x30) {
		return nil, err.Hint("it is base64 of what is wanted: decode it first with base64 -d")
	}
	return nil, err.Hint("make a key and certificate with: openssl req -new -x509 -newkey rsa:4096 -nodes -keyout key.pem -out cert.pem")
}

// hintFor explains errors of crypto/x509 that a user can do something about.
func hintFor(err error) string {
	if err != nil && strings.Contains(err.Error(), "negative serial") {
		return "RFC 5280 wants a positive serial number: issue the certificate anew"
	}
	return "look at it with: openssl x509 -in FILE -noout -text"
}

// looksLikeCertificate: SEQUENCE { SEQUENCE { [0] or INTEGER, ... }, SEQUENCE { OID ... }, BIT STRING }.
func looksLikeCertificate(data []byte) bool {
	var c struct {
		TBS, Algorithm asn1.RawValue
		Signature      asn1.BitString
	}
	_, err := asn1.Unmarshal(data, &c)
	return err == nil && c.TBS.Tag == asn1.TagSequence
}
