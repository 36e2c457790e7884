// Package kernels builds small kernels from Debian's kernel source whose rules
// for modules differ from those that Debian ships.
package kernels

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
)

//go:embed configs.txt
var list string

//go:embed base.config
var base string

// Config is one kernel to build.
type Config struct {
	Name      string
	Upstream  bool     // without Debian's additions to the source
	Scenarios []string // it is to be booted in
	Changes   []string // to the base configuration: SYMBOL=VALUE
}

// Configs are the listed kernels of these names; none means all.
func Configs(names []string) ([]Config, error) {
	all, err := parse(list)
	if err != nil || len(names) == 0 {
		return all, err
	}
	var out []Config
	for _, n := range names {
		i := slices.IndexFunc(all, func(c Config) bool { return c.Name == n })
		if i < 0 {
			return nil, fmt.Errorf("no kernel configuration %s", n)
		}
		out = append(out, all[i])
	}
	return out, nil
}

func parse(text string) ([]Config, error) {
	var out []Config
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(line, "|")
		if len(f) != 4 {
			return nil, fmt.Errorf("kernel configuration: %d fields in %q", len(f), line)
		}
		c := Config{Name: strings.TrimSpace(f[0]), Scenarios: strings.Fields(f[2]), Changes: strings.Fields(f[3])}
		switch source := strings.TrimSpace(f[1]); source {
		case "debian":
		case "upstream":
			c.Upstream = true
		default:
			return nil, fmt.Errorf("kernel configuration %s: source %q", c.Name, source)
		}
		out = append(out, c)
	}
	return out, nil
}

// suffix follows the version in the release. verify-kmods tells Debian's
// kernels by it, and so it may be on those only that have Debian's additions.
func (c Config) suffix() string {
	if c.Upstream {
		return "-" + c.Name
	}
	return "+deb12-" + c.Name
}

// wishes is what goes behind tinyconfig.
func (c Config) wishes() string {
	w := base + "CONFIG_LOCALVERSION=\"" + c.suffix() + "\"\n"
	for _, change := range c.Changes {
		w += "CONFIG_" + change + "\n"
	}
	return w
}

// refused are the wishes that a finished configuration does not have: what
// Kconfig's dependencies took back. The last wish for a symbol counts.
func (c Config) refused(config string) []string {
	wish := map[string]string{}
	for line := range strings.Lines(c.wishes()) {
		symbol, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if ok && !strings.HasPrefix(line, "#") {
			wish[symbol] = value
		}
	}
	has := map[string]string{}
	for line := range strings.Lines(config) {
		if symbol, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			has[symbol] = value
		}
	}
	var out []string
	for symbol, value := range wish {
		if has[symbol] != value && (value != "n" || has[symbol] != "") {
			out = append(out, symbol+"="+value)
		}
	}
	slices.Sort(out)
	return out
}
