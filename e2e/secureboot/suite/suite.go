package suite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kmodseal/kmodseal/e2e/secureboot/boot"
	"github.com/kmodseal/kmodseal/e2e/secureboot/fetch"
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
	if err := o.answer(ctx, chain, boots, targets); err != nil {
		return err
	}
	errs := []error{o.judge(boots)}
	for _, t := range targets {
		errs = append(errs, o.keepOrCompare(t, answers(t, chain, boots)))
	}
	return errors.Join(errs...)
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
	for _, why := range reasons(boots) {
		fmt.Fprintln(o.Out, "without prediction:", why)
	}
	if score.Wrong > 0 {
		return fmt.Errorf("%d predictions differ from what the kernels said", score.Wrong)
	}
	return nil
}

// answer boots, or takes what the last run's boots said. The enrolment of
// docs/enrolment.md runs beside the boots, on the kernels of targets.
func (o Options) answer(ctx context.Context, chain *fetch.Boot, boots []*Boot, targets []*Target) error {
	if o.Replay {
		return o.replay(boots)
	}
	init, err := guestInit(ctx, o.Arch, o.Cache)
	if err != nil {
		return err
	}
	var work []func() error
	for _, t := range targets {
		if o.Enrol && t.Kernel.Series != "7.3" {
			work = append(work, func() error { return o.enrol(ctx, chain, init, t) })
		}
	}
	for _, b := range boots {
		work = append(work, func() error { return o.boot(ctx, chain, init, b) })
	}
	return o.all(work)
}

// all does the work, o.Jobs at a time; what fails does not stop the rest.
func (o Options) all(work []func() error) error {
	var g errgroup.Group
	g.SetLimit(o.Jobs)
	errs := make([]error, len(work))
	for i, do := range work {
		g.Go(func() error {
			errs[i] = do()
			return nil
		})
	}
	_ = g.Wait()
	return errors.Join(errs...)
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
