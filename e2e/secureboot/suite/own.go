package suite

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/kmodseal/kmodseal/e2e/secureboot/cases"
	"github.com/kmodseal/kmodseal/e2e/secureboot/fetch"
	"github.com/kmodseal/kmodseal/e2e/secureboot/kernels"
	"github.com/kmodseal/kmodseal/e2e/secureboot/pki"
)

// RunOwn builds kernels and does with each what Run does with Debian's. Every
// kernel's cases are predicted before it boots; one that differs does not keep
// the next from its turn.
func RunOwn(ctx context.Context, o Options, configs []kernels.Config) error {
	if err := fetch.Tools(ctx, fetch.AMD64); err != nil {
		return err
	}
	cache := fetch.Cache{Dir: o.Cache}
	chain, err := cache.Boot(ctx, fetch.AMD64)
	if err != nil {
		return err
	}
	source, err := cache.KernelSource(ctx, "6.12")
	if err != nil {
		return err
	}
	foreign, err := target(ctx, cache, fetch.AMD64, "6.1")
	if err != nil {
		return err
	}
	signer := pki.Make(pki.Spec{Name: "kernel signer", Key: "alpha"})
	builder := kernels.Builder{Dir: filepath.Join(o.Cache, "own"), Source: source, Signer: signer}
	trust := cases.NewTrust()
	var all []*Boot
	var errs error
	for _, c := range configs {
		boots, err := o.ownBoots(ctx, builder, c, foreign.Probes["sbprobe"], trust)
		if err == nil {
			err = o.judgeOwn(ctx, chain, boots)
		}
		if err != nil {
			errs = errors.Join(errs, fmt.Errorf("kernel %s: %w", c.Name, err))
			continue
		}
		all = append(all, boots...)
	}
	return errors.Join(errs, o.judge(all))
}

// ownBoots builds a kernel, makes its cases and plans its boots.
func (o Options) ownBoots(ctx context.Context, b kernels.Builder, c kernels.Config, foreign []byte, trust *cases.Trust) ([]*Boot, error) {
	start := time.Now()
	k, err := b.Build(ctx, c)
	if err != nil {
		return nil, err
	}
	t := &Target{Kernel: &k.Kernel, Builtin: k.Builtin, Probes: k.Probes, KernelSigner: b.Signer.DER, Distro: map[string][]byte{
		"efivarfs": k.Own["efivarfs"], "intree": k.Own["crc7"],
	}}
	t.Cases = cases.Make(cases.Input{Probes: t.Probes, Foreign: foreign, Distro: t.Distro}, trust)
	own, err := o.productCases(ctx, t, trust)
	if err != nil {
		return nil, err
	}
	t.Cases.Cases = append(t.Cases.Cases, own...)
	fmt.Fprintf(o.Out, "kernel %s: ready in %.1fs, %d cases\n", t.Kernel.Release, time.Since(start).Seconds(), len(t.Cases.Cases))
	scenarios, err := Named(c.Scenarios)
	if err != nil {
		return nil, err
	}
	var boots []*Boot
	for _, s := range scenarios {
		s.Fuzz = false
		boots = append(boots, &Boot{Target: t, Scenario: s})
	}
	return boots, nil
}

// judgeOwn predicts, boots and keeps the answers of one kernel.
func (o Options) judgeOwn(ctx context.Context, chain *fetch.Boot, boots []*Boot) error {
	if err := o.predictAll(boots); err != nil {
		return err
	}
	if err := o.answer(ctx, chain, boots, nil); err != nil {
		return err
	}
	t := boots[0].Target
	return o.keepOrCompare(t, answers(t, chain, boots))
}
