// Package kconfig reads a kernel's configuration: /boot/config-RELEASE, .config
// of a build tree, or /proc/config.gz.
package kconfig

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/kmodseal/kmodseal/pkg/fault"
)

// limit bounds a configuration; Debian's has 280 KB.
const limit = 16 << 20

// Config is option (CONFIG_X) to value: y, m, a number, or a string without its quotes.
// An option that is not set is not in it.
type Config map[string]string

// Load reads a file, gzip or plain. A file that is no configuration is a fault
// of class Input.
func Load(file string) (Config, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fault.New(fault.Input, "read kernel config: %w", err)
	}
	defer f.Close()
	c, err := Read(f)
	if err != nil {
		return nil, fault.New(fault.Input, "read kernel config %s: %w", file, err).
			Hint("give /boot/config-RELEASE, the .config of the kernel build, or a copy of /proc/config.gz")
	}
	return c, nil
}

// Read reads what Load reads.
func Read(r io.Reader) (Config, error) {
	in := bufio.NewReader(r)
	if head, _ := in.Peek(2); bytes.Equal(head, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, err
		}
		in = bufio.NewReader(z)
	}
	text, err := io.ReadAll(io.LimitReader(in, limit+1))
	if err != nil {
		return nil, err
	}
	if len(text) > limit {
		return nil, fmt.Errorf("larger than %d bytes", limit)
	}
	c := Config{}
	for line := range strings.Lines(string(text)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if ok && strings.HasPrefix(name, "CONFIG_") {
			c[name] = strings.Trim(value, `"`)
		}
	}
	if len(c) == 0 {
		return nil, fmt.Errorf("no CONFIG_ line in it")
	}
	return c, nil
}
