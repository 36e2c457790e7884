// Package signkmods is the step that signs modules: the only one that sees the key.
package signkmods

import (
	"context"
	"crypto"
	"strings"

	"github.com/kmodseal/kmodseal/pkg/ci"
	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/keys"
	"github.com/kmodseal/kmodseal/pkg/modsig"
	"github.com/kmodseal/kmodseal/pkg/report"
	"github.com/kmodseal/kmodseal/pkg/sign"
	"github.com/kmodseal/kmodseal/pkg/step"
)

type command struct {
	Kmods          string   `name:"kmods" default:"kmods" placeholder:"DIR" help:"The kmods folder, where no FILE or DIR is given." group:"input"`
	Key            string   `name:"key" required:"" placeholder:"KEY" help:"Signing key: a file (PEM, PKCS#12), a folder mounted from a Secret, or env:NAME." group:"key"`
	Cert           string   `name:"cert" placeholder:"FILE" help:"Its certificate, PEM or DER; a file, a folder mounted from a Secret, or env:NAME. Default: found with the key." group:"key"`
	PassphraseFile string   `name:"passphrase-file" placeholder:"FILE" help:"File with the passphrase of an encrypted key. Default: the environment variable KBUILD_SIGN_PIN." group:"key"`
	Hash           string   `name:"hash" default:"sha256" enum:"sha256,sha384,sha512,auto" help:"Digest to sign: sha256, sha384, sha512, or auto: what --kernel-config says in CONFIG_MODULE_SIG_HASH." group:"signature"`
	KernelConfig   string   `name:"kernel-config" placeholder:"FILE" help:"Configuration of the target kernel, for --hash auto." group:"signature"`
	SignerID       string   `name:"signer-id" default:"issuer" enum:"issuer,skid" help:"How the signature names the certificate: issuer and serial, or subject key id." group:"signature"`
	EmbedCert      string   `name:"embed-cert" default:"auto" enum:"auto,always,never" help:"Carry the certificate in the signature: auto does unless it is self-signed." group:"signature"`
	OnSigned       string   `name:"on-signed" default:"replace" enum:"replace,keep,append,fail" help:"What to do with a module that is signed already." group:"signature"`
	Jobs           int      `name:"jobs" default:"0" placeholder:"N" help:"Modules to sign at the same time. 0: one a processor." group:"signature"`
	Paths          []string `arg:"" optional:"" name:"path" help:"Module files to sign in place, and folders whose modules to sign."`
	step.Common
}

// New gives the step.
func New() step.Command { return &command{} }

// About implements step.Command.
func (c *command) About() step.About {
	return step.About{
		Name:    "sign-kmods",
		Summary: "sign kernel modules",
		Long: `Signs the modules of a kmods folder, or any module files and folders, as the kernel's sign-file does,
without the kernel tree. The key is read into memory and nowhere else, and the process gives up the right to make
network connections before it reads the key. Compressed modules are signed inside and compressed again.
Either all modules are signed or none is changed.`,
		Usage: []string{"--key KEY [--cert FILE] [--kmods DIR | FILE|DIR ...] [flags]"},
		Examples: []step.Example{
			{Text: "the kmods folder, with a key from a mounted Secret", Line: "sign-kmods --key /secrets/signing"},
			{Text: "in place of a sign-file loop", Line: "sign-kmods --key signing_key.pem --cert signing_key.x509 build/*.ko"},
			{Text: "key in a CI secret, digest as the kernel was built with", Line: "sign-kmods --key env:MODULE_KEY --cert cert.pem --hash auto --kernel-config config-6.12"},
		},
		Codes:   []int{3, 4, 7},
		Offline: true,
	}
}

// Run implements step.Command.
func (c *command) Run(ctx context.Context, s *step.Session) error {
	if err := keys.Harden(); err != nil {
		s.Warn("%v", err)
	}
	hash, err := c.hash()
	if err != nil {
		return err
	}
	pair, err := keys.Load(keys.Request{
		Key: c.Key, Cert: c.Cert, Getenv: s.Getenv, Found: s.Mask,
		Passphrase: func() ([]byte, error) { return c.passphrase(s) },
	})
	if err != nil {
		return err
	}
	for _, w := range pair.Warnings {
		s.Warn("%s", w)
	}
	o := sign.Options{
		Pair: pair, Hash: hash, ID: modsig.IssuerSerial, Embed: c.EmbedCert, OnSigned: c.OnSigned, Jobs: c.Jobs,
		Progress: s.Progress, Warn: s.Warn,
	}
	if c.SignerID == "skid" {
		o.ID = modsig.SubjectKeyID
	}
	if err := c.sign(ctx, s, o); err != nil {
		return err
	}
	s.Results.Set(ci.KernelReleases, strings.Join(s.Report.Kernels(), ","))
	s.Count(ci.ModuleCount, len(s.Report.Modules))
	s.Count(ci.SignedCount, len(s.Report.Modules)-s.Report.Counts["kept"])
	s.Results.Set(ci.Signer, pair.Cert.Subject.CommonName)
	s.Results.Set(ci.CertFingerprint, keys.Fingerprint(pair.Cert))
	return nil
}

func (c *command) sign(ctx context.Context, s *step.Session, o sign.Options) error {
	name := c.About().Name
	if len(c.Paths) == 0 {
		m, err := sign.Folder(ctx, c.Kmods, o)
		if err == nil {
			s.Report = report.FromManifest(name, m)
			s.Results.Set(ci.SourceDigest, m.Source.Digest)
		}
		return err
	}
	done, err := sign.Files(ctx, c.Paths, o)
	if err != nil {
		return err
	}
	s.Report = &report.Report{Schema: report.Schema, Step: name}
	for i := range done {
		m := report.FromModule(&done[i].Module)
		m.Path = done[i].Path
		s.Report.Modules = append(s.Report.Modules, m)
	}
	s.Report.Count()
	return nil
}

func (c *command) hash() (crypto.Hash, error) {
	name := c.Hash
	if name == "auto" {
		found, err := configuredHash(c.KernelConfig)
		if err != nil {
			return 0, err
		}
		name = found
	}
	if h, err := modsig.SigningHash(name); err == nil {
		return h, nil
	}
	return 0, fault.New(fault.Input, "kernel config %s: CONFIG_MODULE_SIG_HASH is %s", c.KernelConfig, name).
		Hint("give --hash sha256, sha384 or sha512")
}
