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
// over, revoke. A module must load exactly while its key, or the CA above it, is enrolled.
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
	for _, key := range enrolKeys() {
		b, err := signWith(ctx, dir, key, t.Probes["sbprobe"])
		if err != nil {
			return nil, err
		}
		files[modulesDir+"sbprobe"+wire.ModuleName+key+".ko"] = b
	}
	for _, name := range []string{"ca.der", "signing.der"} {
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
		{Name: "state", Method: wire.MokState, Path: modulesDir + "ca.der " + modulesDir + "signing.der", Arg: "-"},
		{Name: "check", Method: wire.Shell, Path: modulesDir + "check", Arg: "-"},
		module("build"), module("later"), module("signing"),
		step("import", "none"), step("rollover", "ca"), step("revoke", "ca+signing"),
	}
}

// enrolKeys are the document's signing keys: two whose certificates a CA issued,
// and a self-signed one.
func enrolKeys() []string { return []string{"build", "later", "signing"} }

// enrolVerdict checks each boot of the rehearsal.
func enrolVerdict(log *wire.Log) error {
	for state, loads := range map[string]string{
		"none": "", "ca": "build later", "ca+signing": "build later signing", "signing": "signing",
	} {
		for _, key := range enrolKeys() {
			want := "EKEYREJECTED"
			if strings.Contains(loads, key) {
				want = wire.OK
			}
			if got := log.Answers[state+":"+key].Result; got != want {
				return fmt.Errorf("enrolment, %s enrolled, module of %s: %q, not %s", state, key, got, want)
			}
		}
	}
	for _, script := range []string{"none:import", "ca:rollover", "ca+signing:revoke", "none:check", "ca:check", "signing:check"} {
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
	if _, err := sign.Files(ctx, []string{file}, sign.Options{Pair: pair, Embed: sign.Auto}); err != nil {
		return nil, err
	}
	return os.ReadFile(file)
}
