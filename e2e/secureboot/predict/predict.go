// Package predict asks verify-kmods' judge what a kernel will say, and compares
// that with what it said.
package predict

import (
	"bytes"
	"debug/elf"
	"errors"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/kmodseal/kmodseal/e2e/secureboot/wire"
	"github.com/kmodseal/kmodseal/pkg/kmod"
	"github.com/kmodseal/kmodseal/pkg/verdict"
)

// Machine is what is known beforehand of the machine that boots.
type Machine struct {
	Kernel     *verdict.Kernel
	MOK        [][]byte // DER certificates enrolled
	DB         [][]byte // DER certificates in the firmware's db
	Untrusted  bool     // the MOK list is not to be trusted
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

// Judge is the judge for modules that are loaded as they are.
func (m Machine) Judge() (*verdict.Judge, error) {
	c := m.config()
	c.Load = verdict.LoadAsIs
	return verdict.New(c)
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
	for _, d := range m.DB {
		c.Anchors = append(c.Anchors, verdict.Anchor{DER: d, Where: verdict.DB, From: "db"})
	}
	if m.Untrusted {
		c.MokListTrusted = verdict.Off
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

// Module is a module file.
type Module struct {
	File  string
	Bytes []byte
}

// Judge predicts for one module, loaded after those that are to be there before.
func (p *Predictor) Judge(method string, m Module, before ...Module) Prediction {
	set := []verdict.Module{}
	for _, o := range append(before, m) {
		set = append(set, verdict.Module{Path: o.File, Stored: o.Bytes})
	}
	v := p.judges[method].Set(set)[len(before)]
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
// errno, a state that fits, and line by line what is in the log. Lockdown's line may be missing,
// since the kernel prints it ten times in five seconds only.
func (p Prediction) Agrees(result string, lines []string) bool {
	if p.Result() != result || !fits(p.State, result, lines) {
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

// Facts reads what is known of an unpacked kernel for arch (GOARCH): its
// config, its symbols and one of its own modules.
func Facts(release, arch, config, symvers string, own []byte) (*verdict.Kernel, error) {
	k := &verdict.Kernel{Release: release, Machine: arch, From: config}
	m, err := kmod.Parse(own)
	if err != nil {
		return nil, err
	}
	k.Vermagic = m.Vermagic
	if k.ModuleSize, err = moduleSize(own); err != nil {
		return nil, err
	}
	if err := parse(config, func(f io.Reader) (err error) { k.Config, err = verdict.ParseConfig(f); return err }); err != nil {
		return nil, err
	}
	return k, parse(symvers, func(f io.Reader) (err error) { k.Symvers, err = verdict.ParseSymvers(f); return err })
}

func parse(file string, read func(io.Reader) error) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	return read(f)
}

// moduleSize is the size of the kernel's struct module, which each of its modules holds one of.
func moduleSize(module []byte) (int, error) {
	f, err := elf.NewFile(bytes.NewReader(module))
	if err != nil {
		return 0, err
	}
	s := f.Section(".gnu.linkonce.this_module")
	if s == nil {
		return 0, errors.New("no struct module in the probe")
	}
	return int(s.Size), nil
}
