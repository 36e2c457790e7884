package modsig

import (
	"bytes"
	"encoding/asn1"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/oracle"
)

// What kernel_test.go needs: pkg/kmod imports this package, so that it cannot
// be in it.

// Rebuild encodes what Parse found with the encoder of Sign.
func Rebuild(t testing.TB, s *Signature) []byte {
	t.Helper()
	require.Len(t, s.Signers, 1)
	by := s.Signers[0]
	e := &encoder{version: s.Version, digest: algorithm{OID: parseOID(by.HashOID)}, signature: algorithm{OID: parseOID(by.SignatureOID)}}
	if by.SignatureOID == oidRSAEncryption {
		e.signature.Parameters = asn1.NullRawValue
	}
	e.id = asn1.RawValue{Class: asn1.ClassContextSpecific, Bytes: by.KeyID}
	if by.RawIssuer != nil {
		id, err := asn1.Marshal(issuerAndSerial{asn1.RawValue{FullBytes: by.RawIssuer}, by.Serial})
		require.NoError(t, err)
		e.id = asn1.RawValue{FullBytes: id}
	}
	der, err := e.encode(by.Value)
	require.NoError(t, err)
	return der
}

// SignFileComparer gives a check that Sign and the kernel's sign-file make the
// same of a module.
func SignFileComparer(t testing.TB) func(t testing.TB, path string, body []byte) {
	t.Helper()
	id, tool, file := newIdentity(t, "rsa2048"), oracle.SignFile(t), filepath.Join(t.TempDir(), "m.ko")
	return func(t testing.TB, path string, body []byte) {
		t.Helper()
		require.NoError(t, os.WriteFile(file, body, 0o600))
		run(t, tool, "sha256", id.keyFile, id.certFile, file)
		want, err := os.ReadFile(file)
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, signed(t, body, id, Options{})), path)
	}
}

// Check refuses what mod_check_sig of the kernel refuses besides the length:
// ErrUnsupported for an id type other than PKCS#7, ErrMalformed for any other
// field that is not zero.
func (t Trailer) Check() error {
	if t.IDType != idPKCS7 {
		return fmt.Errorf("%w: id type %d, not PKCS#7 (%d)", ErrUnsupported, t.IDType, idPKCS7)
	}
	rest := t
	rest.IDType, rest.SigLen = 0, 0
	if rest != (Trailer{}) {
		return fmt.Errorf("%w: trailer has values where the kernel wants zeros", ErrMalformed)
	}
	return nil
}
