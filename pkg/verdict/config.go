package verdict

import (
	"crypto/x509"
	"time"

	"github.com/kmodseal/kmodseal/pkg/kmod"
)

// Switch is a setting that may be left to what the kernel's config tells.
type Switch int

// The positions of a Switch.
const (
	Auto Switch = iota
	On
	Off
)

// Place is where a certificate is enrolled.
type Place int

// The places. MOK is the Machine Owner Key list, DB the firmware's signature
// database, Builtin what is compiled into the kernel (the distribution's key).
const (
	MOK Place = iota
	DB
	Builtin
)

// Anchor is a certificate that the target machine trusts.
type Anchor struct {
	DER   []byte
	Where Place
	From  string // file or variable, for messages
}

// Revocation is one entry of a revocation list (dbx, MokListX): one field is set.
type Revocation struct {
	DER        []byte // a certificate
	CertSHA256 []byte // SHA-256 of a certificate's signed part
	SHA256     []byte // SHA-256 of a whole file
	Where      Place  // MOK for MokListX, DB for dbx
	From       string
}

// LoadMethod is how a compressed module gets into the kernel.
type LoadMethod int

// The methods. LoadAuto is what kmod does: the kernel decompresses where it
// can, kmod otherwise.
const (
	LoadAuto       LoadMethod = iota
	LoadAsIs                  // finit_module without flags, or init_module
	LoadCompressed            // finit_module with MODULE_INIT_COMPRESSED_FILE
	LoadUserSpace             // kmod decompresses
)

// Config is what the judge knows: trusted certificates and the target kernel.
// The zero value is a kernel under Secure Boot of which nothing is known.
type Config struct {
	Trust   []*x509.Certificate // certificates in the MOK list
	Release string              // --kernel; empty: that of Kernel, else not checked
	Machine string              // GOARCH of the target; empty: that of Kernel, else not checked

	Anchors []Anchor // further certificates, with where they are
	Revoked []Revocation
	Keys    []string // names of further keys that the kernel is known to have, as /proc/keys has them

	Kernel  *Kernel // config, symbols and so on of the target; nil: unknown
	Profile string  // "debian", "upstream"; empty: told by release and config

	SecureBoot     Switch // Auto: on
	SigEnforce     Switch // module.sig_enforce=1; Auto: as config and Secure Boot make it
	Lockdown       Switch // lockdown=integrity; Auto: as config and Secure Boot make it
	MokListTrusted Switch // what `mokutil --untrust-mok` turns off; Auto: on

	Load    LoadMethod
	Codecs  []kmod.Codec // that kmod in user space knows; nil: as the profile says
	Process string       // name in lockdown's log line; empty: modprobe
	Now     time.Time    // for warnings about dates; zero: none are given
}

// anchors are Trust and Anchors in one list.
func (c *Config) anchors() []Anchor {
	out := make([]Anchor, 0, len(c.Trust)+len(c.Anchors))
	for _, t := range c.Trust {
		out = append(out, Anchor{DER: t.Raw, Where: MOK})
	}
	return append(out, c.Anchors...)
}

func (c *Config) process() string {
	if c.Process == "" {
		return "modprobe"
	}
	return c.Process
}
