package suite

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/kmodseal/kmodseal/e2e/secureboot/truth"
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
	boots, err := o.bootAll(ctx, chain, targets)
	if err != nil {
		return err
	}
	for _, t := range targets {
		if err := o.save(t, table(t, chain, boots)); err != nil {
			return err
		}
	}
	return nil
}

// save writes a kernel's truth table.
func (o Options) save(t *Target, answers *truth.Table) error {
	if o.Truth == "" {
		return nil
	}
	var b bytes.Buffer
	if err := answers.Write(&b); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(o.Truth, "truth-"+t.Kernel.Series+".tsv"), b.Bytes(), 0o644)
}
