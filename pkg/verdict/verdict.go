// Package verdict says what a kernel would say of a module, before it is
// loaded: the state in one word, the errno and the log line that the user
// would see, the rule that decided and what to do.
//
// It follows the kernel's own code step by step. Rules that differ between
// kernels are data (see rules.go); what is not known of the target kernel is
// listed with each verdict and never guessed silently.
package verdict

import (
	"crypto/x509"

	"github.com/kmodseal/kmodseal/pkg/fault"
)

// State is the verdict in one word.
type State string

// The states; each but Loads stands for one way in which a kernel refuses.
const (
	Loads             State = "loads"
	Unsigned          State = "unsigned"
	UnavailableKey    State = "unavailable-key"
	UnsupportedCrypto State = "unsupported-crypto"
	Tampered          State = "tampered"
	Malformed         State = "malformed"
	WrongKernel       State = "wrong-kernel"
	BadCompression    State = "bad-compression"
	MissingSymbol     State = "missing-symbol"
	MissingDependency State = "missing-dependency"
	NotModule         State = "not-a-module"
)

// Class is the exit code that a state stands for (docs/exit-codes.md).
func (s State) Class() fault.Class {
	switch s {
	case Loads:
		return fault.None
	case Unsigned:
		return fault.Unsigned
	case UnavailableKey, UnsupportedCrypto:
		return fault.Untrusted
	case Tampered, Malformed, BadCompression:
		return fault.Damaged
	case WrongKernel, MissingSymbol, MissingDependency:
		return fault.WrongKernel
	case NotModule:
		return fault.Input
	}
	return fault.Internal
}

// Module is what is judged.
type Module struct {
	Path     string
	Platform string // os/arch, empty for a bare file
	Stored   []byte // as it lies on disk, compressed or not
}

// Verdict on one module.
type Verdict struct {
	Path, Platform string
	State          State
	Errno          string   // EKEYREJECTED, ...; empty when it loads
	Dmesg          string   // the line that tells why; empty: the kernel says nothing
	Kmsg           []string // every line of the kernel's log, in order; Dmesg is one of them
	Rule           string   // the named rule that decided, see Rules
	Reason         string   // one sentence
	Hint           string   // what to do
	Warnings       []string
	Unchecked      []string // what could not be checked for want of facts

	Signer, Serial, KeyID, Hash, Algorithm, Fingerprint string

	Anchor  *x509.Certificate // the trusted certificate that vouches; nil: none, or one that crypto/x509 cannot read
	Keyring string            // where the kernel has it: .machine, .platform, .builtin_trusted_keys

	Name, Vermagic, Machine string
	Order                   int // place in the load order of a set, from 1; 0: not ordered
}

// Judge gives verdicts under one Config. It may be used from several
// goroutines.
type Judge struct {
	config Config
	kernel kernel
}

// New checks c and puts its certificates where the kernel would.
func New(c Config) (*Judge, error) {
	k, err := newKernel(&c)
	if err != nil {
		return nil, err
	}
	return &Judge{config: c, kernel: *k}, nil
}
