package verifykmods

import (
	"crypto/x509"

	"github.com/kmodseal/kmodseal/pkg/kconfig"
	"github.com/kmodseal/kmodseal/pkg/step"
	"github.com/kmodseal/kmodseal/pkg/verdict"
)

// judge knows the certificates and what the flags say of the target kernel.
func (c *command) judge(s *step.Session, trust []*x509.Certificate) (*verdict.Judge, error) {
	config := verdict.Config{Trust: trust, Release: c.Kernel}
	if c.KernelConfig != "" {
		if _, err := kconfig.Load(c.KernelConfig); err != nil {
			return nil, err
		}
	}
	// What the judge does not use yet is said, not passed over in silence.
	for _, f := range []struct {
		name  string
		given bool
	}{{"kernel-config", c.KernelConfig != ""}, {"symvers", c.Symvers != ""}, {"secure-boot off", c.SecureBoot == "off"}} {
		if f.given {
			s.Warn("--%s: the verdicts do not use this yet", f.name)
		}
	}
	return verdict.New(config)
}
