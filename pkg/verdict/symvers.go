package verdict

import (
	"bufio"
	"bytes"
	"io"
	"strconv"
	"strings"

	"github.com/kmodseal/kmodseal/pkg/fault"
)

// Symvers is a kernel's Module.symvers: what it and its modules export.
type Symvers struct {
	Symbols map[string]Export
}

// Export is one line of Module.symvers.
type Export struct {
	CRC       uint32
	Module    string // vmlinux, or a path such as drivers/media/mc/mc
	GPL       bool   // EXPORT_SYMBOL_GPL
	Namespace string
}

// maxSymvers bounds Module.symvers, in bytes; real ones are about 2 MB.
const maxSymvers = 64 << 20

// ParseSymvers reads Module.symvers, compressed or not: lines of CRC, symbol,
// module, kind of export and namespace, separated by tabs
// (scripts/mod/modpost.c). Errors are of fault class Input.
func ParseSymvers(r io.Reader) (*Symvers, error) {
	data, err := readAll(r, maxSymvers)
	if err != nil {
		return nil, fault.New(fault.Input, "read Module.symvers: %w", err)
	}
	s := &Symvers{Symbols: map[string]Export{}}
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		if lines.Text() == "" {
			continue
		}
		if !s.line(lines.Text()) {
			return nil, fault.New(fault.Input, "read Module.symvers: line %d is not CRC, symbol, module and kind of export", n).
				Hint("give the Module.symvers of the kernel's headers package")
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fault.New(fault.Input, "read Module.symvers: %w", err)
	}
	if len(s.Symbols) == 0 {
		return nil, fault.New(fault.Input, "read Module.symvers: no symbol in it").
			Hint("give the Module.symvers of the kernel's headers package")
	}
	return s, nil
}

func (s *Symvers) line(l string) bool {
	f := strings.Split(l, "\t")
	if len(f) < 4 || len(f) > 5 || f[1] == "" || !strings.HasPrefix(f[3], "EXPORT_") {
		return false
	}
	digits, ok := strings.CutPrefix(f[0], "0x")
	crc, err := strconv.ParseUint(digits, 16, 32)
	if !ok || err != nil {
		return false
	}
	e := Export{CRC: uint32(crc), Module: f[2], GPL: strings.Contains(f[3], "GPL")}
	if len(f) == 5 {
		e.Namespace = f[4]
	}
	s.Symbols[f[1]] = e
	return true
}
