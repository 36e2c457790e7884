// Package step is the main that every step shares: flags, environment, log,
// progress, results, errors and exit codes.
//
//	func main() { os.Exit(step.Main(extractkmods.New())) }
package step

import (
	"context"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/kmodseal/kmodseal/pkg/ci"
)

// Command is one step: a pointer to a struct that embeds Common and whose
// other fields are its own flags (kong tags name, help, default, enum, group,
// placeholder, required; sep:"none" on repeatable ones; emptyenv where an empty
// variable means an empty value).
type Command interface {
	shared() *Common
	// About describes the step to people.
	About() About
	// Run does the work with the flags set. What it leaves in s is printed and
	// published, also where it gives an error.
	Run(ctx context.Context, s *Session) error
}

// About is what --help says beyond the flags.
type About struct {
	Name     string    // of the binary
	Summary  string    // one line
	Long     string    // one paragraph
	Usage    []string  // lines behind the name
	Examples []Example // two or three
	Codes    []int     // exit codes that the step can end with, beside 0, 1 and 2
	Offline  bool      // Main gives up sockets before the step starts
}

// Example is a command line and what it is for.
type Example struct{ Text, Line string }

// Main runs cmd with the process's arguments, environment and files, and gives
// the exit code. SIGINT and SIGTERM cancel the step; a second one kills it.
func Main(cmd Command) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	if cmd.About().Offline {
		if err := goOffline(); err != nil {
			return abort(cmd, err)
		}
	}
	return Run(ctx, cmd, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr)
}

// Run runs cmd with args (without the program's name) and env (NAME=value) and
// gives the exit code. It touches nothing of the process but what cmd does.
func Run(ctx context.Context, cmd Command, args, env []string, stdin io.Reader, stdout, stderr io.Writer) int {
	getenv := lookup(env)
	common := cmd.shared()
	f := &failer{step: cmd.About().Name, w: stderr}
	shown, err := parse(cmd, args, getenv, stdout)
	f.json = common.LogFormat == "json"
	if err != nil || shown {
		announce(&ci.Host{Getenv: getenv, Commands: stderr}, f.step, err) //nolint:errcheck // the error itself follows
		return f.end(err, usageLine(cmd))
	}
	s := newSession(cmd, getenv, stdin, stdout, stderr)
	err = guard(func() error { return cmd.Run(ctx, s) })
	err = s.finish(interrupted(ctx, err))
	return f.end(err, "")
}

func lookup(env []string) func(string) (string, bool) {
	vars := make(map[string]string, len(env))
	for _, kv := range env {
		if name, value, ok := strings.Cut(kv, "="); ok {
			vars[name] = value
		}
	}
	return func(name string) (string, bool) {
		v, ok := vars[name]
		return v, ok
	}
}
