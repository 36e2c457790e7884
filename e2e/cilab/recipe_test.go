//go:build e2e

package cilab_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/e2e/cilab"
)

// recipe is the block behind <!-- run: name --> in docs/other-ci.md.
func recipe(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile("../../docs/other-ci.md")
	require.NoError(t, err)
	_, rest, ok := strings.Cut(string(b), "<!-- run: "+name+" -->\n```sh\n")
	require.True(t, ok, name)
	block, _, _ := strings.Cut(rest, "```")
	return block
}

// TestRecipe runs the page as it stands, but for the release's address and checksum.
func TestRecipe(t *testing.T) {
	lab := cilab.New(t)
	dir := t.TempDir()
	sum := lab.Archive(t, filepath.Join(dir, "kmodseal_linux_amd64.tar.gz"))
	install := strings.NewReplacer(
		"https://github.com/kmodseal/kmodseal/releases/download/$version", "file://"+dir,
		strings.Repeat("0", 64), sum).Replace(recipe(t, "install"))

	run := func(t *testing.T, script string) (string, error) {
		t.Helper()
		work := t.TempDir()
		cilab.Write(t, work, "signing.pem", lab.Cert)
		cmd := exec.Command("sh", "-ec", script)
		cmd.Dir = work
		cmd.Env = append(os.Environ(), "HOME="+work, "KMODSEAL_INSECURE=true", "SIGNING_KEY="+string(lab.Key),
			"IMAGE="+lab.Registry+"/driver", "KERNEL=6.1.0-sample+1")
		out, err := cmd.CombinedOutput()
		lab.NoKey(t, string(out))
		return string(out), err
	}
	t.Run("seal", func(t *testing.T) {
		log, err := run(t, install+recipe(t, "seal"))
		require.NoError(t, err, log)
		assert.Contains(t, log, "sealed "+lab.Registry+"/driver@"+lab.Digest(t, "driver:signed"))
	})
	t.Run("wrong checksum", func(t *testing.T) {
		log, err := run(t, strings.Replace(install, sum[:8], "00000000", 1))
		require.Error(t, err, log)
		assert.NotContains(t, log, "kmodseal.tar.gz: OK")
	})
	t.Run("wrong kernel", func(t *testing.T) {
		log, err := run(t, install+"KERNEL=6.6.6\n"+strings.ReplaceAll(recipe(t, "seal"), ":signed", ":wrong"))
		require.ErrorContains(t, err, "exit status 8", log)
		assert.Empty(t, lab.Digest(t, "driver:wrong"))
	})
}
