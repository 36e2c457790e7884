//go:build e2e

package main

import (
	"crypto/sha256"
	"debug/elf"
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

// TestRelease: what one run writes, for systems of every kind.
func TestRelease(t *testing.T) {
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	t.Chdir(sources(t))
	dir := t.TempDir()
	o := &options{version: "v1.2.3-test", out: dir, platforms: []string{"linux/" + runtime.GOARCH, "linux/ppc64le", "darwin/arm64", "windows/amd64"}}
	require.NoError(t, run(t.Context(), o))
	check := exec.Command("sha256sum", "--check", "--strict", "SHA256SUMS")
	check.Dir = dir
	out, err := check.CombinedOutput()
	require.NoError(t, err, string(out))
	assert.Equal(t, 8, strings.Count(string(out), ": OK\n"))
	checkArchive(t, dir)
	checkParts(t, dir)
	checkSchema(t, root, filepath.Join(dir, "kmodseal_windows_amd64.cdx.json"))
	for archive, want := range map[string][]string{
		"linux_ppc64le": {"extract-kmods", "plan-kmods", "repack-image", "sign-kmods", "verify-kmods"},
		"darwin_arm64":  {"plan-kmods", "sign-kmods", "verify-kmods"},
		"windows_amd64": {"plan-kmods.exe", "sign-kmods.exe"},
	} {
		bin := unpack(t, filepath.Join(dir, "kmodseal_"+archive+".tar.gz"))
		entries, err := os.ReadDir(bin)
		require.NoError(t, err)
		var got []string
		for _, e := range entries {
			got = append(got, e.Name())
		}
		assert.Equal(t, want, got, archive)
		if strings.HasPrefix(archive, "linux") {
			static(t, filepath.Join(bin, "sign-kmods"))
		}
	}
}

// static: a program without an interpreter and without libraries runs on any Linux.
func static(t *testing.T, file string) {
	t.Helper()
	f, err := elf.Open(file)
	require.NoError(t, err)
	defer f.Close() //nolint:errcheck // only read from
	for _, p := range f.Progs {
		assert.NotEqual(t, elf.PT_INTERP, p.Type, file)
		assert.NotEqual(t, elf.PT_DYNAMIC, p.Type, file)
	}
}

func unpack(t *testing.T, archive string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	out, err := exec.Command("tar", "-xzf", archive, "-C", dir).CombinedOutput()
	require.NoError(t, err, string(out))
	return dir
}

func checkArchive(t *testing.T, dir string) {
	t.Helper()
	bin := unpack(t, filepath.Join(dir, "kmodseal_linux_"+runtime.GOARCH+".tar.gz"))
	for _, step := range []string{"plan-kmods", "extract-kmods", "sign-kmods", "verify-kmods", "repack-image"} {
		out, err := exec.Command(filepath.Join(bin, step), "--version").Output()
		require.NoError(t, err, step)
		assert.Equal(t, step+" v1.2.3-test\n", string(out))
		static(t, filepath.Join(bin, step))
	}
}

func TestNotes(t *testing.T) {
	dir := t.TempDir()
	log, file := filepath.Join(dir, "CHANGELOG.md"), filepath.Join(dir, "NOTES.md")
	require.NoError(t, os.WriteFile(log, []byte("# Changelog\n\n## Unreleased\n\n- new\n\n## v1.2.0\n\n- old\n  # no heading\n\n## v1.1.0\n\n- older\n"), 0o600))
	for version, want := range map[string]string{"v0.0.0-snapshot": "- new\n", "v1.2.0": "- old\n  # no heading\n", "v1.1.0": "- older\n"} {
		require.NoError(t, notes(log, file, version))
		got, err := os.ReadFile(file)
		require.NoError(t, err)
		assert.Equal(t, want, string(got), version)
	}
	require.ErrorContains(t, notes(log, file, "v1.3.0"), `has no section "## v1.3.0"`)
	require.ErrorContains(t, notes(log, file, "v1.2"), "has no section")
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

// checkSchema holds a list of parts to CycloneDX's own schema, which refuses what is not one.
func checkSchema(t *testing.T, root, file string) {
	t.Helper()
	npm := root + "/.cache/npm/node_modules"
	schemas := npm + "/@cyclonedx/cyclonedx-library/res/schema/"
	check := func(file string) (string, error) {
		out, err := exec.Command(npm+"/.bin/node", root+"/e2e/gitlab/schemas/validate.js", npm, schemas+"bom-1.5.SNAPSHOT.schema.json", file,
			schemas+"spdx.SNAPSHOT.schema.json", schemas+"jsf-0.82.SNAPSHOT.schema.json").CombinedOutput()
		return string(out), err
	}
	complaint, err := check(file)
	require.NoError(t, err, complaint)
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	wrong := filepath.Join(t.TempDir(), "wrong.json")
	require.NoError(t, os.WriteFile(wrong, []byte(strings.Replace(string(b), `"library"`, `"book"`, 1)), 0o600))
	complaint, err = check(wrong)
	require.Error(t, err)
	assert.Contains(t, complaint, "should be equal to one of the allowed values")
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
		"NOTES.md", "images/sign-kmods/index.json", "images/tasks/index.json", "yaml/actions/pins", "yaml/tasks/seal-image/seal-image.yaml",
	} {
		assert.Contains(t, a, want)
	}
	task, err := os.ReadFile(filepath.Join(first, "yaml/tasks/sign-kmods/sign-kmods.yaml"))
	require.NoError(t, err)
	assert.Regexp(t, `image: ghcr\.io/kmodseal/sign-kmods:v0\.0\.0-snapshot@sha256:[0-9a-f]{64}\n`, string(task))
	pins, err := os.ReadFile(filepath.Join(first, "yaml/actions/pins"))
	require.NoError(t, err)
	assert.Regexp(t, `^version v0\.0\.0-snapshot\n[0-9a-f]{64}  kmodseal_linux_amd64\.tar\.gz\n[0-9a-f]{64}  kmodseal_linux_s390x\.tar\.gz\n$`, string(pins))
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
