// Package ci leaves a step's results where the CI system around it looks for
// them: Tekton's result files, GitHub's outputs, summary and annotations,
// GitLab's dotenv report. What the environment does not name is not written.
package ci

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/kmodseal/kmodseal/pkg/report"
)

// Names of the results, the same on every CI system; Tekton alone spells Image
// and Digest as IMAGE_URL and IMAGE_DIGEST, which Tekton Chains reads.
const (
	SourceDigest    = "source-digest"    // sha256:<hex>
	KernelReleases  = "kernel-releases"  // comma-separated
	ModuleCount     = "module-count"     // decimal
	SignedCount     = "signed-count"     // decimal
	Signer          = "signer"           // common name
	CertFingerprint = "cert-fingerprint" // SHA-256 of the DER, hex
	Verdict         = "verdict"          // the worst
	Report          = "report"           // path of the report file
	Image           = "image"            // without digest
	Digest          = "digest"           // sha256:<hex>
	Matrix          = "matrix"           // of plan-kmods: JSON
	JobCount        = "job-count"        // of plan-kmods: decimal
)

// Names of results that Tekton alone has.
const (
	// ImageRef is the image with its digest, NAME@sha256:<hex>, for a later Task.
	ImageRef = "image-ref"
	// SourceInput is what the image was made of, for Tekton Chains: an object
	// with uri and digest (chains docs/slsa-provenance.md, type hinting).
	SourceInput = "source_ARTIFACT_INPUTS"
)

// Result is one name with its value.
type Result struct{ Name, Value string }

// Results keeps the order in which it was filled.
type Results []Result

// Set adds a result or replaces the one of that name. An empty value is left out.
func (r *Results) Set(name, value string) {
	for i := range *r {
		if (*r)[i].Name == name {
			(*r)[i].Value = value
			return
		}
	}
	if value != "" {
		*r = append(*r, Result{name, value})
	}
}

// Host is the CI system around the step, or none.
type Host struct {
	ResultsDir string                           // Tekton: folder of the result files; empty: none
	Dotenv     string                           // GitLab: dotenv file; empty: none
	Getenv     func(string) (string, bool)      // where GitHub's variables are
	Commands   io.Writer                        // where GitHub's runner reads commands
	Warn       func(format string, args ...any) // of what had to be cut
}

// Publish writes the results to every place that there is. Values are made
// plain first: one line, no control characters.
func (h *Host) Publish(results Results) error {
	clean := make(Results, 0, len(results))
	for _, r := range results {
		clean = append(clean, Result{r.Name, report.Plain(r.Value)})
	}
	var errs []error
	if h.ResultsDir != "" {
		errs = append(errs, h.tekton(clean))
	}
	clean = slices.DeleteFunc(clean, func(r Result) bool { return r.Name == ImageRef || r.Name == SourceInput })
	if h.Dotenv != "" {
		errs = append(errs, h.dotenv(h.Dotenv, clean))
	}
	if h.has("GITHUB_OUTPUT") {
		errs = append(errs, h.outputs(clean))
	}
	return wrap(errors.Join(errs...))
}

func wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("publish results: %w", err)
}

// has reports whether the variable is set and not empty.
func (h *Host) has(name string) bool {
	v, ok := h.Getenv(name)
	return ok && v != ""
}
