package suite

import (
	"fmt"
	"slices"
	"time"

	"github.com/kmodseal/kmodseal/e2e/secureboot/predict"
	"github.com/kmodseal/kmodseal/e2e/secureboot/world"
	"github.com/kmodseal/kmodseal/pkg/verdict"
)

// worldJudge is one kernel in one state, and what it has to say of all modules of another.
type worldJudge struct {
	kernel *Target
	secure bool
}

// want is the only right verdict on the modules of t. A kernel's build key is
// in no other kernel; without Secure Boot that is tolerated, and then struct
// module and the symbols' versions do not fit.
func (j worldJudge) want(t *Target) verdict.State {
	switch {
	case j.kernel == t:
		return verdict.Loads
	case j.secure:
		return verdict.UnavailableKey
	}
	return verdict.WrongKernel
}

func (j worldJudge) name() string {
	if j.secure {
		return j.kernel.Kernel.Release + ", Secure Boot"
	}
	return j.kernel.Kernel.Release + ", no Secure Boot"
}

func (j worldJudge) judge() (*verdict.Judge, error) {
	t := j.kernel
	k, err := predict.Facts(t.Kernel.Release, t.Kernel.Arch, t.Kernel.Config, t.Kernel.Symvers, t.Probes["sbprobe"])
	if err != nil {
		return nil, err
	}
	return predict.Machine{Kernel: k, Builtin: t.Builtin, SecureBoot: j.secure}.Judge()
}

// world judges every module of the kernels in o.World for its own kernel and for
// the others; one verdict that is not the right one is an error.
func (o Options) world(all []*Target) error {
	targets := slices.DeleteFunc(slices.Clone(all), func(t *Target) bool { return !slices.Contains(o.World, t.Kernel.Series) })
	var who []worldJudge
	var judges []*verdict.Judge
	for _, t := range targets {
		for _, secure := range []bool{true, false} {
			w := worldJudge{t, secure}
			j, err := w.judge()
			if err != nil {
				return err
			}
			who, judges = append(who, w), append(judges, j)
		}
	}
	wrong := 0
	for _, t := range targets {
		start := time.Now()
		files, err := world.Files(t.Kernel.Modules)
		if err != nil {
			return err
		}
		verdicts, err := world.Judge(files, judges...)
		if err != nil {
			return err
		}
		for i, w := range who {
			wrong += o.worldScore(w, t, verdicts[i])
		}
		fmt.Fprintf(o.Out, "%d modules of %s judged for %d kernels in %.1fs\n", len(files), t.Kernel.Release, len(targets), time.Since(start).Seconds())
	}
	if wrong > 0 {
		return fmt.Errorf("%d wrong verdicts on the distribution's modules", wrong)
	}
	return nil
}

// worldScore prints and counts what is not as it has to be, a few of them in full.
func (o Options) worldScore(w worldJudge, t *Target, verdicts []verdict.Verdict) int {
	want := w.want(t)
	bad := slices.DeleteFunc(verdicts, func(v verdict.Verdict) bool { return v.State == want })
	for _, v := range bad[:min(5, len(bad))] {
		fmt.Fprintf(o.Out, "%s: %s is %s (%s %q) and not %s\n", w.name(), v.Path, v.State, v.Rule, v.Dmesg, want)
	}
	return len(bad)
}
