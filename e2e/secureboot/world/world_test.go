package world_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/e2e/secureboot/world"
	"github.com/kmodseal/kmodseal/pkg/kmodtest"
	"github.com/kmodseal/kmodseal/pkg/verdict"
)

func folder(t *testing.T, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, b := range files {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), b, 0o644))
	}
	return dir
}

func TestFiles(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string][]byte{"b/x.ko": nil, "a/y.ko.xz": nil, "modules.dep": nil, "c.kox": nil})
	files, err := world.Files(dir)
	require.NoError(t, err)
	assert.Equal(t, []string{filepath.Join(dir, "a/y.ko.xz"), filepath.Join(dir, "b/x.ko")}, files)
	_, err = world.Files(filepath.Join(dir, "none"))
	require.Error(t, err)
}

func TestJudge(t *testing.T) {
	t.Parallel()
	build := func(name string) []byte { return kmodtest.Build(kmodtest.Spec{Name: name, Machine: "amd64"}) }
	files, err := world.Files(folder(t, map[string][]byte{"a.ko": build("a"), "b.ko": build("b")}))
	require.NoError(t, err)
	judge := func(s verdict.Switch) *verdict.Judge {
		j, err := verdict.New(verdict.Config{SecureBoot: s, SigEnforce: s, Lockdown: s})
		require.NoError(t, err)
		return j
	}
	got, err := world.Judge(files, judge(verdict.On), judge(verdict.Off))
	require.NoError(t, err)
	for i, want := range []verdict.State{verdict.Unsigned, verdict.Loads} {
		require.Len(t, got[i], 2)
		for at, v := range got[i] {
			assert.Equal(t, want, v.State, "%s, judge %d", v.Path, i)
			assert.Equal(t, files[at], v.Path)
		}
	}
}

func TestJudgeRefuses(t *testing.T) {
	t.Parallel()
	j, err := verdict.New(verdict.Config{})
	require.NoError(t, err)
	damaged := folder(t, map[string][]byte{"a.ko.xz": []byte("\xfd7zXZ\x00\x00\x01")})
	_, err = world.Judge([]string{filepath.Join(damaged, "a.ko.xz")}, j)
	require.ErrorContains(t, err, "a.ko.xz")
	_, err = world.Judge([]string{filepath.Join(damaged, "gone.ko")}, j)
	require.Error(t, err)
}
