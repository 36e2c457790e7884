package signkmods_test

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/e2e/sample"
	"github.com/kmodseal/kmodseal/pkg/kmodtest"
	"github.com/kmodseal/kmodseal/pkg/step"
	"github.com/kmodseal/kmodseal/pkg/step/signkmods"
)

// TestKeyFromAVariableIsMasked: on GitHub every line of it is, also of the PEM that
// it is base64 of; elsewhere none is printed.
func TestKeyFromAVariableIsMasked(t *testing.T) {
	t.Parallel()
	key, err := sample.NewKey("Test key, throw away")
	require.NoError(t, err)
	private, cert, err := key.PEM()
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "cert.pem"), cert, 0o600))
	coded := base64.StdEncoding.EncodeToString(private)
	var masks strings.Builder
	for line := range strings.Lines(string(private)) {
		masks.WriteString("::add-mask::" + line)
	}
	for name, c := range map[string]struct{ value, github, want string }{
		"PEM":            {string(private), "true", masks.String()},
		"base64":         {coded, "true", "::add-mask::" + coded + "\n" + masks.String()},
		"not on GitHub":  {string(private), "", ""},
		"base64 outside": {coded, "false", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			modules := t.TempDir() // its own: one run at a time may sign a folder
			require.NoError(t, os.WriteFile(filepath.Join(modules, "a.ko"), kmodtest.Build(kmodtest.Spec{Name: "a", Release: "6.1", Machine: "amd64"}), 0o600))
			var out, log bytes.Buffer
			code := step.Run(t.Context(), signkmods.New(), []string{"--key=env:KEY", "--cert=" + filepath.Join(dir, "cert.pem"), "--on-signed=keep", modules},
				[]string{"KEY=" + c.value, "GITHUB_ACTIONS=" + c.github}, nil, &out, &log)
			require.Zero(t, code, log.String())
			var got strings.Builder
			for line := range strings.Lines(log.String()) {
				if strings.HasPrefix(line, "::add-mask::") {
					got.WriteString(line)
				}
			}
			assert.Equal(t, c.want, got.String())
			assert.NotContains(t, strings.ReplaceAll(log.String()+out.String(), got.String(), ""), strings.Split(string(private), "\n")[3])
		})
	}
}
