package kmm

import (
	"fmt"
	"regexp"
	"sort"
	"strings"

	"github.com/a8m/envsubst/parse"
)

// notInTags are the characters that KMM turns into an underscore wherever it
// names a kernel, since an image tag cannot hold them (KMM: internal/kernel/kernel.go).
var notInTags = regexp.MustCompile(`[^a-zA-Z0-9\-._]`) //nolint:gochecknoglobals // a constant

// Normalize is the kernel release as KMM puts it into tags.
func Normalize(release string) string { return notInTags.ReplaceAllString(release, "_") }

// variables are the names that a template may use, with their values for one
// kernel (KMM: internal/utils/replaceStrings.go). The parts come from the
// release split at '.', ',' and '-'; fewer than three are an error.
// No release at all has no variables.
func variables(release string) (map[string]string, error) {
	if release == "" {
		return nil, nil
	}
	parts := regexp.MustCompile(`[.,-]`).Split(release, -1)
	if len(parts) < 3 {
		return nil, fmt.Errorf("kernel release %q has fewer than three parts", release)
	}
	return map[string]string{
		"KERNEL_FULL_VERSION": release,
		"KERNEL_VERSION":      release,
		"KERNEL_XYZ":          strings.Join(parts[:3], "."),
		"KERNEL_X":            parts[0],
		"KERNEL_Y":            parts[1],
		"KERNEL_Z":            parts[2],
	}, nil
}

// substitute fills in a template with the engine that KMM uses. Where KMM puts
// an empty string for a name that it does not know, substitute refuses and says
// which names there are; a default (${NAME:-x}) is for names that may be unset.
func substitute(template string, vars map[string]string) (string, error) {
	env := make([]string, 0, len(vars))
	for k, v := range vars {
		env = append(env, k+"="+v)
	}
	sort.Strings(env)
	out, err := parse.New("template", env, &parse.Restrictions{NoUnset: true}).Parse(template)
	if err != nil {
		names := make([]string, 0, len(vars))
		for k := range vars {
			names = append(names, k)
		}
		sort.Strings(names)
		if len(names) == 0 {
			return "", fmt.Errorf("%w (no kernel is given)", err)
		}
		return "", fmt.Errorf("%w (known: %s)", err, strings.Join(names, ", "))
	}
	return out, nil
}
