package suite

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/kmodseal/kmodseal/e2e/secureboot/boot"
	"github.com/kmodseal/kmodseal/e2e/secureboot/fetch"
	"github.com/kmodseal/kmodseal/e2e/secureboot/mok"
	"github.com/kmodseal/kmodseal/e2e/secureboot/wire"
	"github.com/kmodseal/kmodseal/pkg/keys"
	"github.com/kmodseal/kmodseal/pkg/sign"
)

const mokPassword = "one-time-pass"

// enrol does what docs/enrolment.md says, on one kernel: enrol, check, roll
// over, revoke. A module of the first key must load exactly while it is enrolled.
func (o Options) enrol(ctx context.Context, chain *fetch.Boot, init []byte, t *Target) error {
	document, err := os.ReadFile("docs/enrolment.md")
	if err != nil {
		return err
	}
	commands, err := mok.Commands(string(document))
	if err != nil {
		return fmt.Errorf("docs/enrolment.md: %w", err)
	}
	dir := filepath.Join(o.Cache, "enrol", t.Kernel.Release)
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	host := exec.CommandContext(ctx, "sh", "-e")
	host.Dir, host.Stdin = dir, strings.NewReader(commands["host"])
	if out, err := host.CombinedOutput(); err != nil {
		return fmt.Errorf("docs/enrolment.md, commands on the host: %w: %s", err, bytes.TrimSpace(out))
	}
	files, err := o.enrolFiles(ctx, init, t, dir, commands)
	if err != nil {
		return err
	}
	start := time.Now()
	log, err := boot.Machine{
		Chain: chain, Kernel: t.Kernel.Vmlinuz, Initrd: files, Accel: o.Accel, Limit: 10 * time.Minute,
		Dir: filepath.Join(o.Cache, "run", t.Kernel.Release+".enrol"),
		Console: func(ctx context.Context, socket, log string) error {
			return mok.Drive(ctx, socket, log, mokPassword, mok.Enroll, mok.Enroll, mok.Delete)
		},
	}.Run(ctx)
	if err != nil {
		return fmt.Errorf("enrolment on %s: %w", t.Kernel.Release, err)
	}
	fmt.Fprintf(o.Out, "enrolled, rolled over and revoked on %s in %.1fs\n", t.Kernel.Release, time.Since(start).Seconds())
	return enrolVerdict(log)
}

// enrolFiles is an initrd that goes one step further at each boot.
func (o Options) enrolFiles(ctx context.Context, init []byte, t *Target, dir string, commands map[string]string) (boot.Files, error) {
	files := boot.Files{"/init": init, modulesDir + "efivarfs.ko": t.Distro["efivarfs"]}
	for as, program := range map[string]string{"/bin/sh": "sh", "/bin/mokutil": "mokutil"} {
		if err := files.AddProgram(as, program); err != nil {
			return nil, err
		}
	}
	typed := "printf '%s\\n%s\\n' " + mokPassword + " " + mokPassword + " | "
	for _, name := range []string{"import", "rollover", "revoke"} {
		files[modulesDir+name] = []byte(typed + commands[name])
	}
	files[modulesDir+"check"] = []byte(commands["check"])
	for _, key := range []string{"signing", "next", "build"} {
		b, err := signWith(ctx, dir, key, t.Probes["sbprobe"])
		if err != nil {
			return nil, err
		}
		files[modulesDir+"sbprobe"+wire.ModuleName+key+".ko"] = b
	}
	for _, name := range []string{"signing.der", "next.der"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		files[modulesDir+name] = b
	}
	var list bytes.Buffer
	err := wire.WriteJobs(&list, enrolJobs())
	files[wire.JobFile] = list.Bytes()
	return files, err
}

func enrolJobs() []wire.Job {
	module := func(key string) wire.Job {
		return wire.Job{Name: key, Method: wire.Finit, Path: modulesDir + "sbprobe" + wire.ModuleName + key + ".ko", Arg: "-"}
	}
	step := func(script, state string) wire.Job {
		return wire.Job{Name: script, Method: wire.MokStep, Path: modulesDir + script, Arg: state}
	}
	return []wire.Job{
		{Name: "efivarfs", Method: wire.Keep, Path: modulesDir + "efivarfs.ko", Arg: "-"},
		{Name: "efivars", Method: wire.Efivars, Path: "-", Arg: "-"},
		{Name: "state", Method: wire.MokState, Path: modulesDir + "signing.der " + modulesDir + "next.der", Arg: "-"},
		{Name: "check", Method: wire.Shell, Path: modulesDir + "check", Arg: "-"},
		module("signing"), module("next"), module("build"),
		step("import", "none"), step("rollover", "signing"), step("revoke", "signing+next"),
	}
}

// enrolVerdict checks each boot of the rehearsal.
func enrolVerdict(log *wire.Log) error {
	want := map[string]string{
		"none:signing": "EKEYREJECTED", "none:next": "EKEYREJECTED",
		"signing:signing": wire.OK, "signing:next": "EKEYREJECTED",
		"signing+next:signing": wire.OK, "signing+next:next": wire.OK,
		"next:signing": "EKEYREJECTED", "next:next": wire.OK, "next:build": "EKEYREJECTED",
	}
	for name, result := range want {
		if got := log.Answers[name].Result; got != result {
			return fmt.Errorf("enrolment, %s: %q, not %s", name, got, result)
		}
	}
	for _, script := range []string{"none:import", "signing:rollover", "signing+next:revoke", "none:check", "signing:check", "next:check"} {
		if got := log.Facts[script]; got != "<nil>" {
			return fmt.Errorf("enrolment, commands of %s: %s", script, got)
		}
	}
	return nil
}

// signWith signs a copy of the probe with a key of the document.
func signWith(ctx context.Context, dir, key string, probe []byte) ([]byte, error) {
	pair, err := keys.Load(keys.Request{Key: filepath.Join(dir, key+".key"), Cert: filepath.Join(dir, key+".pem")})
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, key+".ko")
	if err := os.WriteFile(file, probe, 0o644); err != nil {
		return nil, err
	}
	if _, err := sign.Files(ctx, []string{file}, sign.Options{Pair: pair}); err != nil {
		return nil, err
	}
	return os.ReadFile(file)
}
