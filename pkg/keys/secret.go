package keys

import (
	"crypto"
	"fmt"
	"io"
	"log/slog"
)

// secret signs with a key that no verb of fmt, no encoder and no logger can
// get at.
type secret struct{ key crypto.Signer }

// Public implements crypto.Signer.
func (s secret) Public() crypto.PublicKey { return s.key.Public() }

// Sign implements crypto.Signer.
func (s secret) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return s.key.Sign(rand, digest, opts)
}

func (s secret) String() string { return "private key (redacted)" }

// GoString implements fmt.GoStringer.
func (s secret) GoString() string { return s.String() }

// Format implements fmt.Formatter: every verb prints the same.
func (s secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// MarshalText keeps the key out of JSON, XML and YAML.
func (s secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue implements slog.LogValuer.
func (s secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// String names the certificate's subject and fingerprint.
func (p Pair) String() string {
	if p.Cert == nil {
		return "private key (redacted)"
	}
	return fmt.Sprintf("private key (redacted) of %q, certificate %s", p.Cert.Subject.String(), Fingerprint(p.Cert))
}

// GoString implements fmt.GoStringer.
func (p Pair) GoString() string { return p.String() }

// Format implements fmt.Formatter: every verb prints String.
func (p Pair) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, p.String()) }

// MarshalText keeps the key out of JSON, XML and YAML.
func (p Pair) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// LogValue implements slog.LogValuer.
func (p Pair) LogValue() slog.Value { return slog.StringValue(p.String()) }
