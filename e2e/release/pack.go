package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// pack writes the files of dir as a tar.gz that depends on nothing but their
// names and bytes. os.ReadDir sorts.
func pack(archive, dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	w := tar.NewWriter(z)
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return err
		}
		h := &tar.Header{Name: e.Name(), Mode: 0o755, Size: int64(len(b)), Format: tar.FormatUSTAR}
		if err := w.WriteHeader(h); err != nil {
			return fmt.Errorf("pack %s: %w", e.Name(), err)
		}
		if _, err := w.Write(b); err != nil {
			return fmt.Errorf("pack %s: %w", e.Name(), err)
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	return os.WriteFile(archive, buf.Bytes(), 0o644) //nolint:gosec // published
}

// part is a component of a CycloneDX document (ECMA-424), as far as it is used.
type part struct {
	Type       string `json:"type"`
	Name       string `json:"name"`
	Version    string `json:"version"`
	PURL       string `json:"purl,omitempty"`
	Components []part `json:"components,omitempty"`
}

// inventory lists the modules that are linked into each binary, as the Go
// linker wrote them down.
func inventory(file, dir, version string) error {
	doc := struct {
		Format   string `json:"bomFormat"`
		Spec     string `json:"specVersion"`
		Version  int    `json:"version"`
		Metadata struct {
			Component part `json:"component"`
		} `json:"metadata"`
		Components []part `json:"components"`
	}{Format: "CycloneDX", Spec: "1.5", Version: 1}
	doc.Metadata.Component = part{Type: "application", Name: "kmodseal", Version: version}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		info, err := buildinfo.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return fmt.Errorf("read %s: %w", e.Name(), err)
		}
		p := part{Type: "application", Name: e.Name(), Version: version}
		p.Components = append(p.Components, part{"library", "std", info.GoVersion, "pkg:golang/std@" + info.GoVersion[2:], nil})
		for _, m := range info.Deps {
			if m.Replace != nil {
				m = m.Replace
			}
			p.Components = append(p.Components, part{"library", m.Path, m.Version, "pkg:golang/" + m.Path + "@" + m.Version, nil})
		}
		doc.Components = append(doc.Components, p)
	}
	b, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(b, '\n'), 0o644) //nolint:gosec // published
}
