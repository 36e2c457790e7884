package fetch

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Source is an unpacked kernel source.
type Source struct {
	Package, Version string
	Dir              string
}

// KernelSource installs what builds a kernel and unpacks Debian's source of a series.
func (c Cache) KernelSource(ctx context.Context, series string) (*Source, error) {
	missing := missingOf(map[string]string{"gcc-12": "gcc-12", "bison": "bison", "flex": "flex", "bc": "bc", "sbsign": "sbsigntool"})
	for header, pkg := range map[string]string{"libelf.h": "libelf-dev", "openssl/opensslv.h": "libssl-dev"} {
		if _, err := os.Stat("/usr/include/" + header); err != nil {
			missing = append(missing, pkg)
		}
	}
	if err := install(ctx, missing); err != nil {
		return nil, err
	}
	name := "linux-source-" + series
	debs, root, err := c.folders("debs", "root")
	if err != nil {
		return nil, err
	}
	v, err := apt{}.download(ctx, debs, root, name)
	if err != nil {
		return nil, err
	}
	s := &Source{Package: name, Version: v[name], Dir: filepath.Join(c.Dir, "own", name)}
	mark := s.Dir + ".unpacked"
	if _, err := os.Stat(mark); err == nil {
		return s, nil
	}
	if err := os.MkdirAll(filepath.Dir(s.Dir), 0o755); err != nil {
		return nil, err
	}
	archive := filepath.Join(root, "usr/src", name+".tar.xz")
	if out, err := exec.CommandContext(ctx, "tar", "-C", filepath.Dir(s.Dir), "-xJf", archive).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("unpack %s: %w: %s", archive, err, lastLine(string(out)))
	}
	return s, os.WriteFile(mark, nil, 0o644)
}
