package sign

import (
	"bytes"
	"crypto"
	"crypto/sha256"
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

// signed is a plain module with the signature that the policy asks for.
type signed struct {
	plain  []byte
	blob   manifest.Blob // size and sum of plain
	action string        // what was done
}

// apply does to plain what the policy asks for.
func (s *signer) apply(plain []byte) (signed, error) {
	body, n := modsig.Strip(plain)
	if _, err := modsig.Split(body); errors.Is(err, modsig.ErrMalformed) {
		return signed{}, fault.New(fault.Damaged, "damaged signature: %w", err).
			Hint("take the module that its build made")
	}
	switch {
	case n == 0:
		return s.sign(body, manifest.ActionSigned)
	case s.options.OnSigned == Keep:
		return signed{plain, kmod.Blob(plain), manifest.ActionKept}, nil
	case s.options.OnSigned == AppendTo:
		return s.sign(plain, manifest.ActionAppended)
	case s.options.OnSigned == Fail:
		return signed{}, fault.New(fault.Input, "is signed already").
			Hint("--on-signed replace takes earlier signatures off, keep leaves such modules alone, append signs on top")
	}
	return s.sign(body, manifest.ActionReplaced)
}

// sign puts a signature behind body. With SHA-256 one pass over body serves
// the signature and the sum of the result.
func (s *signer) sign(body []byte, action string) (signed, error) {
	sum := sha256.New()
	sum.Write(body)
	digest := sum.Sum(nil)
	if s.options.Hash != crypto.SHA256 {
		h := s.options.Hash.New()
		h.Write(body)
		digest = h.Sum(nil)
	}
	p := s.options.Pair
	der, err := modsig.Sign(digest, p.Signer, p.Cert,
		modsig.Options{Hash: s.options.Hash, ID: s.options.ID, Embed: s.embed})
	switch {
	case errors.Is(err, modsig.ErrUnsupported):
		return signed{}, fault.New(fault.Key, "%w", err)
	case err != nil:
		return signed{}, err
	}
	out := modsig.Append(body, der)
	sum.Write(out[len(body):])
	blob := manifest.Blob{Size: int64(len(out)), SHA256: hex.EncodeToString(sum.Sum(nil))}
	return signed{out, blob, action}, nil
}

// file gives the file that takes the place of stored, whose content is plain,
// and what was done to it.
func (s *signer) file(stored, plain []byte, c kmod.Codec) ([]byte, *manifest.Signed, error) {
	m, err := s.apply(plain)
	if err != nil {
		return nil, nil, err
	}
	if m.action == manifest.ActionKept {
		return stored, &manifest.Signed{Action: m.action, Stored: kmod.Blob(stored), Plain: m.blob}, nil
	}
	done := s.by
	done.Action, done.Stored, done.Plain = m.action, m.blob, m.blob
	if c == kmod.None {
		return m.plain, &done, nil
	}
	var b bytes.Buffer
	if err := kmod.Encode(&b, m.plain, c); err != nil {
		return nil, nil, err
	}
	done.Stored = kmod.Blob(b.Bytes())
	return b.Bytes(), &done, nil
}
