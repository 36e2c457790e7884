// Package suite boots the kernels of the Secure Boot test in every scenario and
// compares what they say with what was predicted.
package suite

import (
	"fmt"
	"strings"

	"github.com/kmodseal/kmodseal/e2e/secureboot/cases"
	"github.com/kmodseal/kmodseal/e2e/secureboot/predict"
	"github.com/kmodseal/kmodseal/e2e/secureboot/varstore"
	"github.com/kmodseal/kmodseal/pkg/verdict"
)

// Scenario is a state that a machine can be in.
type Scenario struct {
	Name       string
	SecureBoot bool
	Enrolled   string // mok, ca, db or none
	Untrusted  bool   // what mokutil --untrust-mok leaves
	Cmdline    string
	Fuzz       bool
}

// Scenarios are those of the full test.
func Scenarios() []Scenario {
	return []Scenario{
		{Name: "mok", SecureBoot: true, Enrolled: "mok", Fuzz: true},
		{Name: "nomok", SecureBoot: true, Enrolled: "none"},
		{Name: "ca", SecureBoot: true, Enrolled: "ca", Fuzz: true},
		{Name: "sboff", Enrolled: "mok"},
		{Name: "enforce", Enrolled: "mok", Cmdline: "module.sig_enforce=1"},
		{Name: "lockdown", Enrolled: "mok", Cmdline: "lockdown=integrity"},
	}
}

// further scenarios are run by name only: where other kernels decide otherwise.
func further() []Scenario {
	return []Scenario{
		{Name: "db", SecureBoot: true, Enrolled: "db"},
		{Name: "untrusted", SecureBoot: true, Enrolled: "mok", Untrusted: true},
	}
}

// enrolled are the certificates in the machine's MOK list.
func (s Scenario) enrolled(t *cases.Trust) [][]byte {
	switch s.Enrolled {
	case "mok":
		return t.MOK()
	case "ca":
		return t.CAs()
	}
	return nil
}

// inDB are the certificates that the machine's owner put into db.
func (s Scenario) inDB(t *cases.Trust) [][]byte {
	if s.Enrolled == "db" {
		return t.MOK()
	}
	return nil
}

// vars puts the scenario into the firmware's variables.
func (s Scenario) vars(t *Target) func(*varstore.Store) {
	set := t.Cases
	return func(v *varstore.Store) {
		if t.KernelSigner != nil {
			v.EnrolDB(t.KernelSigner)
		}
		v.EnrolDB(s.inDB(set.Trust)...)
		if s.Untrusted {
			v.UntrustMOK()
		}
		if certs := s.enrolled(set.Trust); len(certs) > 0 {
			v.EnrolMOK(certs...)
		}
		if s.Enrolled == "mok" {
			v.RevokeMOK(set.Trust.Cert("revoked").DER)
			for _, h := range set.BlockHash {
				v.RevokeHash(h)
			}
		}
		if !s.SecureBoot {
			v.SecureBootOff()
		}
	}
}

// Machine is what is known beforehand of a machine in this state.
func (s Scenario) Machine(k *verdict.Kernel, builtin [][]byte, set *cases.Set) predict.Machine {
	m := predict.Machine{
		Kernel: k, MOK: s.enrolled(set.Trust), DB: s.inDB(set.Trust), Untrusted: s.Untrusted, Builtin: builtin, SecureBoot: s.SecureBoot,
		SigEnforce: strings.Contains(s.Cmdline, "sig_enforce"), Lockdown: strings.Contains(s.Cmdline, "lockdown"),
	}
	if s.Enrolled == "mok" {
		m.Revoked, m.BlockHash = [][]byte{set.Trust.Cert("revoked").DER}, set.BlockHash
	}
	return m
}

// Named picks scenarios by name; none means those of the full test.
func Named(names []string) ([]Scenario, error) {
	if len(names) == 0 {
		return Scenarios(), nil
	}
	all := append(Scenarios(), further()...)
	var out []Scenario
	for _, n := range names {
		found := false
		for _, s := range all {
			if s.Name == n {
				out, found = append(out, s), true
			}
		}
		if !found {
			return nil, fmt.Errorf("no scenario %s", n)
		}
	}
	return out, nil
}
