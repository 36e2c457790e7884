package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kmodseal/kmodseal/pkg/atomicfile"
	"github.com/kmodseal/kmodseal/pkg/fault"
)

// maxSize bounds kmods.json, in bytes: some 60,000 modules.
const maxSize = 64 << 20

// File is where the kmods folder keeps the module at path of platform
// (os/arch[/variant]): slash-separated, relative to the folder.
func File(platform, path string) string {
	return ModulesDir + "/" + strings.ReplaceAll(platform, "/", "-") + "/" + path
}

// Load reads dir/kmods.json. Another schema, an unknown field, an unsafe path
// or a module file that is not there is refused (fault class Input).
func Load(dir string) (*Manifest, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, absent(err, "open kmods folder")
	}
	defer root.Close()
	f, err := root.Open(FileName)
	if err != nil {
		return nil, absent(err, "open %s", filepath.Join(dir, FileName))
	}
	defer f.Close()
	m, err := decode(f)
	if err == nil {
		err = m.present(root)
	}
	if err != nil {
		return nil, fault.New(fault.Input, "read %s: %w", filepath.Join(dir, FileName), err).
			Hint("the kmods folder is incomplete, changed by hand or of another version: extract the modules again")
	}
	return m, nil
}

// absent makes "does not exist" a refused input with a hint.
func absent(err error, format string, args ...any) error {
	what := fmt.Sprintf(format, args...)
	if errors.Is(err, fs.ErrNotExist) {
		return fault.New(fault.Input, "%s: %w", what, err).Hint("extract-kmods makes the kmods folder; name it with --kmods")
	}
	return fmt.Errorf("%s: %w", what, err)
}

func decode(r io.Reader) (*Manifest, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxSize+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxSize {
		return nil, fmt.Errorf("bigger than %d bytes", maxSize)
	}
	// The version first: a later schema's fields are no news to the reader.
	var v struct{ Schema string }
	if err := json.Unmarshal(b, &v); err != nil {
		return nil, err
	}
	if v.Schema != Schema {
		return nil, fmt.Errorf("schema is %q, this version reads %q", v.Schema, Schema)
	}
	m := new(Manifest)
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(m); err != nil {
		return nil, err
	}
	return m, m.Validate()
}

// present checks that every module's file is there and a regular one.
func (m *Manifest) present(root *os.Root) error {
	for i := range m.Modules {
		fi, err := root.Lstat(filepath.FromSlash(m.Modules[i].File))
		if err != nil {
			return err
		}
		if !fi.Mode().IsRegular() {
			return fmt.Errorf("%q is not a regular file", m.Modules[i].File)
		}
	}
	return nil
}

// Save sorts and checks m and writes dir/kmods.json by temporary file and
// rename. The same manifest gives the same bytes.
func (m *Manifest) Save(dir string) error {
	m.normalise()
	if err := m.Validate(); err != nil {
		return fault.New(fault.Input, "write %s: %w", filepath.Join(dir, FileName), err)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(m); err != nil {
		return fmt.Errorf("encode manifest: %w", err)
	}
	if b.Len() > maxSize { // nobody could read it
		return fault.New(fault.Input, "write %s: more than %d bytes", filepath.Join(dir, FileName), maxSize).
			Hint("work on fewer modules at a time: --platform, --include, --kernel")
	}
	return atomicfile.Write(filepath.Join(dir, FileName), b.Bytes())
}

// normalise sorts and turns nil slices into empty ones, which JSON writes as
// [] instead of null.
func (m *Manifest) normalise() {
	if m.Platforms == nil {
		m.Platforms = []Platform{}
	}
	if m.Modules == nil {
		m.Modules = []Module{}
	}
	for i := range m.Modules {
		if m.Modules[i].Signatures == nil {
			m.Modules[i].Signatures = []Signature{}
		}
	}
	slices.SortFunc(m.Platforms, func(a, b Platform) int { return strings.Compare(a.Platform, b.Platform) })
	slices.SortFunc(m.Modules, func(a, b Module) int { return a.compare(&b) })
}

// compare orders by platform, then path.
func (m *Module) compare(b *Module) int {
	if c := strings.Compare(m.Platform, b.Platform); c != 0 {
		return c
	}
	return strings.Compare(m.Path, b.Path)
}
