package manifest

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const zeros = "0000000000000000000000000000000000000000000000000000000000000000"

func sample() *Manifest {
	blob := Blob{Size: 3, SHA256: zeros}
	module := func(p string) Module {
		return Module{
			Path: p, Platform: "linux/amd64", File: File("linux/amd64", p), Layer: "sha256:" + zeros,
			Header: Header{Mode: 0o644, ModTime: "2024-01-02T03:04:05Z", Xattrs: map[string]string{"user.a": "YQ=="}},
			Codec:  "none", Stored: blob, Plain: blob, Machine: "amd64", Name: "a", Vermagic: "6.1.0 SMP",
		}
	}
	return &Manifest{
		Schema:    Schema,
		Source:    Source{Name: "registry.example/a:1", Kind: "docker", Digest: "sha256:" + zeros},
		Platforms: []Platform{{Platform: "linux/amd64", Digest: "sha256:" + zeros, Layers: []string{"sha256:" + zeros}}},
		Modules:   []Module{module("opt/b.ko"), module("opt/a<&>.ko")},
	}
}

// folder saves m with its module files.
func folder(t testing.TB, m *Manifest) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range m.Modules {
		p := filepath.Join(dir, filepath.FromSlash(d.File))
		require.NoError(t, os.MkdirAll(filepath.Dir(p), 0o755))
		require.NoError(t, os.WriteFile(p, []byte("abc"), 0o644))
	}
	require.NoError(t, m.Save(dir))
	return dir
}

func TestSaveLoad(t *testing.T) {
	t.Parallel()
	m := sample()
	dir := folder(t, m)
	first, err := os.ReadFile(filepath.Join(dir, FileName))
	require.NoError(t, err)
	assert.Contains(t, string(first), `"signatures": []`)
	assert.Contains(t, string(first), "a<&>.ko", "no HTML escapes")

	got, err := Load(dir)
	require.NoError(t, err)
	assert.Equal(t, m, got)
	assert.Equal(t, "opt/a<&>.ko", got.Modules[0].Path, "sorted")
	assert.Equal(t, "6.1.0", got.Modules[0].Release())

	require.NoError(t, got.Save(dir))
	second, err := os.ReadFile(filepath.Join(dir, FileName))
	require.NoError(t, err)
	assert.Equal(t, string(first), string(second))
	names, err := filepath.Glob(filepath.Join(dir, ".*"))
	require.NoError(t, err)
	assert.Empty(t, names, "no temporary file stays")
}

func TestLoadRefusesText(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string][2]string{
		"later schema":     {"kmodseal/v1", "kmodseal/v2"},
		"unknown field":    {`"codec"`, `"codek"`},
		"new field":        {`"index": false`, `"index": false, "more": 1`},
		"wrong type":       {`"uid": 0`, `"uid": "0"`},
		"not JSON":         {"{", "["},
		"order":            {"opt/a<&>.ko", "opt/c.ko"},
		"bad digest":       {"sha256:0", "sha256:X"},
		"upper-case hex":   {"sha256:0", "sha256:A"},
		"other digest":     {"sha256:0", "sha512:0"},
		"control in path":  {`"path": "opt/b.ko"`, `"path": "opt/\u001bb.ko"`},
		"parent in path":   {`"path": "opt/b.ko"`, `"path": "opt/../b.ko"`},
		"absolute path":    {`"path": "opt/b.ko"`, `"path": "/opt/b.ko"`},
		"file leaves":      {"modules/linux-amd64/opt/b.ko", "modules/../../b.ko"},
		"file elsewhere":   {"modules/linux-amd64/opt/b.ko", "kmods.json"},
		"file twice":       {"modules/linux-amd64/opt/b.ko", "modules/linux-amd64/opt/a<&>.ko"},
		"file not there":   {"modules/linux-amd64/opt/b.ko", "modules/linux-amd64/opt/z.ko"},
		"file is a folder": {"modules/linux-amd64/opt/b.ko", "modules/linux-amd64"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := folder(t, sample())
			file := filepath.Join(dir, FileName)
			b, err := os.ReadFile(file)
			require.NoError(t, err)
			require.Contains(t, string(b), edit[0])
			require.NoError(t, os.WriteFile(file, []byte(strings.Replace(string(b), edit[0], edit[1], 1)), 0o644))
			_, err = Load(dir)
			require.Error(t, err)
			assert.Equal(t, fault.Input, fault.ClassOf(err), err)
		})
	}
}

func TestValidateRefuses(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(*Manifest){
		"no schema":         func(m *Manifest) { m.Schema = "" },
		"kind":              func(m *Manifest) { m.Source.Kind = "ftp" },
		"no name":           func(m *Manifest) { m.Source.Name = "" },
		"name with newline": func(m *Manifest) { m.Source.Name = "a\nb" },
		"platform form":     func(m *Manifest) { m.Platforms[0].Platform = "linux" },
		"platform dots":     func(m *Manifest) { m.Platforms[0].Platform = "../.." },
		"platform twice":    func(m *Manifest) { m.Platforms = append(m.Platforms, m.Platforms[0]) },
		"platform digest":   func(m *Manifest) { m.Platforms[0].Digest = "x" },
		"layer digest":      func(m *Manifest) { m.Platforms[0].Layers = []string{"x"} },
		"shadowed path":     func(m *Manifest) { m.Platforms[0].Shadowed = []Copy{{Path: "/a"}} },
		"shadowed layer":    func(m *Manifest) { m.Platforms[0].Shadowed = []Copy{{Path: "a", Layer: "x"}} },
		"module platform":   func(m *Manifest) { m.Modules[0].Platform = "linux/arm64" },
		"module layer":      func(m *Manifest) { m.Modules[0].Layer = "sha256:1" },
		"codec":             func(m *Manifest) { m.Modules[0].Codec = "bzip2" },
		"size":              func(m *Manifest) { m.Modules[0].Plain.Size = -1 },
		"more than memory":  func(m *Manifest) { m.Modules[0].Stored.Size = 1 << 40 },
		"hash length":       func(m *Manifest) { m.Modules[0].Plain.SHA256 = "00" },
		"mode":              func(m *Manifest) { m.Modules[0].Header.Mode = 0o10000 },
		"uid":               func(m *Manifest) { m.Modules[0].Header.UID = -1 },
		"vermagic":          func(m *Manifest) { m.Modules[0].Vermagic = "6.1\x1b[2J" },
		"owner":             func(m *Manifest) { m.Modules[0].Header.Uname = "\xff" },
		"time zone":         func(m *Manifest) { m.Modules[0].Header.ModTime = "2024-01-02T03:04:05+01:00" },
		"no time":           func(m *Manifest) { m.Modules[0].Header.ModTime = "" },
		"xattr":             func(m *Manifest) { m.Modules[0].Header.Xattrs["user.a"] = "*" },
		"hard link":         func(m *Manifest) { m.Modules[0].HardLinks = []string{"../a"} },
		"name too long":     func(m *Manifest) { m.Modules[0].HardLinks = []string{"a/" + strings.Repeat("b", 256)} },
		"symlink":           func(m *Manifest) { m.Modules[0].Symlinks = []string{"a\xff"} },
		"module twice":      func(m *Manifest) { m.Modules = append(m.Modules, m.Modules[0]) },
		"action":            func(m *Manifest) { m.Modules[0].Signed = &Signed{Action: "no"} },
		"fingerprint":       func(m *Manifest) { m.Modules[0].Signed = &Signed{Action: ActionKept, Fingerprint: "no"} },
		"signed blob":       func(m *Manifest) { m.Modules[0].Signed = &Signed{Action: ActionKept} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := sample()
			require.NoError(t, m.Save(t.TempDir()))
			edit(m)
			require.Error(t, m.Validate())
			dir := t.TempDir()
			err := m.Save(dir)
			assert.Equal(t, fault.Input, fault.ClassOf(err), err)
			assert.NoFileExists(t, filepath.Join(dir, FileName))
		})
	}
}

func TestLoadNothing(t *testing.T) {
	t.Parallel()
	for _, dir := range []string{t.TempDir(), filepath.Join(t.TempDir(), "none")} {
		_, err := Load(dir)
		assert.Equal(t, fault.Input, fault.ClassOf(err))
		assert.NotEmpty(t, fault.HintsOf(err))
	}
}

func TestLoadRefusesLink(t *testing.T) {
	t.Parallel()
	m := sample()
	dir := folder(t, m)
	p := filepath.Join(dir, filepath.FromSlash(m.Modules[0].File))
	require.NoError(t, os.Remove(p))
	require.NoError(t, os.Symlink("/etc/passwd", p))
	_, err := Load(dir)
	assert.Equal(t, fault.Input, fault.ClassOf(err))
}

func FuzzLoad(f *testing.F) {
	m := sample()
	m.normalise()
	b, err := json.Marshal(m)
	require.NoError(f, err)
	f.Add(string(b))
	f.Add(`{"schema":"kmodseal/v1"}`)
	f.Fuzz(func(t *testing.T, s string) {
		m, err := decode(strings.NewReader(s))
		if err != nil {
			return
		}
		dir := t.TempDir()
		require.NoError(t, m.Save(dir), "what loads can be saved")
		for _, d := range m.Modules {
			require.True(t, filepath.IsLocal(d.File))
		}
	})
}

// TestSaveRefusesWhatNobodyCanRead: Load has a limit.
func TestSaveRefusesWhatNobodyCanRead(t *testing.T) {
	t.Parallel()
	m := sample()
	m.Modules[0].Header.Xattrs["user.a"] = base64.StdEncoding.EncodeToString(make([]byte, maxSize))
	dir := t.TempDir()
	err := m.Save(dir)
	require.ErrorContains(t, err, "more than")
	assert.Equal(t, fault.Input, fault.ClassOf(err))
	assert.NoFileExists(t, filepath.Join(dir, FileName))
}
