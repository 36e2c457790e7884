package cli_test

import (
	"cmp"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/e2e/sample"
	"github.com/kmodseal/kmodseal/pkg/kmod"
	"github.com/kmodseal/kmodseal/pkg/kmodtest"
	"github.com/kmodseal/kmodseal/pkg/oracle"
)

// block is a shell block of README.md behind <!-- run: NAME [CODE] -->, with
// the exit code that it ends with, and what stands there as its last output.
type block struct{ name, code, script, output string }

func blocks(t *testing.T, page string) (all []block) {
	t.Helper()
	b, err := os.ReadFile(page)
	require.NoError(t, err)
	form := regexp.MustCompile("(?s)<!-- run: ([a-z]+) ?([0-9]*) -->\n```sh\n(.*?)```\n(?:[^`#<]*```text\n(.*?)```)?")
	for _, m := range form.FindAllStringSubmatch(string(b), -1) {
		all = append(all, block{m[1], cmp.Or(m[2], "0"), m[3], m[4]})
	}
	return all
}

// TestReadme runs the quick start as it stands, but for the build and the
// registry's name, and compares what it shows.
func TestReadme(t *testing.T) {
	t.Parallel()
	oracle.Path(t, "openssl")
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	dir := readmeWorld(t, host)
	digest := regexp.MustCompile(`sha256:[0-9a-f]{64}`)
	var ran []string
	for _, b := range blocks(t, "../../README.md") {
		ran = append(ran, b.name)
		script := strings.NewReplacer("registry.example.com", host, "make build && ", "").Replace(b.script)
		cmd := exec.Command("bash", "-euo", "pipefail", "-c", script)
		cmd.Dir = dir
		out, _ := cmd.CombinedOutput()
		require.Equal(t, b.code, strconv.Itoa(cmd.ProcessState.ExitCode()), "%s\n%s", b.name, out)
		shown := digest.ReplaceAllString(strings.ReplaceAll(string(out), host, "registry.example.com"), "DIGEST")
		if b.output != "" {
			assert.True(t, strings.HasSuffix(shown, digest.ReplaceAllString(b.output, "DIGEST")), "%s prints\n%s", b.name, out)
		}
	}
	assert.Equal(t, []string{"key", "sign", "refused", "files"}, ran)
}

// readmeWorld pushes driver:unsigned and gives a folder with build/.
func readmeWorld(t *testing.T, host string) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "build"), 0o755))
	var entries []sample.Entry
	for file, codec := range map[string]kmod.Codec{"driver.ko": kmod.None, "helper.ko.xz": kmod.XZ} {
		var b strings.Builder
		base, _, _ := strings.Cut(file, ".")
		require.NoError(t, kmod.Encode(&b, kmodtest.Build(kmodtest.Spec{Name: base, Release: "6.1.0-56-amd64", Machine: "amd64"}), codec))
		entries = append(entries, sample.Entry{Name: "opt/lib/modules/6.1.0-56-amd64/" + file, Mode: 0o644, Content: []byte(b.String())})
		require.NoError(t, os.WriteFile(filepath.Join(dir, "build", file), []byte(b.String()), 0o644))
	}
	layer, err := sample.Layer(entries)
	require.NoError(t, err)
	ref, err := name.ParseReference(host + "/driver:unsigned")
	require.NoError(t, err)
	img, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{OS: "linux", Architecture: "amd64"})
	require.NoError(t, err)
	img, err = mutate.AppendLayers(img, layer)
	require.NoError(t, err)
	require.NoError(t, remote.Write(ref, img))
	return dir
}
