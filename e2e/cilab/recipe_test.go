//go:build e2e

package cilab_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"io/fs"
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

	run := func(t *testing.T, script string, env ...string) (string, error) {
		t.Helper()
		work := t.TempDir()
		cilab.Write(t, work, "signing.pem", lab.Cert)
		cmd := exec.Command("sh", "-ec", script)
		cmd.Dir = work
		cmd.Env = append(os.Environ(), "HOME="+work, "KMODSEAL_INSECURE=true", "SIGNING_KEY="+string(lab.Key),
			"IMAGE="+lab.Registry+"/driver", "KERNEL=6.1.0-sample+1")
		cmd.Env = append(cmd.Env, env...)
		out, err := cmd.CombinedOutput()
		lab.NoKey(t, string(out))
		return string(out), err
	}
	t.Run("seal", func(t *testing.T) {
		log, err := run(t, install+recipe(t, "seal"))
		require.NoError(t, err, log)
		assert.Contains(t, log, "sealed "+lab.Registry+"/driver@"+lab.Digest(t, "driver:signed"))
	})
	t.Run("from source", func(t *testing.T) {
		bin := t.TempDir()
		seal := strings.ReplaceAll(recipe(t, "seal"), ":signed", ":built")
		log, err := run(t, recipe(t, "source")+"sign-kmods --version\n"+seal, append(moduleProxy(t), "GOBIN="+bin, "PATH="+bin+":"+os.Getenv("PATH"))...)
		require.NoError(t, err, log)
		assert.Contains(t, log, "sign-kmods v1.0.0\n")
		assert.Contains(t, log, "sealed "+lab.Registry+"/driver@"+lab.Digest(t, "driver:built"))
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

// moduleProxy is the environment of a go command that finds this module as v1.0.0, in a
// cache of its own, and all others in the cache of this machine and its proxy.
func moduleProxy(t *testing.T) []string {
	t.Helper()
	const path = "github.com/kmodseal/kmodseal"
	dir, root := t.TempDir(), cilab.Root(t)
	mod, err := os.ReadFile(root + "/go.mod")
	require.NoError(t, err)
	cilab.Write(t, dir, path+"/@v/v1.0.0.mod", mod)
	cilab.Write(t, dir, path+"/@v/v1.0.0.info", []byte(`{"Version": "v1.0.0"}`))
	cilab.Write(t, dir, path+"/@v/list", []byte("v1.0.0\n"))
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	list := exec.Command("git", "ls-files", "-z", "-co", "--exclude-standard", ":!e2e/tekton") // has modules of its own
	list.Dir = root
	out, err := list.Output()
	require.NoError(t, err)
	for name := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		b, err := os.ReadFile(filepath.Join(root, name))
		if errors.Is(err, fs.ErrNotExist) { // removed, but not from the index
			continue
		}
		require.NoError(t, err)
		w, err := z.Create(path + "@v1.0.0/" + name)
		require.NoError(t, err)
		_, err = w.Write(b)
		require.NoError(t, err)
	}
	require.NoError(t, z.Close())
	cilab.Write(t, dir, path+"/@v/v1.0.0.zip", buf.Bytes())
	out, err = exec.Command("go", "env", "GOMODCACHE", "GOPROXY").Output()
	require.NoError(t, err)
	here := strings.Fields(string(out))
	return []string{
		"GOPROXY=file://" + dir + ",file://" + here[0] + "/cache/download," + here[1], "GONOSUMDB=" + path, "GONOPROXY=none",
		"GOMODCACHE=" + t.TempDir(), "GOFLAGS=-modcacherw -trimpath", "CGO_ENABLED=0",
	}
}
