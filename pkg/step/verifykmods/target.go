package verifykmods

import (
	"context"
	"os"
	"strings"
	"time"

	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/step"
	"github.com/kmodseal/kmodseal/pkg/verdict"
)

// system is the word for --trust that means the machine it runs on.
const system = "system"

// judge knows the certificates and what the flags say of the target kernel.
func (c *command) judge(ctx context.Context, s *step.Session) (*verdict.Judge, error) {
	config := verdict.Config{
		Release: c.release(), SecureBoot: toSwitch(c.SecureBoot), SigEnforce: toSwitch(c.SigEnforce), Lockdown: toSwitch(c.Lockdown),
		Now: time.Now(), // for warnings only: the kernel looks at no clock
	}
	if err := c.trust(&config); err != nil {
		return nil, err
	}
	for _, f := range c.Revoked {
		b, err := read(f)
		if err != nil {
			return nil, fault.New(fault.Key, "--revoked: %w", err).Hint("give revoked certificates, PEM or DER, or a revocation list")
		}
		t, err := verdict.ParseRevoked(f, b, verdict.MOK)
		if err != nil {
			return nil, err
		}
		config.Revoked = append(config.Revoked, t.Revoked...)
	}
	var err error
	if config.Kernel, err = c.kernel(ctx, s); err != nil {
		return nil, err
	}
	return verdict.New(config)
}

// trust reads --trust; the machine's own switches count where no flag is given.
func (c *command) trust(config *verdict.Config) error {
	for _, name := range c.Trust {
		if name == system {
			if err := trustSystem(config); err != nil {
				return err
			}
			continue
		}
		file, where := enrolledIn(name)
		files, err := step.TrustFiles(file)
		if err != nil {
			return err
		}
		for _, f := range files {
			data, err := read(f)
			if err != nil {
				return fault.New(fault.Key, "--trust: %w", err).Hint("give the certificate of the signing key, PEM or DER, or a folder with it")
			}
			t, err := verdict.ParseTrust(f, data, where)
			if err != nil {
				return err
			}
			config.Anchors = append(config.Anchors, t.Anchors...)
		}
	}
	if len(config.Anchors)+len(config.Keys) == 0 {
		return fault.New(fault.Key, "--trust: no certificate in what was named").
			Hint("give the certificate of the signing key, PEM or DER")
	}
	return nil
}

// enrolledIn takes off the word that says where the target has a certificate:
// without one in its MOK list.
func enrolledIn(name string) (file string, where verdict.Place) {
	for prefix, where := range map[string]verdict.Place{"mok:": verdict.MOK, "db:": verdict.DB, "builtin:": verdict.Builtin} {
		if file, ok := strings.CutPrefix(name, prefix); ok {
			return file, where
		}
	}
	return name, verdict.MOK
}

func trustSystem(config *verdict.Config) error {
	own, err := verdict.LoadSystem(os.DirFS("/"))
	if err != nil {
		return err
	}
	config.Anchors, config.Revoked = append(config.Anchors, own.Anchors...), append(config.Revoked, own.Revoked...)
	config.MokListTrusted, config.Keys = own.MokListTrusted, own.Keys
	for to, from := range map[*verdict.Switch]verdict.Switch{
		&config.SecureBoot: own.SecureBoot, &config.SigEnforce: own.SigEnforce, &config.Lockdown: own.Lockdown,
	} {
		if *to == verdict.Auto {
			*to = from
		}
	}
	return nil
}

// kernel is what the flags tell of the target; a file that is named itself
// goes before what --kernel-from holds.
func (c *command) kernel(ctx context.Context, s *step.Session) (*verdict.Kernel, error) {
	k := &verdict.Kernel{Release: c.release()}
	if c.KernelFrom != "" {
		found, err := c.kernelFrom(ctx, s)
		if err != nil {
			return nil, err
		}
		k = found
	}
	if strings.Contains(c.Kernel, " ") {
		k.Vermagic = c.Kernel
	}
	if c.KernelConfig != "" {
		config, err := step.KernelConfig(c.KernelConfig)
		if err != nil {
			return nil, err
		}
		k.Config = config
	}
	if c.Symvers != "" {
		symvers, err := step.Symvers(c.Symvers)
		if err != nil {
			return nil, err
		}
		k.Symvers = symvers
	}
	return k, nil
}

// release is --kernel, or the first word of a vermagic.
func (c *command) release() string {
	release, _, _ := strings.Cut(c.Kernel, " ")
	return release
}

func toSwitch(word string) verdict.Switch {
	switch word {
	case "on":
		return verdict.On
	case "off":
		return verdict.Off
	}
	return verdict.Auto
}
