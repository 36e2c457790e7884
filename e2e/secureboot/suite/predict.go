package suite

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/kmodseal/kmodseal/e2e/secureboot/cases"
	"github.com/kmodseal/kmodseal/e2e/secureboot/mutate"
	"github.com/kmodseal/kmodseal/e2e/secureboot/predict"
	"github.com/kmodseal/kmodseal/e2e/secureboot/wire"
)

// predictor is the judge for one boot.
func predictor(t *Target, s Scenario) (*predict.Predictor, error) {
	k, err := predict.Facts(t.Kernel.Release, t.Kernel.Arch, t.Kernel.Config, t.Kernel.Symvers, t.Probes["sbprobe"])
	if err != nil {
		return nil, err
	}
	return predict.New(s.Machine(k, t.Builtin, t.Cases))
}

// predictAll writes down, before anything boots, what every kernel will say.
func (o Options) predictAll(boots []*Boot) error {
	for _, b := range boots {
		p, err := predictor(b.Target, b.Scenario)
		if err != nil {
			return err
		}
		b.Predicted = map[string]predict.Prediction{}
		for _, c := range b.Target.Cases.Cases {
			b.Predicted[c.Name] = One(p, b.Target.Cases, c)
		}
		if b.Scenario.Fuzz {
			o.predictMutants(p, b)
		}
		if err := o.savePredictions(b); err != nil {
			return err
		}
	}
	return nil
}

// One predicts for a case, with the modules that it needs before it.
func One(p *predict.Predictor, set *cases.Set, c cases.Case) predict.Prediction {
	var before []predict.Module
	for _, name := range c.Before {
		b := set.Case(name)
		before = append(before, predict.Module{File: b.File(), Bytes: b.Bytes})
	}
	return p.Judge(c.Method, predict.Module{File: c.File(), Bytes: c.Bytes}, before...)
}

func (o Options) predictMutants(p *predict.Predictor, b *Boot) {
	b.Mutants = map[string]mutate.Mutant{}
	for _, f := range o.fuzzJobs(b.Target) {
		for i := range f.count {
			m := mutate.Make(f.base.Bytes, o.Seed, i)
			name := fmt.Sprintf("%s/%d", f.name, i)
			b.Mutants[name] = m
			b.Predicted[name] = p.Judge(wire.Init, predict.Module{File: f.base.File(), Bytes: m.Bytes})
		}
	}
}

func (o Options) savePredictions(b *Boot) error {
	var out bytes.Buffer
	for _, name := range b.names() {
		p := b.Predicted[name]
		fmt.Fprintf(&out, "%s\t%s\t%s\t%s\t%s\n", name, p.State, p.Errno, p.Dmesg, p.Rule)
	}
	dir := filepath.Join(o.Cache, "predictions")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, b.name()+".tsv"), out.Bytes(), 0o644)
}

// Score counts how predictions and answers compare.
type Score struct {
	Cases, Mutants, Apart, Wrong int
}

// compare prints what differs and adds to the score.
func (o Options) compare(b *Boot, score *Score) {
	t := table.NewWriter()
	t.SetOutputMirror(o.Out)
	t.SetTitle("%s: predictions that were wrong", b.name())
	t.AppendHeader(table.Row{"case", "predicted", "rule", "kernel", "what"})
	wrong := 0
	apart := b.apart()
	for _, name := range b.names() {
		if apart[name] != "" {
			score.Apart++
			continue
		}
		p, a := b.Predicted[name], b.Log.Answers[name]
		m, isMutant := b.Mutants[name]
		if isMutant {
			score.Mutants++
		} else {
			score.Cases++
		}
		if p.Agrees(a.Result, a.Verdict()) {
			continue
		}
		if a.Result == "" { // a case that is newer than the boot
			a.Result = "no answer"
		}
		wrong++
		t.AppendRow(table.Row{name, string(p.State) + " " + p.Result() + " " + strings.Join(p.Log(), " | "), p.Rule, a.Result + " " + strings.Join(a.Verdict(), " | "), m.What})
		if isMutant {
			o.keep(b, name, m)
		}
	}
	score.Wrong += wrong
	if wrong > 0 {
		t.Render()
	}
}

// keep saves a mutant that was judged wrongly, so that it can become a case.
func (o Options) keep(b *Boot, name string, m mutate.Mutant) {
	dir := filepath.Join(o.Cache, "wrong", b.name())
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return
	}
	file := filepath.Join(dir, strings.ReplaceAll(name, "/", "-"))
	_ = os.WriteFile(file+".ko", m.Bytes, 0o644)
	at := max(0, len(m.Bytes)-4000)
	_ = os.WriteFile(file+".txt", []byte(m.What+"\n"+hex.Dump(m.Bytes[at:])), 0o644)
}

// reasons are the cases without prediction, one line a reason.
func reasons(boots []*Boot) []string {
	names := map[string]map[string]bool{}
	for _, b := range boots {
		for name, why := range b.apart() {
			if names[why] == nil {
				names[why] = map[string]bool{}
			}
			names[why][name] = true
		}
	}
	var out []string
	for _, why := range slices.Sorted(maps.Keys(names)) {
		out = append(out, strings.Join(slices.Sorted(maps.Keys(names[why])), ", ")+": "+why)
	}
	return out
}

// apart are the cases without prediction, with the reason.
func (b *Boot) apart() map[string]string {
	out := map[string]string{}
	for _, c := range b.Target.Cases.Cases {
		if c.Unpredictable != "" {
			out[c.Name] = c.Unpredictable
		}
	}
	return out
}
