//go:build e2e

package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// sources is a copy of the project as it is now, known to git as a checkout is: what
// is edited while the test runs is not in it.
func sources(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	copying := exec.Command("bash", "-euo", "pipefail", "-c",
		`git ls-files -z -co --exclude-standard | tar --null --ignore-failed-read -cf - -T - | tar -xf - -C "$0"; cd "$0" && git init -q && git add -A`, dir)
	copying.Dir = "../.."
	out, err := copying.CombinedOutput()
	require.NoError(t, err, string(out))
	return dir
}

// TestSecondRunGivesTheSameBytes, also under another name and time zone.
func TestSecondRunGivesTheSameBytes(t *testing.T) {
	t.Chdir(sources(t))
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

// TestSnapshotTwiceGivesTheSameBytes: binaries, images, lists of parts and stamped YAML.
func TestSnapshotTwiceGivesTheSameBytes(t *testing.T) {
	first, second := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "elsewhere", "b")
	project := sources(t)
	for _, dir := range []string{first, second} {
		cmd := exec.Command("make", "-C", project, "snapshot", "SNAPSHOT="+dir, "PLATFORMS=linux/amd64,linux/s390x")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
		t.Setenv("TZ", "Pacific/Auckland")
		t.Setenv("USER", "somebody")
	}
	a, b := tree(t, first), tree(t, second)
	assert.Equal(t, a, b)
	for _, want := range []string{
		"SHA256SUMS", "images.txt", "kmodseal_linux_s390x.tar.gz", "kmodseal_linux_s390x.cdx.json",
		"images/sign-kmods/index.json", "yaml/actions/pins", "yaml/tasks/seal-image/seal-image.yaml",
	} {
		assert.Contains(t, a, want)
	}
	task, err := os.ReadFile(filepath.Join(first, "yaml/tasks/sign-kmods/sign-kmods.yaml"))
	require.NoError(t, err)
	assert.Regexp(t, `image: ghcr\.io/kmodseal/sign-kmods:v0\.0\.0-snapshot@sha256:[0-9a-f]{64}\n`, string(task))
	component, err := os.ReadFile(filepath.Join(first, "yaml/templates/seal-image/template.yml"))
	require.NoError(t, err)
	assert.Regexp(t, `default: "v0\.0\.0-snapshot"\n`, string(component))
	assert.Regexp(t, `default: "amd64:[0-9a-f]{64} s390x:[0-9a-f]{64}"\n`, string(component))
}

// tree is the checksum of every file below dir.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	sums := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path) //nolint:errcheck // below dir
		sums[name] = fmt.Sprintf("%x", sha256.Sum256(b))
		return err
	}))
	return sums
}

func TestStampRefusesWhatItDoesNotFind(t *testing.T) {
	for name, text := range map[string]string{
		"no input":    "spec:\n  inputs:\n    x:\n      description: y\n      default: \"\"\n",
		"no checksum": "    release:\n      description: y\n      default: \"\"\n",
		"twice":       strings.Repeat("    release:\n      description: y\n      default: \"\"\n    checksum:\n      description: y\n      default: \"\"\n", 2),
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.MkdirAll(filepath.Join(dir, "actions"), 0o755))
			require.NoError(t, os.MkdirAll(filepath.Join(dir, "templates/a"), 0o755))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "templates/a/template.yml"), []byte(text), 0o600))
			require.ErrorContains(t, stamp(dir, "v1.0.0", "version v1.0.0\n"), "template.yml")
		})
	}
}
