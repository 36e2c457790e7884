package suite

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/kmodseal/kmodseal/e2e/secureboot/boot"
	"github.com/kmodseal/kmodseal/e2e/secureboot/cases"
	"github.com/kmodseal/kmodseal/e2e/secureboot/wire"
)

// modulesDir is where the modules are in the guest.
const modulesDir = "/m/"

// addJobs puts the cases and the job list of a boot into its initrd.
func (o Options) addJobs(files boot.Files, b *Boot) error {
	jobs := []wire.Job{
		{Name: "efivarfs", Method: wire.Keep, Path: modulesDir + "efivarfs.ko", Arg: "-"},
		{Name: "efivars", Method: wire.Efivars, Path: "-", Arg: "-"},
		{Name: "keyrings", Method: wire.Keyrings, Path: "-", Arg: "-"},
	}
	files[modulesDir+"efivarfs.ko"] = b.Target.Distro["efivarfs"]
	byName := map[string]cases.Case{}
	for _, c := range b.Target.Cases.Cases {
		if _, twice := byName[c.Name]; twice {
			return fmt.Errorf("two cases are called %s", c.Name)
		}
		byName[c.Name] = c
		files[modulesDir+c.File()] = c.Bytes
		for _, before := range c.Before {
			jobs = append(jobs, wire.Job{Name: c.Name + ".before", Method: wire.Keep, Path: modulesDir + byName[before].File(), Arg: "-"})
		}
		jobs = append(jobs, wire.Job{Name: c.Name, Method: c.Method, Path: modulesDir + c.File(), Arg: "-"})
		for _, before := range slices.Backward(c.Before) {
			jobs = append(jobs, wire.Job{Name: c.Name + ".after", Method: wire.Remove, Path: byName[before].Module, Arg: "-"})
		}
	}
	if b.Scenario.Fuzz {
		for _, f := range o.fuzzJobs(b.Target) {
			jobs = append(jobs, wire.Job{Name: f.name, Method: wire.Fuzz, Path: modulesDir + f.base.File(), Arg: fmt.Sprintf("%d:%d", o.Seed, f.count)})
		}
	}
	var list bytes.Buffer
	if err := wire.WriteJobs(&list, jobs); err != nil {
		return err
	}
	files[wire.JobFile] = list.Bytes()
	return nil
}

// fuzzBases are the cases whose modules are mutated.
func fuzzBases() []string {
	return []string{"key-good", "skid-good", "chain-leaf", "chain-interleaf", "key-p256", "signers-stranger-good", "chain-good"}
}

// fuzzJob are the mutations of one base.
type fuzzJob struct {
	name  string
	base  cases.Case
	count int
}

// fuzzJobs share the mutations among the bases.
func (o Options) fuzzJobs(t *Target) []fuzzJob {
	var jobs []fuzzJob
	for i, base := range fuzzBases() {
		jobs = append(jobs, fuzzJob{"fuzz-" + base, t.Cases.Case(base), (o.Mutations + i) / len(fuzzBases())})
	}
	return jobs
}
