package verifykmods

import (
	"crypto/x509"

	"github.com/kmodseal/kmodseal/pkg/step"
	"github.com/kmodseal/kmodseal/pkg/verdict"
)

// judge knows the certificates and what the flags say of the target kernel.
func (c *command) judge(trust []*x509.Certificate) (*verdict.Judge, error) {
	config, err := step.KernelConfig(c.KernelConfig)
	if err != nil {
		return nil, err
	}
	symvers, err := step.Symvers(c.Symvers)
	if err != nil {
		return nil, err
	}
	secureBoot := verdict.On
	if c.SecureBoot == "off" {
		secureBoot = verdict.Off
	}
	return verdict.New(verdict.Config{
		Trust: trust, Release: c.Kernel, SecureBoot: secureBoot,
		Kernel: &verdict.Kernel{Release: c.Kernel, Config: config, Symvers: symvers},
	})
}
