// Package verdict says what a kernel would say of a module.
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

// Class is the exit code that a state stands for.
func (s State) Class() fault.Class { panic("stub") }

// Config is what the judge knows: trusted certificates and the target kernel.
type Config struct {
	Trust   []*x509.Certificate
	Release string // --kernel; empty: not checked
	Machine string // GOARCH of the target; empty: not checked
	// the kernel profile follows here
}

// Module is what is judged.
type Module struct {
	Path     string
	Platform string // os/arch, empty for a bare file
	Stored   []byte // as it lies on disk, compressed or not
}

// Verdict on one module.
type Verdict struct {
	Path, Platform                                      string
	State                                               State
	Errno                                               string // EKEYREJECTED, ...; empty when it loads
	Dmesg                                               string // the line that the user would see; empty: the kernel says nothing
	Rule                                                string // the named rule that decided
	Reason                                              string // one sentence
	Hint                                                string // what to do
	Warnings                                            []string
	Unchecked                                           []string // what could not be checked for want of facts
	Signer, Serial, KeyID, Hash, Algorithm, Fingerprint string
	Anchor                                              *x509.Certificate // the trusted certificate that vouches; nil: none
	Name, Vermagic, Machine                             string
}

// Judge gives verdicts under one Config.
type Judge struct{}

// New checks c.
func New(c Config) (*Judge, error) { panic("stub") }

// One judges a module by itself.
func (j *Judge) One(m Module) Verdict { panic("stub") }
