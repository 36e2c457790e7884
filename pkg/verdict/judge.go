package verdict

import (
	"slices"

	"github.com/kmodseal/kmodseal/pkg/kmod"
	"github.com/kmodseal/kmodseal/pkg/modsig"
)

// judging is the state of one verdict.
type judging struct {
	kernel
	config *Config
	v      *Verdict

	byImage bool // the architecture is the image's: none is known of the target

	plain  []byte       // the module as the kernel sees it
	body   []byte       // as far as load_module reads it: without its outermost signature
	image  image        // body as an ELF file
	elf    *kmod.Module // nil: not a module
	elfErr error
	wanted []kmod.Symbol // that the kernel resolves

	issuer  string   // by name, of the signer's certificate
	message *message // its signature, nil without one that can be read
	anchor  *trusted // the certificate that vouches
	tainted bool     // accepted although the signature does not vouch for it

	strange     uint32 // a relocation that the kernel does not know; 0: none
	proprietary bool   // by its own license, or by that of a module it uses
	usesGPL     bool   // it resolved a symbol for GPL modules only
}

// outcome is what a stage of the kernel's checks ends with.
type outcome struct {
	state State
	errno Errno
	line  string // the deciding one of the log, "" for none
	rule  string
	why   string
}

// judge goes through the checks that need no other module.
func (j *Judge) judge(m Module) (*judging, outcome) {
	g := &judging{kernel: j.kernel, config: &j.config, v: &Verdict{Path: m.Path, Platform: m.Platform}}
	if g.machine == "" {
		g.takeMachine(m.Platform)
	}
	g.log, g.unchecked = nil, slices.Clone(j.kernel.rules.doubts)
	o, ok := g.unpack(m.Stored)
	if ok {
		o = g.plainModule()
	}
	g.v.Warnings = g.warnings(o.state)
	if g.elf != nil {
		g.strange = g.image.strangeRelocation()
		g.wanted, g.proprietary = g.undefined(), !g.gplCompatible()
	}
	g.plain, g.body, g.image, g.message = nil, nil, image{}, g.message.withoutData()
	return g, o
}

// takeMachine gives a kernel of unknown architecture that of the image, whose
// platform is os/arch[/variant].
func (g *judging) takeMachine(platform string) {
	if arch, ok := kmod.ArchOf(platform); ok {
		g.machine, g.byImage = arch, true
	}
}

// plainModule is load_module: the signature first, then the file.
func (g *judging) plainModule() outcome {
	g.describe()
	o := g.signatureStage()
	if o.state == Unsigned && g.elf == nil {
		o.state, o.why = NotModule, g.elfErr.Error()
	}
	if o.state != Loads {
		return o
	}
	if late := g.fileStage(); late.state != Loads {
		return late
	}
	g.tainted = o.rule == ruleTolerated
	return o
}

// describe fills in what the file says of itself.
func (g *judging) describe() {
	v := g.v
	if g.elf, g.elfErr = kmod.Parse(asRead(g.plain, g.machine)); g.elf != nil {
		v.Name, v.Vermagic, v.Machine = g.elf.Name, g.elf.Vermagic, g.elf.Machine
	}
	g.body = g.plain
	a, err := modsig.Split(g.plain)
	if err != nil {
		return
	}
	g.body = a.Body
	s, err := modsig.Parse(a.PKCS7)
	if err != nil || len(s.Signers) == 0 {
		return
	}
	sum := s.Summary()
	v.Signer, v.Serial, v.KeyID, v.Hash = sum.Signer, sum.Serial, sum.KeyID, sum.Hash
	g.issuer = sum.Signer // the signer itself where it is self-signed
	for _, c := range s.Certificates {
		if s.Signers[0].Names(c) && c.Subject.CommonName != "" {
			v.Signer = c.Subject.CommonName
		}
	}
}

// finish writes the outcome into the verdict.
func (g *judging) finish(o outcome) {
	v := g.v
	v.State, v.Errno, v.Dmesg, v.Rule, v.Reason = o.state, string(o.errno), o.line, o.rule, o.why
	v.Kmsg = g.log
	if v.State == Loads {
		v.Errno = ""
	}
	v.Unchecked = g.unchecked
	if v.State == Loads && g.tainted {
		v.Warnings = append(v.Warnings, "it loads and taints the kernel, only because nothing enforces signatures: where they are enforced it is refused")
	}
	v.Hint = g.hint(o)
}
