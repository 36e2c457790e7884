// Package verifykmods is the step that says what a kernel would say of each module.
package verifykmods

import (
	"context"
	"strings"

	"github.com/kmodseal/kmodseal/pkg/ci"
	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/report"
	"github.com/kmodseal/kmodseal/pkg/step"
	"github.com/kmodseal/kmodseal/pkg/step/image"
	"github.com/kmodseal/kmodseal/pkg/verdict"
)

type command struct {
	Kmods        string   `name:"kmods" default:"kmods" placeholder:"DIR" help:"The kmods folder, where neither --source nor a FILE or DIR is given." group:"input"`
	Source       string   `name:"source" placeholder:"SRC" help:"Image or folder to check: REF, docker://REF, oci:DIR[:TAG], oci-archive:FILE, docker-archive:FILE or dir:PATH." group:"input"`
	Require      []string `name:"require" sep:"none" placeholder:"NAME" help:"Module that has to be among those checked, by its name for modprobe." group:"input"`
	Trust        []string `name:"trust" required:"" sep:"none" placeholder:"FILE" help:"Certificates that the machine trusts: a file (PEM, DER, or an EFI signature list such as MokListRT) or a folder of them, enrolled in the MOK list, with db: before it in the firmware's db, with builtin: in the kernel itself; system: what this machine has, and its switches." group:"trust"`
	Revoked      []string `name:"revoked" sep:"none" placeholder:"FILE" help:"Revocation list of the machine: MokListX as an EFI signature list, or a certificate." group:"trust"`
	Kernel       string   `name:"kernel" placeholder:"RELEASE" help:"Release of the target kernel, as uname -r prints it, or the whole vermagic of one of its modules. Default: not checked." group:"target kernel"`
	KernelConfig string   `name:"kernel-config" placeholder:"FILE" help:"Configuration of the target kernel: says which digests, key types and codecs it has." group:"target kernel"`
	Symvers      string   `name:"symvers" placeholder:"FILE" help:"Module.symvers of the target kernel: symbol versions." group:"target kernel"`
	KernelFrom   string   `name:"kernel-from" placeholder:"SRC" help:"Folder (dir:PATH) or image with the kernel's or its headers' package unpacked: finds config, Module.symvers and release in it." group:"target kernel"`
	SecureBoot   string   `name:"secure-boot" default:"auto" enum:"auto,on,off" help:"Whether the machine boots with Secure Boot. auto: on, or as this machine does with --trust system." group:"target kernel"`
	SigEnforce   string   `name:"sig-enforce" default:"auto" enum:"auto,on,off" help:"Whether module.sig_enforce is on. auto: as the kernel's config and Secure Boot make it." group:"target kernel"`
	Lockdown     string   `name:"lockdown" default:"auto" enum:"auto,on,off" help:"Whether the kernel is locked down (integrity). auto: as the kernel's config and Secure Boot make it." group:"target kernel"`
	Report       string   `name:"report" placeholder:"FILE" help:"Write a report to FILE; its ending decides the form: .json .xml (JUnit) .sarif .codequality.json (GitLab) .md .html; several with commas." group:"output"`
	Paths        []string `arg:"" optional:"" name:"path" help:"Module files, and folders whose modules to check."`
	image.Flags
	step.Common
}

// New gives the step.
func New() step.Command { return &command{} }

// About implements step.Command.
func (c *command) About() step.About {
	return step.About{
		Name:    "verify-kmods",
		Summary: "say what the kernel will say of each module",
		Long: `Checks every module of the kmods folder, of any image, or of files and folders, against the certificates
that the machine trusts and what is known of its kernel, and says for each whether it loads, and if not, which message
the kernel gives, why, and what to do. The worst verdict decides the exit code.`,
		Usage: []string{"--trust FILE [--kmods DIR | --source SRC | FILE|DIR ...] [flags]"},
		Examples: []step.Example{
			{Text: "the kmods folder, after sign-kmods", Line: "verify-kmods --trust cert.pem --kernel 6.1.0-56-amd64"},
			{Text: "an image in a registry, with a page for a colleague", Line: "verify-kmods --trust cert.pem --source registry.example.com/driver:1.0 --report report.html"},
			{Text: "a file", Line: "verify-kmods --trust MOK.der /lib/modules/6.1.0-56-amd64/updates/dkms/v4l2loopback.ko"},
		},
		Codes: []int{3, 4, 5, 6, 7, 8, 9},
	}
}

// Run implements step.Command.
func (c *command) Run(ctx context.Context, s *step.Session) error {
	if err := c.check(); err != nil {
		return err
	}
	judge, err := c.judge(ctx, s)
	if err != nil {
		return err
	}
	in, err := c.open(ctx, s)
	if err != nil {
		return err
	}
	defer in.close()
	s.Report, err = in.judge(ctx, c.About().Name, judge, s.Progress)
	if err != nil {
		return err
	}
	return c.tell(s)
}

// check refuses what cannot go together before anything is read.
func (c *command) check() error {
	if c.Source != "" && len(c.Paths) > 0 {
		return fault.New(fault.Usage, "--source and %s: give one of them", c.Paths[0])
	}
	for _, file := range c.reports() {
		if _, err := report.ForFile(file); err != nil {
			return err
		}
	}
	return nil
}

// reports are the files of --report.
func (c *command) reports() []string {
	return strings.FieldsFunc(c.Report, func(r rune) bool { return r == ',' })
}

// tell publishes the report; a module that would not load is the error.
func (c *command) tell(s *step.Session) error {
	r := s.Report
	s.Results.Set(ci.SourceDigest, r.SourceDigest)
	s.Results.Set(ci.KernelReleases, strings.Join(r.Kernels(), ","))
	s.Count(ci.ModuleCount, len(r.Modules))
	s.Results.Set(ci.Verdict, r.Verdict)
	for _, file := range c.reports() {
		if err := report.WriteFile(file, r); err != nil {
			return err
		}
	}
	s.Results.Set(ci.Report, c.Report)
	if r.Verdict == string(verdict.Loads) {
		return c.missing(r)
	}
	return fault.New(fault.Class(r.ExitCode), "%s", report.Refusal(r))
}
