package kmm

import (
	"encoding/json"
	"os"
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/fault"
)

// refused are the Modules that KMM takes and plan-kmods does not, with what it has against them:
// a name that is not set becomes nothing there, and the rest reaches a registry or a shell as it is.
func refused() map[string]string {
	return map[string]string{
		"files-dotdot":          "is not below dirName",
		"mod-in-unsigned":       "${MOD_NAME} not set",
		"no-tag":                "neither tag nor digest",
		"sub-file-defslash":     "holds shell syntax",
		"sub-file-digit":        "${1} not set",
		"sub-file-dollar":       "holds shell syntax",
		"sub-file-emptybrace":   "holds shell syntax",
		"sub-file-emptydef":     "${NOPE} not set",
		"sub-file-escape":       "holds shell syntax",
		"sub-file-escape2":      "holds shell syntax",
		"sub-file-glue":         "${KERNEL_Xfoo} not set",
		"sub-file-hash":         "not set",
		"sub-file-lower":        "${kernel_x} not set",
		"sub-file-nested":       "not set",
		"sub-file-under":        "${KERNEL_X_} not set",
		"sub-file-uni":          "not set",
		"type-name-number":      "8139 is no text",
		"type-number":           "6.12 is no text",
		"sub-image-defslash":    "still holds a placeholder",
		"sub-image-defspace":    "still holds a placeholder",
		"sub-image-digit":       "${1} not set",
		"sub-image-dollar":      "still holds a placeholder",
		"sub-image-emptybrace":  "still holds a placeholder",
		"sub-image-emptydef":    "${NOPE} not set",
		"sub-image-escape":      "still holds a placeholder",
		"sub-image-escape2":     "still holds a placeholder",
		"sub-image-glue":        "${KERNEL_Xfoo} not set",
		"sub-image-hash":        "not set",
		"sub-image-lower":       "${kernel_x} not set",
		"sub-image-nested":      "not set",
		"sub-image-under":       "${KERNEL_X_} not set",
		"sub-image-uni":         "not set",
		"sub-unsigned-defslash": "still holds a placeholder", "sub-unsigned-defspace": "still holds a placeholder",
		"sub-unsigned-digit": "${1} not set", "sub-unsigned-dollar": "still holds a placeholder",
		"sub-unsigned-emptybrace": "still holds a placeholder", "sub-unsigned-emptydef": "${NOPE} not set",
		"sub-unsigned-escape": "still holds a placeholder", "sub-unsigned-escape2": "still holds a placeholder",
		"sub-unsigned-glue": "${KERNEL_Xfoo} not set", "sub-unsigned-hash": "not set", "sub-unsigned-lower": "${kernel_x} not set",
		"sub-unsigned-name": "not set", "sub-unsigned-nested": "not set", "sub-unsigned-under": "${KERNEL_X_} not set", "sub-unsigned-uni": "not set",
	}
}

// TestMoreJobsAreKMMs: the same job, or the error that refused has, or, where KMM's webhook lets the Module not
// in, an error or a warning.
func TestMoreJobsAreKMMs(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../../testdata/kmm/more-kmm-behaviour.json")
	require.NoError(t, err)
	var rows []struct {
		expected
		ParseErr, WebhookErr string
	}
	require.NoError(t, json.Unmarshal(b, &rows))
	text, err := os.ReadFile("../../testdata/kmm/more.yaml")
	require.NoError(t, err)
	documents := map[string]string{}
	for _, doc := range strings.Split(string(text), "\n---\n") {
		_, rest, _ := strings.Cut(doc, "metadata: {name: ")
		documents[rest[:strings.IndexAny(rest, ",}")]] = doc
	}
	require.Len(t, rows, 4*len(documents))
	unseen := refused()
	for _, want := range rows {
		ms, err := Load(strings.NewReader(documents[want.Name]), "more.yaml")
		var j *Job
		if err == nil {
			require.Len(t, ms, 1)
			j, err = ms[0].Job(want.Kernel)
		}
		name := want.Name + " for " + want.Kernel
		switch {
		case err != nil:
			assert.Equal(t, fault.Input, fault.ClassOf(err), name)
			assert.Contains(t, err.Error(), "line ", name)
			if reason := refused()[want.Name]; reason != "" && strings.Contains(err.Error(), reason) {
				delete(unseen, want.Name)
				continue
			}
			theirs := want.ParseErr + want.WebhookErr
			if theirs == "" && !strings.Contains(want.MapErr, "mapping not found") {
				theirs = want.MapErr
			}
			assert.NotEmpty(t, theirs, "%s: %v", name, err)
		case j == nil:
			assert.Empty(t, want.ParseErr, name)
			assert.True(t, !want.Sign || strings.Contains(want.MapErr, "mapping not found"), name)
		default:
			same(t, name, &want.expected, j)
			if want.WebhookErr != "" {
				assert.Contains(t, strings.Join(j.Warnings, "\n"), "line ", "%s: %s", name, want.WebhookErr)
			}
		}
	}
	assert.Empty(t, unseen, "are refused no more")
}

// same holds a job to KMM's own.
func same(t *testing.T, name string, want *expected, j *Job) {
	t.Helper()
	assert.True(t, want.Sign && want.MapErr == "", name)
	assert.Equal(t, want.Image, j.Destination, name)
	assert.Equal(t, want.Build, j.InPlace, name)
	if !want.Build {
		assert.Equal(t, want.Unsigned, j.Source, name)
	}
	assert.Equal(t, []TLS{want.TLS, want.UnsignedTLS}, []TLS{j.TLS, j.SourceTLS}, name)
	assert.Equal(t, []string{want.Cert, want.RepoSecret}, []string{j.CertSecret, j.RepoSecret}, name)
	if want.Key != "" { // a mapping's empty name hides the container's there
		assert.Equal(t, want.Key, j.KeySecret, name)
	}
	if want.DirName != "" { // written as "", which the API server keeps: KMM would copy nothing
		assert.Equal(t, strings.TrimRight(want.DirName, "/"), j.DirName, name)
	}
	// The real release in paths, and a warning: KMM's are those with '+' made '_'.
	require.Len(t, j.Include, len(want.Files), name)
	for i, f := range j.Include {
		theirs := path.Clean(want.Files[i])
		if f != theirs {
			assert.Equal(t, theirs, strings.ReplaceAll(f, "+", "_"), name)
			assert.Contains(t, strings.Join(j.Warnings, "\n"), "KMM itself would look for "+want.Files[i], name)
		}
	}
}
