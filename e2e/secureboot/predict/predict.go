// Package predict asks verify-kmods' judge what a kernel will say, and compares
// that with what it said.
package predict

import (
	"os"
	"slices"
	"strings"

	"github.com/kmodseal/kmodseal/e2e/secureboot/wire"
	"github.com/kmodseal/kmodseal/pkg/verdict"
)

// Machine is what is known beforehand of the machine that boots.
type Machine struct {
	Kernel     *verdict.Kernel
	MOK        [][]byte // DER certificates enrolled
	Builtin    [][]byte // DER certificates in the kernel
	Revoked    [][]byte // DER certificates in MokListX
	BlockHash  [][32]byte
	SecureBoot bool
	SigEnforce bool // module.sig_enforce=1
	Lockdown   bool // lockdown=integrity
}

// Prediction is what one module will be told.
type Prediction struct {
	State verdict.State
	Errno string
	Dmesg string   // the line that tells why
	Lines []string // the whole log
	Rule  string
}

// Predictor predicts for one machine.
type Predictor struct {
	judges map[string]*verdict.Judge // by way of loading
}

// New makes a predictor.
func New(m Machine) (*Predictor, error) {
	p := &Predictor{judges: map[string]*verdict.Judge{}}
	for method, load := range map[string]verdict.LoadMethod{
		wire.Finit: verdict.LoadAsIs, wire.FinitZ: verdict.LoadCompressed, wire.Insmod: verdict.LoadUserSpace,
	} {
		c := m.config()
		c.Load = load
		j, err := verdict.New(c)
		if err != nil {
			return nil, err
		}
		p.judges[method] = j
	}
	p.judges[wire.Init], p.judges[wire.Keep] = p.judges[wire.Finit], p.judges[wire.Finit]
	return p, nil
}

func (m Machine) config() verdict.Config {
	c := verdict.Config{Kernel: m.Kernel, Process: "init", SecureBoot: position(m.SecureBoot)}
	if m.SigEnforce {
		c.SigEnforce = verdict.On
	}
	if m.Lockdown {
		c.Lockdown = verdict.On
	}
	for _, d := range m.MOK {
		c.Anchors = append(c.Anchors, verdict.Anchor{DER: d, Where: verdict.MOK, From: "MokListRT"})
	}
	for _, d := range m.Builtin {
		c.Anchors = append(c.Anchors, verdict.Anchor{DER: d, Where: verdict.Builtin, From: "vmlinuz"})
	}
	for _, d := range m.Revoked {
		c.Revoked = append(c.Revoked, verdict.Revocation{DER: d, Where: verdict.MOK, From: "MokListX"})
	}
	for _, h := range m.BlockHash {
		c.Revoked = append(c.Revoked, verdict.Revocation{SHA256: slices.Clone(h[:]), Where: verdict.MOK, From: "MokListX"})
	}
	return c
}

func position(on bool) verdict.Switch {
	if on {
		return verdict.On
	}
	return verdict.Off
}

// Judge predicts for one module.
func (p *Predictor) Judge(method, file string, module []byte) Prediction {
	v := p.judges[method].One(verdict.Module{Path: file, Stored: module})
	return Prediction{State: v.State, Errno: v.Errno, Dmesg: v.Dmesg, Lines: v.Kmsg, Rule: v.Rule}
}

// Result is the answer's first word that the prediction stands for.
func (p Prediction) Result() string {
	if p.State == verdict.Loads {
		return wire.OK
	}
	return p.Errno
}

// Agrees tells whether the kernel's answer is the predicted one: loads or the
// errno, and line by line what is in the log. Lockdown's line may be missing,
// since the kernel prints it ten times in five seconds only.
func (p Prediction) Agrees(result string, lines []string) bool {
	if p.Result() != result {
		return false
	}
	want := p.Log()
	if slices.Equal(want, lines) {
		return true
	}
	n := len(want)
	return n > 0 && strings.HasPrefix(want[n-1], "Lockdown:") && slices.Equal(want[:n-1], lines)
}

// Log is the predicted log in the form in which the guest reports it.
func (p Prediction) Log() []string {
	var lines []string
	for _, l := range p.Lines {
		lines = append(lines, strings.Map(wire.Printable, l))
	}
	return wire.Answer{Lines: lines}.Verdict()
}

// Facts reads config and symbols of an unpacked kernel.
func Facts(release, vermagic, config, symvers string) (*verdict.Kernel, error) {
	k := &verdict.Kernel{Release: release, Vermagic: vermagic, Machine: "amd64", From: config}
	c, err := os.Open(config)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if k.Config, err = verdict.ParseConfig(c); err != nil {
		return nil, err
	}
	if symvers == "" {
		return k, nil
	}
	s, err := os.Open(symvers)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	k.Symvers, err = verdict.ParseSymvers(s)
	return k, err
}
