package step

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/kmodseal/kmodseal/pkg/fault"
)

// envPrefix begins the environment variable of every flag.
const envPrefix = "KMODSEAL_"

// Common are the flags of every step.
type Common struct {
	Help       showHelp    `name:"help" short:"h" help:"Show this help." group:"common"`
	Version    showVersion `name:"version" help:"Show the version." group:"common"`
	LogFormat  string      `name:"log-format" help:"Form of messages on stderr: text or json." enum:"text,json" default:"text" group:"common"`
	Quiet      bool        `name:"quiet" short:"q" help:"No progress, no warnings, no table: errors only." group:"common"`
	Output     string      `name:"output" help:"Form of the result on stdout: text (a table) or json." enum:"text,json" default:"text" group:"common"`
	ResultsDir string      `name:"results-dir" placeholder:"DIR" help:"Write each result as a file into DIR (Tekton)." group:"results"`
	Dotenv     string      `name:"dotenv" placeholder:"FILE" help:"Write the results as NAME=value lines to FILE (GitLab dotenv report)." group:"results"`
}

func (c *Common) shared() *Common { return c } //nolint:unused // what makes a struct that embeds Common a Command

type (
	showHelp    bool
	showVersion bool
)

var (
	errHelp    = errors.New("help")
	errVersion = errors.New("version")
)

// BeforeReset ends parsing before any check of other flags.
func (showHelp) BeforeReset() error { return errHelp }

// BeforeReset ends parsing before any check of other flags.
func (showVersion) BeforeReset() error { return errVersion }

// parse fills cmd: default < environment < flag. shown: --help or
// --version was answered. Errors are of fault class Usage.
func parse(cmd Command, args []string, getenv func(string) (string, bool), stdout io.Writer) (shown bool, err error) {
	k, err := parser(cmd, getenv)
	if err != nil {
		return false, fmt.Errorf("flags of %s: %w", cmd.About().Name, err)
	}
	_, err = k.Parse(args)
	switch {
	case errors.Is(err, errHelp):
		return true, writeHelp(stdout, cmd)
	case errors.Is(err, errVersion):
		_, err = fmt.Fprintf(stdout, "%s %s\n", cmd.About().Name, Version())
		return true, err
	case err != nil:
		peekLogFormat(cmd.shared(), args, getenv)
		return false, fault.New(fault.Usage, "%w", err)
	}
	return false, empties(k.Model.AllFlags(false))
}

// peekLogFormat finds the form of messages where parsing failed half way.
func peekLogFormat(c *Common, args []string, getenv func(string) (string, bool)) {
	c.LogFormat, _ = getenv(envPrefix + "LOG_FORMAT")
	if all := strings.Join(args, " "); strings.Contains(all, "--log-format") {
		c.LogFormat = "text"
		if strings.Contains(all, "--log-format=json") || strings.Contains(all, "--log-format json") {
			c.LogFormat = "json"
		}
	}
}

func parser(cmd Command, getenv func(string) (string, bool)) (*kong.Kong, error) {
	return kong.New(cmd,
		kong.Name(cmd.About().Name),
		kong.NoDefaultHelp(),
		kong.Resolvers(kong.ResolverFunc(func(_ *kong.Context, _ *kong.Path, f *kong.Flag) (any, error) {
			return fromEnv(f, getenv), nil
		})),
	)
}

// fromEnv is the flag's value in the environment; nil: none. A variable that
// is set but empty counts as unset, for CI systems hand on unset inputs so,
// but for flags with the tag emptyenv, where empty means "off". The items of a
// repeatable flag stand on lines of their own.
func fromEnv(f *kong.Flag, getenv func(string) (string, bool)) any {
	value, ok := getenv(EnvName(f.Name))
	if !ok || f.Name == "help" || f.Name == "version" || value == "" && !f.Tag.Has("emptyenv") {
		return nil
	}
	if !f.IsSlice() {
		return value
	}
	var items []any
	for line := range strings.Lines(value) {
		if line = strings.TrimSpace(line); line != "" {
			items = append(items, line)
		}
	}
	return items
}

// EnvName is the environment variable of a flag.
func EnvName(flag string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// empties refuses a required flag whose value is empty, and drops empty items
// of repeatable ones: a CI system passes an unset parameter on as "".
func empties(groups [][]*kong.Flag) error {
	for _, flags := range groups {
		for _, f := range flags {
			if f.IsSlice() {
				f.Target.Set(withoutEmpty(f.Target))
			}
			if f.Required && f.Target.Len() == 0 {
				return fault.New(fault.Usage, "--%s must not be empty", f.Name)
			}
		}
	}
	return nil
}

func withoutEmpty(list reflect.Value) reflect.Value {
	out := reflect.MakeSlice(list.Type(), 0, list.Len())
	for i := range list.Len() {
		if v := list.Index(i); !v.IsZero() {
			out = reflect.Append(out, v)
		}
	}
	return out
}

// Flag describes one flag to tests, to --help and to the reference.
type Flag struct {
	Name        string
	Short       string
	Env         string // empty for --help and --version
	Default     string
	Help        string
	Group       string
	Placeholder string
	Enum        []string
	Repeatable  bool
	Required    bool
	Bool        bool
}

// Flags lists the flags of cmd, those of every step last, in the order of their definition.
func Flags(cmd Command) ([]Flag, error) {
	k, err := parser(cmd, func(string) (string, bool) { return "", false })
	if err != nil {
		return nil, err
	}
	var own, common []Flag
	for _, f := range k.Model.Flags {
		d := describe(f)
		if d.Group == "common" || d.Group == "results" {
			common = append(common, d)
		} else {
			own = append(own, d)
		}
	}
	return append(own, common...), nil
}

func describe(f *kong.Flag) Flag {
	d := Flag{
		Name: f.Name, Env: EnvName(f.Name), Default: f.Default, Help: f.Help, Placeholder: f.PlaceHolder,
		Repeatable: f.IsSlice(), Required: f.Required, Bool: f.IsBool(),
	}
	if f.Short != 0 {
		d.Short = string(f.Short)
	}
	if f.Enum != "" {
		d.Enum = strings.Split(f.Enum, ",")
	}
	if f.Group != nil {
		d.Group = f.Group.Key
	}
	if f.Name == "help" || f.Name == "version" {
		d.Env = ""
	}
	return d
}
