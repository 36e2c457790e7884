package ci

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/kmodseal/kmodseal/pkg/fault"
)

// Tekton keeps all results of a Task in one termination message of 4096 bytes,
// its own fields included (pipeline docs/tasks.md): one step gets 3 KiB of it.
const (
	tektonTotal = 3 << 10
	tektonValue = 1 << 10 // of a list of releases or a name, which may be cut
)

// tekton writes a file for each result, without a newline at its end.
func (h *Host) tekton(results Results) error {
	dir := filepath.Clean(h.ResultsDir)             // Tekton names files only, so ours is $(results.x.path)/..
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // as Tekton has it
		return err
	}
	total := 0
	for _, r := range results {
		value, name := h.fit(r, "Tekton result", tektonValue), tektonName(r.Name)
		// Tekton stores {"key":..,"value":..,"type":1} for each.
		if total += len(name) + len(value) + 32; total > tektonTotal {
			return fault.New(fault.Internal, "result %s: all results together exceed the %d bytes that Tekton has room for", r.Name, tektonTotal).
				Hint("work on fewer at a time, write filesToSign as globs, or hand the output on as a file in a workspace")
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(value), 0o644); err != nil { //nolint:gosec // read by Tekton's entrypoint
			return err
		}
	}
	return nil
}

// tektonName is the result's name; Tekton Chains insists on its own for images.
func tektonName(name string) string {
	switch name {
	case Image:
		return "IMAGE_URL"
	case Digest:
		return "IMAGE_DIGEST"
	}
	return name
}

// fit cuts what may be cut, and warns of it.
func (h *Host) fit(r Result, place string, limit int) string {
	if r.Name != KernelReleases && r.Name != Signer {
		return r.Value
	}
	value, cut := fit(r.Value, limit)
	if cut > 0 {
		h.Warn("result %s: %d bytes do not fit into a %s and were left out; the report has all", r.Name, cut, place)
	}
	return value
}

// fit cuts a comma-separated list after its last whole item within limit bytes
// and says how many bytes went.
func fit(value string, limit int) (string, int) {
	if len(value) <= limit {
		return value, 0
	}
	end := strings.LastIndexByte(value[:limit+1], ',')
	if end < 0 {
		end = len(strings.ToValidUTF8(value[:limit], ""))
	}
	return value[:end], len(value) - end
}
