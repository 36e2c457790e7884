package verdict

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/kmod"
)

// KernelConfig is a kernel's .config: option without CONFIG_ -> y, m, n or a
// value without quotes. An option that is missing is off.
type KernelConfig map[string]string

// maxConfig bounds a config file, in bytes; real ones are below 400 kB.
const maxConfig = 16 << 20

// ParseConfig reads a .config or config-RELEASE file, or /proc/config.gz,
// compressed or not. Errors are of fault class Input.
func ParseConfig(r io.Reader) (KernelConfig, error) {
	data, err := readAll(r, maxConfig)
	if err != nil {
		return nil, fault.New(fault.Input, "read kernel config: %w", err)
	}
	c := KernelConfig{}
	s := bufio.NewScanner(bytes.NewReader(data))
	s.Buffer(nil, maxConfig)
	for s.Scan() {
		c.line(strings.TrimSpace(s.Text()))
	}
	if err := s.Err(); err != nil {
		return nil, fault.New(fault.Input, "read kernel config: %w", err)
	}
	if len(c) == 0 {
		return nil, fault.New(fault.Input, "read kernel config: no CONFIG_ line in it").
			Hint("give the file that lies beside the kernel as /boot/config-RELEASE, or /proc/config.gz")
	}
	return c, nil
}

// line takes CONFIG_X=value and "# CONFIG_X is not set".
func (c KernelConfig) line(l string) {
	if name, ok := strings.CutPrefix(l, "# CONFIG_"); ok {
		if name, ok = strings.CutSuffix(name, " is not set"); ok && name != "" {
			c[name] = "n"
		}
		return
	}
	if name, ok := strings.CutPrefix(l, "CONFIG_"); ok {
		if name, value, ok := strings.Cut(name, "="); ok && name != "" {
			c[name] = strings.Trim(value, `"`)
		}
	}
}

// readAll reads at most limit bytes, unpacked where they are gzip, xz or zstd.
func readAll(r io.Reader, limit int64) ([]byte, error) {
	data, err := limited(r, limit)
	if err != nil {
		return nil, err
	}
	plain, _, err := kmod.Decode(data, limit)
	return plain, err
}

func limited(r io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("more than %d bytes", limit)
	}
	return data, nil
}
