package fetch

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// apt runs one apt program; opts select a private state, empty is the system's own.
type apt struct{ opts []string }

func (a apt) run(ctx context.Context, dir, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, append(append([]string{"-q"}, a.opts...), args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, lastLine(errs.String()))
	}
	return out.String(), nil
}

// concrete is the package that a metapackage stands for: its first Depends.
func (a apt) concrete(ctx context.Context, meta string) (string, error) {
	out, err := a.run(ctx, ".", "apt-cache", "depends", meta)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(out) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "Depends: "); ok {
			return name, nil
		}
	}
	return "", fmt.Errorf("package %s depends on nothing", meta)
}

// download puts the packages that debs lacks there, and unpacks what root lacks.
// The result gives the version of each.
func (a apt) download(ctx context.Context, debs, root string, packages ...string) (map[string]string, error) {
	versions := map[string]string{}
	for _, p := range packages {
		file, err := a.deb(ctx, debs, p)
		if err != nil {
			return nil, err
		}
		if err := unpack(ctx, file, root); err != nil {
			return nil, err
		}
		versions[p] = debVersion(file)
	}
	return versions, nil
}

func (a apt) deb(ctx context.Context, debs, name string) (string, error) {
	if found, _ := filepath.Glob(filepath.Join(debs, name+"_*.deb")); len(found) > 0 {
		return found[len(found)-1], nil
	}
	if _, err := a.run(ctx, debs, "apt-get", "download", name); err != nil {
		return "", err
	}
	found, _ := filepath.Glob(filepath.Join(debs, name+"_*.deb"))
	if len(found) == 0 {
		return "", fmt.Errorf("apt-get download %s left no file", name)
	}
	return found[len(found)-1], nil
}

func unpack(ctx context.Context, deb, root string) error {
	mark := filepath.Join(root, "."+filepath.Base(deb))
	if _, err := os.Stat(mark); err == nil {
		return nil
	}
	if out, err := exec.CommandContext(ctx, "dpkg", "-x", deb, root).CombinedOutput(); err != nil {
		return fmt.Errorf("unpack %s: %w: %s", deb, err, lastLine(string(out)))
	}
	return os.WriteFile(mark, nil, 0o644)
}

// debVersion reads NAME_VERSION_ARCH.deb; apt writes %3a for the colon of an epoch.
func debVersion(file string) string {
	f := strings.Split(filepath.Base(file), "_")
	if len(f) < 3 {
		return ""
	}
	return strings.ReplaceAll(f[1], "%3a", ":")
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}
