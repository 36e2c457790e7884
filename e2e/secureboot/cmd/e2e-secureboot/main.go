// Command e2e-secureboot boots Debian kernels under UEFI Secure Boot and
// compares what they say to modules with what verify-kmods says beforehand.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"

	"github.com/kmodseal/kmodseal/e2e/secureboot/kernels"
	"github.com/kmodseal/kmodseal/e2e/secureboot/suite"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "e2e-secureboot:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	o := suite.Options{Out: os.Stdout, Accel: os.Getenv("ACCEL")}
	if o.Accel == "" {
		o.Accel = "tcg"
	}
	f := flag.NewFlagSet("e2e-secureboot", flag.ContinueOnError)
	f.StringVar(&o.Cache, "cache", ".cache/secureboot", "folder for packages, builds and logs")
	f.StringVar(&o.Arch, "arch", "amd64", "architecture of the guests: amd64 or arm64 (kernels 6.1 and 6.12)")
	series := f.String("kernels", "6.1,6.12,7.3", "kernel series")
	scenarios := f.String("scenarios", "", "scenarios; default all")
	f.IntVar(&o.Jobs, "jobs", 2, "boots at the same time")
	f.Uint64Var(&o.Seed, "seed", 1, "seed of the mutations")
	f.IntVar(&o.Mutations, "mutations", suite.Mutations, "mutations a kernel")
	f.BoolVar(&o.Negative, "negative", true, "boot with a flipped bit in shim, GRUB and kernel, too")
	enrol := f.String("enrol", "auto", "on, off or auto: run the commands of docs/enrolment.md, with MokManager answered over the serial port; auto: in the full test")
	world := f.String("world", "6.1,6.12", "kernel series whose modules are all judged for each of them")
	f.BoolVar(&o.Replay, "replay", false, "compare with the answers of the last run instead of booting")
	own := f.String("build", "", "build these kernels of kernels/configs.txt and boot them instead of Debian's; all for all")
	f.StringVar(&o.Truth, "truth", "e2e/secureboot/testdata", "folder of the truth tables; empty: none are compared")
	f.BoolVar(&o.Update, "update", false, "write the truth tables")
	if err := f.Parse(args); err != nil {
		return err
	}
	var err error
	if o.Cache, err = filepath.Abs(o.Cache); err != nil {
		return err
	}
	o.World = strings.Split(*world, ",")
	o.Kernels = strings.Split(*series, ",")
	if o.Scenarios, err = suite.Named(strings.FieldsFunc(*scenarios, func(r rune) bool { return r == ',' })); err != nil {
		return err
	}
	o.Enrol = *enrol == "on" || *enrol == "auto" && o.Arch == "amd64" && *scenarios == ""
	if *own == "" {
		return suite.Run(ctx, o)
	}
	names := strings.Split(*own, ",")
	if *own == "all" {
		names = nil
	}
	configs, err := kernels.Configs(names)
	if err != nil {
		return err
	}
	return suite.RunOwn(ctx, o, configs)
}
