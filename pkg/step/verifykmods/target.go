package verifykmods

import (
	"context"
	"os"
	"slices"
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
		Release: c.Kernel, SecureBoot: toSwitch(c.SecureBoot), SigEnforce: toSwitch(c.SigEnforce), Lockdown: toSwitch(c.Lockdown),
		Now: time.Now(), // for warnings only: the kernel looks at no clock
	}
	if err := c.trust(&config); err != nil {
		return nil, err
	}
	for _, f := range c.Revoked {
		b, err := os.ReadFile(f)
		if err != nil {
			return nil, fault.New(fault.Key, "--revoked: %w", err)
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
func (c *command) trust(config *verdict.Config) (err error) {
	files := slices.DeleteFunc(slices.Clone(c.Trust), func(f string) bool { return f == system })
	if len(files) > 0 {
		if config.Trust, err = step.Trust(files); err != nil {
			return err
		}
	}
	if len(files) == len(c.Trust) {
		return nil
	}
	own, err := verdict.LoadSystem(os.DirFS("/"))
	if err != nil {
		return err
	}
	config.Anchors, config.Revoked, config.MokListTrusted = own.Anchors, own.Revoked, own.MokListTrusted
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
	k := &verdict.Kernel{Release: c.Kernel}
	if c.KernelFrom != "" {
		found, err := c.kernelFrom(ctx, s)
		if err != nil {
			return nil, err
		}
		k = found
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

func toSwitch(word string) verdict.Switch {
	switch word {
	case "on":
		return verdict.On
	case "off":
		return verdict.Off
	}
	return verdict.Auto
}
