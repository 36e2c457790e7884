package ci_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/ci"
)

const delimiter = "_GitHubActionsFileCommandDelimeter_"

func host(vars map[string]string) (*ci.Host, *bytes.Buffer, *[]string) {
	var commands bytes.Buffer
	var warnings []string
	return &ci.Host{
		Getenv:   func(n string) (string, bool) { v, ok := vars[n]; return v, ok },
		Commands: &commands,
		Warn:     func(f string, a ...any) { warnings = append(warnings, fmt.Sprintf(f, a...)) },
	}, &commands, &warnings
}

func read(t *testing.T, path ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	require.NoError(t, err)
	return string(b)
}

func TestNothingWithoutACI(t *testing.T) {
	t.Parallel()
	for name, vars := range map[string]map[string]string{
		"empty environment": {},
		"empty variables":   {"GITHUB_OUTPUT": "", "GITHUB_STEP_SUMMARY": "", "GITHUB_ACTIONS": ""},
		"not true":          {"GITHUB_ACTIONS": "false"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, commands, warnings := host(vars)
			require.NoError(t, h.Publish(ci.Results{{Name: ci.Signer, Value: "x"}}))
			require.NoError(t, h.Summary("text"))
			require.NoError(t, h.Error(ci.Annotation{Message: "m"}))
			require.NoError(t, h.Mask("secret"))
			assert.Empty(t, commands.String())
			assert.Empty(t, *warnings)
		})
	}
}

func TestSet(t *testing.T) {
	t.Parallel()
	var r ci.Results
	r.Set("a", "1")
	r.Set("b", "")
	r.Set("c", "3")
	r.Set("a", "2")
	assert.Equal(t, ci.Results{{Name: "a", Value: "2"}, {Name: "c", Value: "3"}}, r)
}

func TestTekton(t *testing.T) {
	t.Parallel()
	h, _, warnings := host(nil)
	h.ResultsDir = filepath.Join(t.TempDir(), "results")
	var r ci.Results
	r.Set(ci.Image, "registry.example.com/x")
	r.Set(ci.Digest, "sha256:1")
	r.Set(ci.Signer, "line\nbreak")
	releases := make([]string, 300)
	for i := range releases {
		releases[i] = fmt.Sprintf("6.1.0-%d-amd64", i)
	}
	r.Set(ci.KernelReleases, strings.Join(releases, ","))
	require.NoError(t, h.Publish(r))
	assert.Equal(t, "registry.example.com/x", read(t, h.ResultsDir, "IMAGE_URL"))
	assert.Equal(t, "sha256:1", read(t, h.ResultsDir, "IMAGE_DIGEST"))
	assert.Equal(t, `line\x0abreak`, read(t, h.ResultsDir, "signer"))
	list := read(t, h.ResultsDir, "kernel-releases")
	assert.LessOrEqual(t, len(list), 1024)
	assert.True(t, strings.HasSuffix(list, "-amd64"), "whole items only: %s", list)
	require.Len(t, *warnings, 1)
	assert.Contains(t, (*warnings)[0], "kernel-releases")
}

func TestTektonRefusesWhatWouldBreakTheTask(t *testing.T) {
	t.Parallel()
	h, _, _ := host(nil)
	h.ResultsDir = t.TempDir()
	var r ci.Results
	for i := range 5 {
		r.Set(fmt.Sprintf("r%d", i), strings.Repeat("x", 900))
	}
	require.ErrorContains(t, h.Publish(r), "exceed")
	r = nil
	r.Set(ci.Matrix, `["`+strings.Repeat(`6.1",`, 900)+`]`)
	require.ErrorContains(t, h.Publish(r), "exceed", "JSON is never cut")

	h.ResultsDir = filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(h.ResultsDir, nil, 0o600))
	assert.Error(t, h.Publish(ci.Results{{Name: "a", Value: "b"}}))
}

func TestDotenv(t *testing.T) {
	t.Parallel()
	h, _, _ := host(nil)
	h.Dotenv = filepath.Join(t.TempDir(), "kmodseal.env")
	require.NoError(t, os.WriteFile(h.Dotenv, []byte("OTHER=1\nSIGNER=old\n"), 0o600))
	var r ci.Results
	r.Set(ci.Image, "registry.example.com/x")
	r.Set(ci.SourceDigest, "sha256:1")
	r.Set(ci.Signer, "a\nPATH=/evil")
	require.NoError(t, h.Publish(r))
	assert.Equal(t, "OTHER=1\nIMAGE=registry.example.com/x\nSOURCE_DIGEST=sha256:1\nSIGNER=a\\x0aPATH=/evil\n", read(t, h.Dotenv))

	r.Set(ci.KernelReleases, "6.1$CI_JOB_TOKEN,${SIGNING_KEY}")
	require.NoError(t, h.Publish(r))
	assert.Contains(t, read(t, h.Dotenv), "KERNEL_RELEASES=6.1\\x24CI_JOB_TOKEN,\\x24{SIGNING_KEY}\n", "GitLab would expand them")

	h.Dotenv = filepath.Join(t.TempDir(), "none", "x.env")
	assert.Error(t, h.Publish(r))
}

func TestDotenvStaysWithinWhatGitLabTakes(t *testing.T) {
	t.Parallel()
	h, _, warnings := host(nil)
	h.Dotenv = filepath.Join(t.TempDir(), "kmodseal.env")
	var r ci.Results
	r.Set(ci.Signer, strings.Repeat("x", 9000))
	r.Set(ci.KernelReleases, strings.Repeat("6.1.0-56-amd64,", 900)+"6.2")
	r.Set(ci.Image, strings.Repeat("i", 255))
	require.NoError(t, h.Publish(r))
	assert.Less(t, len(read(t, h.Dotenv)), 4<<10)
	require.Len(t, *warnings, 2)
	assert.Contains(t, (*warnings)[1], "dotenv report")
}

func TestGitHubOutputs(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "output")
	h, commands, _ := host(map[string]string{"GITHUB_OUTPUT": file})
	require.NoError(t, h.Publish(ci.Results{{Name: ci.Signer, Value: "x\n" + "y"}, {Name: ci.Image, Value: "r.example/x"}}))
	d := delimiter
	assert.Equal(t, "signer<<"+d+"\n"+`x\x0ay`+"\n"+d+"\nimage<<"+d+"\nr.example/x\n"+d+"\n", read(t, file))
	assert.Empty(t, commands.String())
}

func TestGitHubRefusesItsDelimiter(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "output")
	h, _, _ := host(map[string]string{"GITHUB_OUTPUT": file})
	for _, value := range []string{delimiter, "x\n" + delimiter + "\nforged<<E\n1\nE", "a" + delimiter} {
		require.ErrorContains(t, h.Publish(ci.Results{{Name: ci.Image, Value: "ok"}, {Name: ci.Signer, Value: value}}), "delimiter")
	}
	assert.NoFileExists(t, file, "nothing of a refused set is written")
}

func TestGitHubFileThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	h, _, _ := host(map[string]string{"GITHUB_OUTPUT": "/nonexistent/x", "GITHUB_STEP_SUMMARY": "/nonexistent/y"})
	require.Error(t, h.Publish(ci.Results{{Name: "a", Value: "b"}}), "the library panics, we do not")
	assert.Error(t, h.Summary("x"))
}

func TestGitHubAnnotations(t *testing.T) {
	t.Parallel()
	h, commands, _ := host(map[string]string{"GITHUB_ACTIONS": "true"})
	require.NoError(t, h.Error(ci.Annotation{
		File: "lib/a,b:c\n.ko", Title: "unsigned", Message: "50% bad\n::add-mask::x", Hints: []string{"sign it"},
	}))
	assert.Equal(t, "::error file=lib/a%2Cb%3Ac\\x0a.ko,title=unsigned::50%25 bad\\x0a::add-mask::x%0Ahint: sign it\n", commands.String())
	commands.Reset()
	require.NoError(t, h.Warning(ci.Annotation{Message: "w"}))
	assert.True(t, strings.HasPrefix(commands.String(), "::warning"))
}

func TestGitHubMasksEachLine(t *testing.T) {
	t.Parallel()
	h, commands, _ := host(map[string]string{"GITHUB_ACTIONS": "true"})
	require.NoError(t, h.Mask("one\n\n  two \r\n"))
	assert.Equal(t, "::add-mask::one\n::add-mask::two\n", commands.String())
}
