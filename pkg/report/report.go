// Package report is what a step tells about modules: a table, JSON, Markdown,
// JUnit, SARIF and an HTML page, all made from one Report.
//
// Every string in a Report may come from a hostile image; each writer escapes
// for its own format, and none lets a control character through.
package report

import (
	"slices"
	"strings"

	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/manifest"
	"github.com/kmodseal/kmodseal/pkg/verdict"
)

// Schema is the version of the JSON form; docs/reference/report.md describes it.
// Fields may be added under it, none is renamed or removed.
const Schema = "kmodseal.report/v1"

// Report is what one run of a step found or did.
type Report struct {
	Schema       string         `json:"schema"`
	Step         string         `json:"step"`
	Source       string         `json:"source,omitempty"`       // SRC as given
	SourceDigest string         `json:"sourceDigest,omitempty"` // sha256:<hex>
	Image        string         `json:"image,omitempty"`        // destination without digest
	Digest       string         `json:"digest,omitempty"`       // of the destination
	Verdict      string         `json:"verdict,omitempty"`      // the worst one
	ExitCode     int            `json:"exitCode"`
	Counts       map[string]int `json:"counts,omitempty"` // modules by verdict, else by action
	Modules      []Module       `json:"modules"`          // in the order of the kmods folder
	Notes        []string       `json:"notes,omitempty"`  // one sentence each
}

// Module is one module of a Report; fields that the step does not know are empty.
type Module struct {
	Path        string   `json:"path"`
	Platform    string   `json:"platform,omitempty"`
	Name        string   `json:"name,omitempty"`
	Kernel      string   `json:"kernel,omitempty"` // release that it was built for
	Machine     string   `json:"machine,omitempty"`
	Action      string   `json:"action,omitempty"` // of sign-kmods
	Verdict     string   `json:"verdict,omitempty"`
	Errno       string   `json:"errno,omitempty"`
	Dmesg       string   `json:"dmesg,omitempty"`
	Rule        string   `json:"rule,omitempty"`
	Reason      string   `json:"reason,omitempty"`
	Hint        string   `json:"hint,omitempty"`
	Signer      string   `json:"signer,omitempty"`
	Serial      string   `json:"serial,omitempty"`
	KeyID       string   `json:"keyId,omitempty"`
	Hash        string   `json:"hash,omitempty"`
	Algorithm   string   `json:"algorithm,omitempty"`
	Fingerprint string   `json:"fingerprint,omitempty"`
	Anchor      string   `json:"anchor,omitempty"`  // subject of the trusted certificate that vouches
	Keyring     string   `json:"keyring,omitempty"` // where the kernel has that certificate
	SHA256      string   `json:"sha256,omitempty"`  // of the file as it is now
	Order       int      `json:"order,omitempty"`   // place in the load order of what loads, from 1
	Warnings    []string `json:"warnings,omitempty"`
	Unchecked   []string `json:"unchecked,omitempty"`
}

// Bad reports whether m was judged and would not load.
func (m *Module) Bad() bool { return m.Verdict != "" && m.Verdict != string(verdict.Loads) }

// FromManifest reports on the modules of a kmods folder, signed or not.
func FromManifest(step string, m *manifest.Manifest) *Report {
	r := &Report{Schema: Schema, Step: step, Source: m.Source.Name, SourceDigest: m.Source.Digest}
	for i := range m.Modules {
		r.Modules = append(r.Modules, FromModule(&m.Modules[i]))
	}
	return r.Count()
}

// FromModule reports on one module of a kmods folder.
func FromModule(m *manifest.Module) Module {
	out := Module{
		Path: m.Path, Platform: m.Platform, Name: m.Name, Kernel: m.Release(), Machine: m.Machine,
		SHA256: m.Stored.SHA256,
	}
	if s := m.Signed; s != nil {
		out.Action, out.Signer, out.Serial = s.Action, s.Signer, s.Serial
		out.KeyID, out.Hash, out.Fingerprint = s.KeyID, s.Hash, s.Fingerprint
		out.SHA256 = s.Stored.SHA256
	} else if len(m.Signatures) > 0 {
		s := m.Signatures[0]
		out.Signer, out.Serial, out.KeyID, out.Hash = s.Signer, s.Serial, s.KeyID, s.Hash
	}
	return out
}

// FromVerdict reports on one judged module.
func FromVerdict(v *verdict.Verdict) Module {
	m := Module{
		Path: v.Path, Platform: v.Platform, Name: v.Name, Machine: v.Machine,
		Verdict: string(v.State), Errno: v.Errno, Dmesg: v.Dmesg, Rule: v.Rule, Reason: v.Reason, Hint: v.Hint,
		Signer: v.Signer, Serial: v.Serial, KeyID: v.KeyID, Hash: v.Hash, Algorithm: v.Algorithm,
		Fingerprint: v.Fingerprint, Keyring: v.Keyring, Order: v.Order, Warnings: v.Warnings, Unchecked: v.Unchecked,
	}
	m.Kernel, _, _ = strings.Cut(v.Vermagic, " ")
	if v.Anchor != nil {
		m.Anchor = v.Anchor.Subject.String()
	}
	return m
}

// Pinned is the image with its digest, NAME@sha256:<hex>; a folder has none.
func (r *Report) Pinned() string {
	if r.Digest == "" {
		return r.Image
	}
	return r.Image + "@" + r.Digest
}

// Count fills Counts, Verdict and ExitCode from the modules and returns r.
func (r *Report) Count() *Report {
	r.Counts = map[string]int{}
	for i := range r.Modules {
		m := &r.Modules[i]
		if word := m.Verdict + m.Action; word != "" {
			r.Counts[word]++
		}
		if m.Verdict != "" && (r.Verdict == "" || worse(m.Verdict, r.Verdict)) {
			r.Verdict = m.Verdict
		}
	}
	if r.Verdict != "" {
		r.ExitCode = int(verdict.State(r.Verdict).Class())
	}
	return r
}

// Kernels lists the releases that the modules were built for, sorted, each once.
func (r *Report) Kernels() []string {
	var out []string
	for i := range r.Modules {
		if k := r.Modules[i].Kernel; k != "" {
			out = append(out, k)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// severity orders the classes of verdicts, worst first: what loads nowhere
// before what another key or another kernel would make right
// (docs/exit-codes.md).
func severity(state string) int {
	order := []fault.Class{
		fault.Damaged, fault.Input, fault.Unsigned, fault.Untrusted, fault.WrongKernel, fault.None,
	}
	return slices.Index(order, verdict.State(state).Class())
}

func worse(a, b string) bool {
	x, y := severity(a), severity(b)
	return x < y || x == y && a < b
}
