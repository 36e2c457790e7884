package manifest

import (
	"encoding/base64"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// maxModule bounds what a step would read into memory on the word of kmods.json,
// in bytes; a signer takes modules of half that.
const maxModule = 1 << 30

// CheckPath refuses a path that is not clean, relative and inside its root, or
// that has control characters or bytes that are not UTF-8: JSON cannot carry
// those, and a terminal or log would act on them. Errors quote the path.
func CheckPath(p string) error {
	if err := CheckText(p); err != nil {
		return fmt.Errorf("path %w", err)
	}
	switch {
	case p == "" || p == ".":
		return errors.New("empty path")
	case path.IsAbs(p) || p == ".." || strings.HasPrefix(p, "../") || path.Clean(p) != p:
		return fmt.Errorf("path %q is not clean and relative", p)
	}
	for name := range strings.SplitSeq(p, "/") {
		if len(name) > maxElement {
			return fmt.Errorf("path %q: a name of %d bytes is too long", p, len(name))
		}
	}
	return nil
}

// maxElement is Linux's NAME_MAX, in bytes.
const maxElement = 255

// CheckText refuses text with control characters or bytes that are not UTF-8.
func CheckText(s string) error {
	switch {
	case !utf8.ValidString(s):
		return fmt.Errorf("%q is not UTF-8", s)
	case strings.ContainsFunc(s, unicode.IsControl):
		return fmt.Errorf("%q has control characters", s)
	}
	return nil
}

// Validate checks everything of m that can be told without the module files:
// schema, forms, paths, order, and that references within m lead somewhere.
func (m *Manifest) Validate() error {
	if m.Schema != Schema {
		return fmt.Errorf("schema is %q, not %q", m.Schema, Schema)
	}
	if err := m.Source.validate(); err != nil {
		return fmt.Errorf("source: %w", err)
	}
	platforms := map[string]*Platform{}
	for i := range m.Platforms {
		p := &m.Platforms[i]
		if i > 0 && m.Platforms[i-1].Platform >= p.Platform {
			return fmt.Errorf("platform %q is out of order or there twice", p.Platform)
		}
		if err := p.validate(); err != nil {
			return fmt.Errorf("platform %q: %w", p.Platform, err)
		}
		platforms[p.Platform] = p
	}
	return m.validateModules(platforms)
}

func (m *Manifest) validateModules(platforms map[string]*Platform) error {
	files := map[string]bool{}
	for i := range m.Modules {
		d := &m.Modules[i]
		if i > 0 && m.Modules[i-1].compare(d) >= 0 {
			return fmt.Errorf("module %q of %s is out of order or there twice", d.Path, d.Platform)
		}
		p := platforms[d.Platform]
		if p == nil {
			return fmt.Errorf("module %q: platform %q is not listed", d.Path, d.Platform)
		}
		if d.Layer != "" && !slices.Contains(p.Layers, d.Layer) {
			return fmt.Errorf("module %q: layer %q is not one of the platform's", d.Path, d.Layer)
		}
		if err := d.validate(); err != nil {
			return fmt.Errorf("module %q: %w", d.Path, err)
		}
		if files[d.File] {
			return fmt.Errorf("module %q: file %q belongs to another module", d.Path, d.File)
		}
		files[d.File] = true
	}
	return nil
}

func (s *Source) validate() error {
	if s.Name == "" {
		return errors.New("empty name")
	}
	if err := CheckText(s.Name); err != nil {
		return fmt.Errorf("name %w", err)
	}
	if !slices.Contains([]string{"docker", "oci", "oci-archive", "docker-archive", "dir"}, s.Kind) {
		return fmt.Errorf("kind %q is unknown", s.Kind)
	}
	return checkDigest(s.Digest)
}

func (p *Platform) validate() error {
	if !matches(`^[a-z0-9._]+/[a-z0-9._]+(/[a-z0-9._]+)?$`, p.Platform) || strings.Contains(p.Platform, "..") {
		return errors.New("not of the form os/arch[/variant]")
	}
	if p.Digest != "" {
		if err := checkDigest(p.Digest); err != nil {
			return err
		}
	}
	for _, l := range p.Layers {
		if err := checkDigest(l); err != nil {
			return fmt.Errorf("layer: %w", err)
		}
	}
	for _, c := range p.Shadowed {
		if err := CheckPath(c.Path); err != nil {
			return fmt.Errorf("shadowed: %w", err)
		}
		if !slices.Contains(p.Layers, c.Layer) {
			return fmt.Errorf("shadowed %q: layer %q is not one of the platform's", c.Path, c.Layer)
		}
	}
	return nil
}

func (m *Module) validate() error {
	for _, p := range slices.Concat([]string{m.Path, m.File}, m.HardLinks, m.Symlinks) {
		if err := CheckPath(p); err != nil {
			return err
		}
	}
	for _, s := range []string{m.Machine, m.Name, m.Vermagic, m.Header.Uname, m.Header.Gname} {
		if err := CheckText(s); err != nil {
			return err
		}
	}
	if !strings.HasPrefix(m.File, ModulesDir+"/") {
		return fmt.Errorf("file %q is not below %s/", m.File, ModulesDir)
	}
	if !slices.Contains([]string{"none", "gzip", "xz", "zstd"}, m.Codec) {
		return fmt.Errorf("codec %q is unknown", m.Codec)
	}
	blobs := []Blob{m.Stored, m.Plain}
	if m.Signed != nil {
		if err := m.Signed.validate(); err != nil {
			return fmt.Errorf("signed: %w", err)
		}
		blobs = append(blobs, m.Signed.Stored, m.Signed.Plain)
	}
	for _, b := range blobs {
		if b.Size < 0 || b.Size > maxModule || !isSHA256(b.SHA256) {
			return fmt.Errorf("size %d or sha256 %q is malformed", b.Size, b.SHA256)
		}
	}
	return m.Header.validate()
}

func (h *Header) validate() error {
	if h.Mode < 0 || h.Mode > 0o7777 || h.UID < 0 || h.GID < 0 {
		return fmt.Errorf("mode %#o, uid %d or gid %d is out of range", h.Mode, h.UID, h.GID)
	}
	t, err := time.Parse(time.RFC3339Nano, h.ModTime)
	if err != nil || t.UTC().Format(time.RFC3339Nano) != h.ModTime {
		return fmt.Errorf("modTime %q is not RFC 3339 in UTC", h.ModTime)
	}
	for k, v := range h.Xattrs {
		if _, err := base64.StdEncoding.DecodeString(v); err != nil || k == "" {
			return fmt.Errorf("xattr %q is not base64", k)
		}
	}
	return nil
}

func (s *Signed) validate() error {
	if !slices.Contains([]string{ActionSigned, ActionReplaced, ActionAppended, ActionKept}, s.Action) {
		return fmt.Errorf("action %q is unknown", s.Action)
	}
	if s.Fingerprint != "" && !isSHA256(s.Fingerprint) {
		return fmt.Errorf("fingerprint %q is not a SHA-256", s.Fingerprint)
	}
	return nil
}

func checkDigest(s string) error {
	if hex, ok := strings.CutPrefix(s, "sha256:"); !ok || !isSHA256(hex) {
		return fmt.Errorf("digest %q is not sha256:<64 hex digits>", s)
	}
	return nil
}

func isSHA256(s string) bool {
	if len(s) != 64 {
		return false
	}
	return strings.Trim(s, "0123456789abcdef") == ""
}

func matches(pattern, s string) bool {
	ok, err := regexp.MatchString(pattern, s)
	return err == nil && ok
}
