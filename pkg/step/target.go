package step

import (
	"fmt"
	"io"
	"os"

	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/verdict"
)

// KernelConfig reads the file of --kernel-config; nil for an empty name. A
// file that is no configuration is a fault of class Input that names it.
func KernelConfig(file string) (verdict.KernelConfig, error) {
	return fact(file, verdict.ParseConfig)
}

// Symvers is the same for --symvers.
func Symvers(file string) (*verdict.Symvers, error) {
	return fact(file, verdict.ParseSymvers)
}

func fact[T any](file string, parse func(io.Reader) (T, error)) (none T, err error) {
	if file == "" {
		return none, nil
	}
	f, err := os.Open(file)
	if err != nil {
		return none, fault.New(fault.Input, "%w", err).Hint("the packages of the kernel and of its headers have it")
	}
	defer f.Close()
	t, err := parse(f)
	if err != nil {
		return none, fmt.Errorf("%s: %w", file, err)
	}
	return t, nil
}
