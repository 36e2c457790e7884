package suite

import (
	"context"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/kmodseal/kmodseal/e2e/secureboot/boot"
	"github.com/kmodseal/kmodseal/e2e/secureboot/fetch"
	"github.com/kmodseal/kmodseal/e2e/secureboot/mutate"
	"github.com/kmodseal/kmodseal/e2e/secureboot/predict"
	"github.com/kmodseal/kmodseal/e2e/secureboot/wire"
)

// Options of Run.
type Options struct {
	Cache     string   // folder for packages, builds and logs
	Arch      string   // amd64 or arm64
	Kernels   []string // series: 6.1, 6.12, 7.3
	Scenarios []Scenario
	Accel     string   // tcg or kvm
	Jobs      int      // boots at the same time
	Seed      uint64   // of the mutations
	Mutations int      // a kernel
	Negative  bool     // boot with damaged links of the chain, too
	Enrol     bool     // rehearse docs/enrolment.md, too
	World     []string // series whose modules are all judged, too
	Replay    bool     // compare with the answers of the last run instead of booting
	Truth     string   // folder of the truth tables; empty: none
	Update    bool     // write them instead of comparing
	Out       io.Writer
}

// Mutations are those of the full test, a kernel.
const Mutations = 1050

// Boot is one finished boot.
type Boot struct {
	Target    *Target
	Scenario  Scenario
	Predicted map[string]predict.Prediction // by case, or BASE/INDEX
	Mutants   map[string]mutate.Mutant
	Log       *wire.Log
	Wall      time.Duration
}

func (b *Boot) name() string { return b.Target.Kernel.Release + "." + b.Scenario.Name }

// names are the predicted cases and mutants, sorted.
func (b *Boot) names() []string { return slices.Sorted(maps.Keys(b.Predicted)) }

// plan is every kernel in every scenario, the long ones first.
func (o Options) plan(targets []*Target) []*Boot {
	var boots []*Boot
	for _, fuzz := range []bool{true, false} {
		for _, t := range targets {
			for _, s := range o.Scenarios {
				if s.Fuzz == fuzz {
					boots = append(boots, &Boot{Target: t, Scenario: s})
				}
			}
		}
	}
	return boots
}

func (o Options) boot(ctx context.Context, chain *fetch.Boot, init []byte, b *Boot) error {
	files := boot.Files{"/init": init}
	if err := files.AddInsmod(chain); err != nil {
		return err
	}
	m := boot.Machine{
		Chain: chain, Kernel: b.Target.Kernel.Vmlinuz, Vars: b.Scenario.vars(b.Target), Cmdline: b.Scenario.Cmdline,
		Initrd: files, Dir: filepath.Join(o.Cache, "run", b.name()),
		Accel: o.Accel, Limit: 10 * time.Minute,
	}
	if err := o.addJobs(files, b); err != nil {
		return err
	}
	start := time.Now()
	log, err := m.Run(ctx)
	b.Log, b.Wall = log, time.Since(start)
	if err != nil {
		return fmt.Errorf("%s, %s: %w", b.Target.Kernel.Release, b.Scenario.Name, err)
	}
	fmt.Fprintf(o.Out, "booted %s %s in %.1fs: %d answers, lockdown %s, sig_enforce %s\n", b.Target.Kernel.Release, b.Scenario.Name,
		b.Wall.Seconds(), len(log.Answers), log.Facts["LOCKDOWN"], log.Facts["SIG_ENFORCE"])
	return nil
}
