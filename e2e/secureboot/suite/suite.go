package suite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kmodseal/kmodseal/e2e/secureboot/boot"
	"github.com/kmodseal/kmodseal/e2e/secureboot/fetch"
	"github.com/kmodseal/kmodseal/e2e/secureboot/truth"
	"github.com/kmodseal/kmodseal/e2e/secureboot/wire"
)

// Run does the whole test; an error is what could not be done or did not agree.
func Run(ctx context.Context, o Options) error {
	chain, targets, err := o.prepare(ctx)
	if err != nil {
		return err
	}
	for _, t := range targets {
		fmt.Fprintf(o.Out, "kernel %s: %d cases\n", t.Kernel.Release, len(t.Cases.Cases))
	}
	if err := o.world(targets); err != nil {
		return err
	}
	boots := o.plan(targets)
	if err := o.predictAll(boots); err != nil {
		return err
	}
	if !o.Replay {
		if err := o.refusals(ctx, chain, targets[0]); err != nil {
			return err
		}
	}
	if err := o.answer(ctx, chain, boots); err != nil {
		return err
	}
	for _, t := range targets {
		if err := o.save(t, answers(t, chain, boots)); err != nil {
			return err
		}
	}
	for _, t := range targets {
		if o.Enrol && t.Kernel.Series != "7.3" {
			if err := o.enrol(ctx, chain, t); err != nil {
				return err
			}
		}
	}
	return o.judge(boots)
}

// refusals are the negative controls: each link of the chain with one bit flipped.
func (o Options) refusals(ctx context.Context, chain *fetch.Boot, t *Target) error {
	if !o.Negative {
		return nil
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(o.Jobs)
	for _, l := range boot.Links() {
		g.Go(func() error {
			m := boot.Machine{
				Chain: chain, Kernel: t.Kernel.Vmlinuz, Initrd: boot.Files{"/init": nil},
				Dir: filepath.Join(o.Cache, "run", "flipped-"+l.Name), Accel: o.Accel, Limit: 2 * time.Minute,
			}
			if err := m.Refused(ctx, l); err != nil {
				return err
			}
			fmt.Fprintf(o.Out, "one bit flipped in %s: refused, %q\n", l.Name, l.Refusal)
			return nil
		})
	}
	return g.Wait()
}

// judge compares all boots; a difference is an error.
func (o Options) judge(boots []*Boot) error {
	var score Score
	for _, b := range boots {
		o.compare(b, &score)
	}
	fmt.Fprintf(o.Out, "%d boots: %d cases and %d mutations predicted, %d wrong; %d without prediction\n",
		len(boots), score.Cases, score.Mutants, score.Wrong, score.Apart)
	if score.Wrong > 0 {
		return fmt.Errorf("%d predictions differ from what the kernels said", score.Wrong)
	}
	return nil
}

// answer boots, or takes what the last run's boots said.
func (o Options) answer(ctx context.Context, chain *fetch.Boot, boots []*Boot) error {
	if o.Replay {
		return o.replay(boots)
	}
	return o.bootAll(ctx, chain, boots)
}

// replay takes the answers of the last run instead of booting.
func (o Options) replay(boots []*Boot) error {
	for _, b := range boots {
		f, err := os.Open(filepath.Join(o.Cache, "run", b.name(), "result.log"))
		if err != nil {
			return err
		}
		b.Log, err = wire.ReadLog(f)
		_ = f.Close()
		if err != nil || !b.Log.Complete {
			return fmt.Errorf("replay %s: %w", b.name(), errors.Join(boot.ErrIncomplete, err))
		}
	}
	return nil
}

// table is the kernel's name among the truth tables.
func (t *Target) table() string {
	if t.Kernel.Arch == fetch.AMD64 {
		return t.Kernel.Series
	}
	return t.Kernel.Arch + "-" + t.Kernel.Series
}

// save writes a kernel's truth table.
func (o Options) save(t *Target, a *truth.Table) error {
	if o.Truth == "" {
		return nil
	}
	var err error
	if a.Facts, err = truth.FactsOf(t.Probes); err != nil {
		return err
	}
	config, err := os.ReadFile(t.Kernel.Config)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(o.Truth, "config-"+t.table()), []byte(truth.Config(string(config))), 0o644); err != nil {
		return err
	}
	var b bytes.Buffer
	if err := a.Write(&b); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(o.Truth, "truth-"+t.table()+".tsv"), b.Bytes(), 0o644)
}
