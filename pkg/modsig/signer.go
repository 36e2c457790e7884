package modsig

import (
	"fmt"
	"math/big"
)

// readSigner reads a SignerInfo; version is SignedData's, which the kernel
// wants to be the same.
func readSigner(body []byte, version int) (*Signer, error) {
	in, s := cursor(body), &Signer{}
	var err error
	if s.Version, err = in.takeVersion("SignerInfo"); err != nil {
		return nil, err
	}
	if s.Version != version {
		return nil, fmt.Errorf("%w: SignerInfo version %d in SignedData version %d", ErrMalformed, s.Version, version)
	}
	if err := s.readID(&in); err != nil {
		return nil, err
	}
	if s.HashOID, err = in.takeAlgorithm("digestAlgorithm"); err != nil {
		return nil, err
	}
	s.Hash = hashOf(s.HashOID)
	if _, s.SignedAttrs, err = in.optional(contextTag|constructed, contextTag|constructed|2); err != nil {
		return nil, fmt.Errorf("signed attributes: %w", err)
	}
	if s.SignatureOID, err = in.takeAlgorithm("signatureAlgorithm"); err != nil {
		return nil, err
	}
	value, err := in.take("signature value", tagOctets)
	if err != nil {
		return nil, err
	}
	s.Value = value.body
	if _, _, err := in.optional(contextTag|constructed|1, contextTag|constructed|3); err != nil {
		return nil, fmt.Errorf("unsigned attributes: %w", err)
	}
	return s, in.end("SignerInfo")
}

// readID reads the SignerIdentifier: issuer and serial, or [0] key id.
func (s *Signer) readID(c *cursor) error {
	e, err := c.take("signer identifier", tagSequence, contextTag)
	if err != nil {
		return err
	}
	if e.tag == contextTag {
		s.KeyID = e.body
		return nil
	}
	in := cursor(e.body)
	issuer, err := in.take("issuer", tagSequence)
	if err != nil {
		return err
	}
	serial, err := in.take("serial number", tagInteger)
	if err != nil {
		return err
	}
	s.RawIssuer, s.RawSerial, s.Serial = issuer.full, serial.body, twosComplement(serial.body)
	return in.end("signer identifier")
}

// twosComplement reads an INTEGER's value, which may be negative or empty.
func twosComplement(b []byte) *big.Int {
	n := new(big.Int).SetBytes(b)
	if len(b) > 0 && b[0] >= 0x80 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(len(b))*8))
	}
	return n
}
