// Package kmm reads the sign sections of Kernel Module Management's resources
// and says which image is to be signed for which kernel, as KMM itself would.
// Where KMM goes wrong it does not follow: there the job carries a warning, or
// there is an error.
package kmm

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/kmodseal/kmodseal/pkg/fault"
)

// Job is one signing job: one module for one kernel.
type Job struct {
	Module      string   `json:"module"`
	Namespace   string   `json:"namespace,omitempty"`
	Kernel      string   `json:"kernel"` // the release as uname -r prints it
	Source      string   `json:"source"`
	Destination string   `json:"destination"`
	Digest      string   `json:"digest,omitempty"`  // sha256:<hex> of the signed image, once Settle knows it
	InPlace     bool     `json:"inPlace"`           // KMM builds under the destination's own name, then signs over it
	Include     []string `json:"include,omitempty"` // globs on the path in the image; empty: every module
	Require     []string `json:"require,omitempty"` // what modprobe will load: these must be there and signed
	DirName     string   `json:"dirName,omitempty"`
	Firmware    string   `json:"firmwarePath,omitempty"`
	KeySecret   string   `json:"keySecret,omitempty"`
	CertSecret  string   `json:"certSecret,omitempty"`
	RepoSecret  string   `json:"repoSecret,omitempty"`
	SourceTLS   TLS      `json:"sourceTLS"`
	TLS         TLS      `json:"tls"` // of the destination
	Warnings    []string `json:"warnings,omitempty"`
	at          string   // where the destination is written
}

// Job resolves m for a kernel release. It is nil without an error where KMM
// would sign nothing: no mapping for this kernel, or a mapping without sign.
func (m *Module) Job(release string) (*Job, error) {
	mapping, warnings, err := m.match(release)
	if err != nil || mapping == nil {
		return nil, err
	}
	sign, ignored := m.merge(mapping.Sign)
	if sign == nil {
		return nil, nil
	}
	tagVars, err := variables(Normalize(known(release)))
	if err != nil {
		return nil, m.refuse(mapping.line, err)
	}
	pathVars, _ := variables(release) //nolint:errcheck // as many parts as the normalized one
	j := &Job{
		Module: m.Name, Namespace: m.Namespace, Kernel: release,
		KeySecret: sign.KeySecret.Name.string, CertSecret: sign.CertSecret.Name.string, RepoSecret: m.RepoSecret,
		DirName: dirName(m.Container.Modprobe), Firmware: m.Container.Modprobe.FirmwarePath.string,
		TLS: first(mapping.TLS, m.Container.TLS), Warnings: slices.Concat(m.notes, warnings, ignored),
	}
	if err := m.images(j, mapping, sign, tagVars); err != nil {
		return nil, err
	}
	if err := m.files(j, mapping, sign, pathVars, tagVars); err != nil {
		return nil, err
	}
	j.require(&m.Container.Modprobe)
	return j, nil
}

// images resolves source and destination (KMM: internal/module/kernelmapper.go,
// internal/buildsign/resource/common.go).
func (m *Module) images(j *Job, mapping *Mapping, sign *Sign, vars map[string]string) error {
	image := mapping.Image
	if image.string == "" {
		image = m.Container.Image
	}
	if image.string == "" {
		return m.refuse(mapping.line, errors.New("no containerImage, neither for this mapping nor for all"))
	}
	withName := maps.Clone(vars)
	for k, v := range map[string]string{"MOD_NAME": m.Name, "MOD_NAMESPACE": m.Namespace} {
		if v != "" && withName != nil {
			withName[k] = v
		}
	}
	j.at = m.at(image.line)
	out, err := m.image(image, withName)
	if err != nil && m.Namespace == "" && strings.Contains(image.string, "MOD_NAMESPACE") {
		return fault.New(fault.Input, "%w", err).Hint("write metadata.namespace into the Module: kubectl -n is not seen here")
	}
	if err != nil {
		return err
	}
	j.Destination = out
	if mapping.re != nil && m.Line > 0 && j.Destination == image.string {
		m.warn(j, image.line, "image %s is the same for every kernel that regexp %q matches", image.string, mapping.Regexp.string)
	}
	if m.hub && strings.Contains(image.string, "MOD_NAMESPACE") {
		m.warn(j, image.line, "KMM's hub signs under its own namespace here, but spokes pull from the name with spokeNamespace")
	}
	if mapping.Build != nil || m.Container.Build != nil {
		// KMM ignores unsignedImage here: it builds under the final name.
		j.Source, j.InPlace, j.SourceTLS = j.Destination, true, first(sign.UnsignedTLS, &j.TLS)
		if sign.UnsignedImage.string != "" {
			m.warn(j, sign.UnsignedImage.line, "unsignedImage is ignored because there is a build section")
		}
		return nil
	}
	if sign.UnsignedImage.string == "" {
		return m.refuse(sign.line, fmt.Errorf("no unsignedImage, and no build section to make one"))
	}
	if sign.UnsignedTLS != nil {
		j.SourceTLS = *sign.UnsignedTLS
	}
	j.Source, err = m.image(sign.UnsignedImage, vars)
	return err
}

// image fills in an image name and wants a tag or a digest in it: KMM's
// webhook takes the port's colon for one.
func (m *Module) image(t text, vars map[string]string) (string, error) {
	out, err := substitute(t.string, vars)
	if err != nil {
		return "", m.refuse(t.line, err)
	}
	last := out[strings.LastIndex(out, "/")+1:]
	if out == "" || !strings.ContainsAny(last, ":@") {
		return "", m.refuse(t.line, fmt.Errorf("image %q has neither tag nor digest", out))
	}
	if strings.ContainsAny(out, "<>{}()$;|&`\"'\\ \t\r\n") {
		return "", m.refuse(t.line, fmt.Errorf("image %q still holds a placeholder or a blank", out))
	}
	return out, nil
}

// files resolves filesToSign. KMM fills in the normalized release, so that it
// looks for a_b where the image has a+b; here paths keep the real one.
func (m *Module) files(j *Job, mapping *Mapping, sign *Sign, vars, theirs map[string]string) error {
	dir := j.DirName + "/"
	if len(sign.Files) == 0 && m.Line > 0 {
		m.warn(j, sign.line, "no filesToSign: every module is signed")
	}
	for _, f := range sign.Files {
		out, err := substitute(f.string, vars)
		switch {
		case err != nil:
			return m.refuse(f.line, err)
		case j.DirName != "" && (slices.Contains(strings.Split(out, "/"), "..") || !strings.HasPrefix(path.Clean(out), dir)):
			return m.refuse(f.line, fmt.Errorf("file %q is not below dirName %s", out, j.DirName))
		case strings.ContainsAny(out, ";|&$`<>()\"'\\\n"):
			return m.refuse(f.line, fmt.Errorf("file %q holds shell syntax; it is a glob here", out))
		}
		if wrong, err := substitute(f.string, theirs); err == nil && wrong != out {
			m.warn(j, f.line, "KMM itself would look for %s and not find it", wrong)
		}
		m.literal(j, f, mapping)
		if j.DirName != "" {
			out = path.Clean(out)
		}
		j.Include = append(j.Include, out)
	}
	return nil
}

// literal warns of a path with a kernel's name where a variable should be.
func (m *Module) literal(j *Job, f text, mapping *Mapping) {
	_, rest, ok := strings.Cut(f.string, "/lib/modules/")
	kernel, _, _ := strings.Cut(rest, "/")
	switch {
	case !ok || f.line == 0 || strings.ContainsAny(kernel, "$*?[{") || strings.HasSuffix(kernel, ".ko"):
	case kernel != j.Kernel:
		m.warn(j, f.line, "file %q names another kernel than %s", f.string, j.Kernel)
	case mapping.re != nil:
		m.warn(j, f.line, "file %q names one kernel where regexp %q matches several", f.string, mapping.Regexp.string)
	}
}

// require lists the modules that modprobe will ask for on the node.
func (j *Job) require(p *Modprobe) {
	seen := map[string]bool{}
	for _, t := range append([]text{p.ModuleName}, p.Order...) {
		if t.string != "" && !seen[t.string] {
			seen[t.string] = true
			j.Require = append(j.Require, t.string)
		}
	}
}

func (m *Module) refuse(line int, err error) error {
	if m.Line == 0 {
		return fault.New(fault.Input, "%w", err)
	}
	return fault.New(fault.Input, "%smodule %s: %w", m.at(line), m.Name, err)
}

func (m *Module) warn(j *Job, line int, format string, args ...any) {
	j.Warnings = append(j.Warnings, m.at(line)+fmt.Sprintf(format, args...))
}

// at is a place in m's file; nothing for a Template.
func (m *Module) at(line int) string {
	if m.Line == 0 {
		return ""
	}
	return fmt.Sprintf("%s, line %d: ", m.File, line)
}

// dirName is where the modules lie; KMM's default is /opt.
func dirName(p Modprobe) string {
	if p.DirName.string == "" {
		return "/opt"
	}
	return strings.TrimRight(p.DirName.string, "/")
}

func first(candidates ...*TLS) TLS {
	for _, c := range candidates {
		if c != nil {
			return *c
		}
	}
	return TLS{}
}
