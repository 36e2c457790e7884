package sign

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"errors"

	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/keys"
	"github.com/kmodseal/kmodseal/pkg/kmod"
	"github.com/kmodseal/kmodseal/pkg/manifest"
	"github.com/kmodseal/kmodseal/pkg/modsig"
)

// signer puts signatures on plain modules.
type signer struct {
	options Options
	embed   []*x509.Certificate
	by      manifest.Signed // what every signature of it is recorded with
}

func newSigner(o Options) *signer {
	c := o.Pair.Cert
	s := &signer{options: o, embed: embedded(o.Embed, c, o.Pair.Chain)}
	s.by = manifest.Signed{
		Signer: c.Subject.CommonName, Serial: modsig.SerialHex(c.SerialNumber),
		KeyID: hex.EncodeToString(c.SubjectKeyId), Hash: modsig.HashName(o.Hash), Fingerprint: keys.Fingerprint(c),
	}
	return s
}

// embedded gives the certificates to carry in a signature: with Auto none for
// a self-signed one, so that the bytes stay sign-file's; else the signer's and
// the intermediates up to the one that a root issued. The root itself is what
// the machine must have enrolled.
func embedded(policy string, cert *x509.Certificate, chain []*x509.Certificate) []*x509.Certificate {
	if policy == Never || (policy == Auto && selfIssued(cert)) {
		return nil
	}
	list := []*x509.Certificate{cert}
	for last := cert; last != nil && !selfIssued(last); {
		issued := last
		last = nil
		for i, c := range chain {
			if bytes.Equal(c.RawSubject, issued.RawIssuer) && !selfIssued(c) {
				list, last = append(list, c), c
				chain = append(append([]*x509.Certificate{}, chain[:i]...), chain[i+1:]...)
				break
			}
		}
	}
	return list
}

func selfIssued(c *x509.Certificate) bool { return bytes.Equal(c.RawSubject, c.RawIssuer) }

// apply gives plain with the signature that the policy asks for, and what was
// done to it.
func (s *signer) apply(plain []byte) (signed []byte, action string, err error) {
	body, n := modsig.Strip(plain)
	if _, err := modsig.Split(body); errors.Is(err, modsig.ErrMalformed) {
		return nil, "", fault.New(fault.Damaged, "damaged signature: %w", err).
			Hint("take the module that its build made")
	}
	switch {
	case n == 0:
		signed, err = s.sign(body)
		return signed, manifest.ActionSigned, err
	case s.options.OnSigned == Keep:
		return plain, manifest.ActionKept, nil
	case s.options.OnSigned == AppendTo:
		signed, err = s.sign(plain)
		return signed, manifest.ActionAppended, err
	case s.options.OnSigned == Fail:
		return nil, "", fault.New(fault.Input, "is signed already").
			Hint("--on-signed replace takes earlier signatures off, keep leaves such modules alone, append signs on top")
	}
	signed, err = s.sign(body)
	return signed, manifest.ActionReplaced, err
}

func (s *signer) sign(body []byte) ([]byte, error) {
	h := s.options.Hash.New()
	h.Write(body)
	p := s.options.Pair
	der, err := modsig.Sign(h.Sum(nil), p.Signer, p.Cert,
		modsig.Options{Hash: s.options.Hash, ID: s.options.ID, Embed: s.embed})
	switch {
	case errors.Is(err, modsig.ErrUnsupported):
		return nil, fault.New(fault.Key, "%w", err)
	case err != nil:
		return nil, err
	}
	return modsig.Append(body, der), nil
}

// file gives the file that takes the place of stored, whose content is plain,
// and what was done to it.
func (s *signer) file(stored, plain []byte, c kmod.Codec) ([]byte, *manifest.Signed, error) {
	signed, action, err := s.apply(plain)
	if err != nil {
		return nil, nil, err
	}
	if action == manifest.ActionKept {
		return stored, &manifest.Signed{Action: action, Stored: kmod.Blob(stored), Plain: kmod.Blob(plain)}, nil
	}
	var b bytes.Buffer
	if err := kmod.Encode(&b, signed, c); err != nil {
		return nil, nil, err
	}
	done := s.by
	done.Action, done.Stored, done.Plain = action, kmod.Blob(b.Bytes()), kmod.Blob(signed)
	return b.Bytes(), &done, nil
}
