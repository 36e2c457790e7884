//go:build e2e

package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestSecondRunGivesTheSameBytes, also under another name and time zone.
func TestSecondRunGivesTheSameBytes(t *testing.T) {
	first, second := t.TempDir(), filepath.Join(t.TempDir(), "elsewhere")
	o := &options{version: "v1.2.3", out: first, platforms: []string{"linux/" + runtime.GOARCH}}
	require.NoError(t, run(t.Context(), o))
	t.Setenv("TZ", "Pacific/Auckland")
	t.Setenv("USER", "somebody")
	o.out = second
	require.NoError(t, run(t.Context(), o))
	files, err := os.ReadDir(first)
	require.NoError(t, err)
	assert.Len(t, files, 4)
	for _, f := range files {
		a, err := os.ReadFile(filepath.Join(first, f.Name()))
		require.NoError(t, err)
		b, err := os.ReadFile(filepath.Join(second, f.Name()))
		require.NoError(t, err)
		assert.Equal(t, string(a), string(b), f.Name())
	}
	check := exec.Command("sha256sum", "-c", "SHA256SUMS")
	check.Dir = first
	out, err := check.CombinedOutput()
	require.NoError(t, err, string(out))
	checkArchive(t, first)
	checkParts(t, first)
}

func checkArchive(t *testing.T, dir string) {
	t.Helper()
	bin := t.TempDir()
	out, err := exec.Command("tar", "-xzf", filepath.Join(dir, "kmodseal_linux_"+runtime.GOARCH+".tar.gz"), "-C", bin).CombinedOutput()
	require.NoError(t, err, string(out))
	for _, step := range []string{"plan-kmods", "extract-kmods", "sign-kmods", "verify-kmods", "repack-image"} {
		out, err := exec.Command(filepath.Join(bin, step), "--version").Output()
		require.NoError(t, err, step)
		assert.Equal(t, step+" v1.2.3\n", string(out))
	}
	pins, err := os.ReadFile(filepath.Join(dir, "pins"))
	require.NoError(t, err)
	assert.True(t, strings.HasPrefix(string(pins), "version v1.2.3\n"))
}

func checkParts(t *testing.T, dir string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "kmodseal_linux_"+runtime.GOARCH+".cdx.json"))
	require.NoError(t, err)
	var doc struct {
		BomFormat  string
		Components []struct {
			Name       string
			Components []struct{ Name, Version, PURL string }
		}
	}
	require.NoError(t, json.Unmarshal(b, &doc))
	assert.Equal(t, "CycloneDX", doc.BomFormat)
	require.Len(t, doc.Components, 5)
	for _, c := range doc.Components {
		for _, m := range c.Components {
			assert.NotEmpty(t, m.Version, m.Name)
			if c.Name == "sign-kmods" {
				assert.NotContains(t, m.Name, "go-containerregistry", "the signing step has no registry client")
			}
		}
	}
}

func TestVersionIsChecked(t *testing.T) {
	for _, v := range []string{"", "1.2.3", "v1", "v1.2.3 x", "v1.2.3\n", "-X"} {
		assert.Error(t, run(t.Context(), &options{version: v, out: t.TempDir()}), v)
	}
}
