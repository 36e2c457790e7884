//go:build e2e

package github

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/e2e/cilab"
)

// rehearsal is the project's own repository, with an origin that takes tags, and what
// the stand-ins for cosign, gh and GitHub's attestations wrote down.
type rehearsal struct {
	*project
	work, origin, notes string
}

func newRehearsal(t *testing.T) *rehearsal {
	t.Helper()
	r := &rehearsal{project: newProject(t), work: t.TempDir(), origin: filepath.Join(t.TempDir(), "kmodseal/kmodseal.git"), notes: t.TempDir()}
	cilab.Sh(t, cilab.Root(t), "git ls-files -z -co --exclude-standard | tar --null --ignore-failed-read -cf - -T - | tar -xf - -C "+r.work)
	cilab.Sh(t, r.work, "sed -i '0,/^## /s//## v1.2.3\\n\\n- rehearsed\\n\\n&/' CHANGELOG.md; "+commit)
	cilab.Sh(t, r.work, "git clone -q --bare . "+r.origin+" && git remote add origin "+r.origin+" && git push -q origin HEAD:refs/tags/v1.2.2 HEAD:refs/tags/v1")
	require.NoError(t, os.MkdirAll(r.notes+"/v1.2.3", 0o755))
	for program, script := range map[string]string{
		"docker": `cat >/dev/null`,
		"cosign": `if [[ $1 == sign-blob ]]; then echo signature >"$4"; fi`,
		// The assets are published before users of the major version's tag look for them.
		"gh": `if [[ $1 == release ]]; then
  echo "v1 is $(git ls-remote origin refs/tags/v1 | cut -f 1)" >>"$REHEARSAL/calls"
  for a in "$@"; do [[ ! -f $a ]] || cp "$a" "$REHEARSAL/v1.2.3/"; done
fi`,
	} {
		script = "#!/bin/bash\necho \"" + program + " $*\" >>\"$REHEARSAL/calls\"\n" + script + "\n"
		require.NoError(t, os.WriteFile(filepath.Join(r.shell, program), []byte(script), 0o755)) //nolint:gosec // a program
	}
	return r
}

// release runs release.yml as it is.
func (r *rehearsal) release(t *testing.T, version string) (runLog, error) {
	t.Helper()
	return r.run(t, r.work, "workflow_dispatch", "-W", ".github/workflows/release.yml", "--input", "version="+version,
		"--var", "REGISTRY="+r.lab.Registry+"/kmodseal", "--env", "REHEARSAL="+r.notes)
}

func (r *rehearsal) git(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("git", append([]string{"-C", r.origin}, args...)...).CombinedOutput()
	require.NoError(t, err, string(out))
	return strings.TrimSpace(string(out))
}

func (r *rehearsal) read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(r.notes, name))
	require.NoError(t, err)
	return string(b)
}

// TestRelease makes a release, and then signs a driver with the actions at the tag
// that it moved, as a driver team would.
func TestRelease(t *testing.T) {
	r := newRehearsal(t)
	t.Run("versions", r.versions)
	before := r.git(t, "rev-parse", "v1")
	log, err := r.release(t, "v1.2.3")
	require.NoError(t, err, log.text())
	t.Run("tags", func(t *testing.T) { r.tags(t, before) })
	t.Run("assets", r.assets)
	t.Run("images", r.images)
	t.Run("use", r.use)
}

// versions that no release is made of; nothing is published.
func (r *rehearsal) versions(t *testing.T) {
	for version, why := range map[string]string{
		"v1.2": "is not vX.Y.Z", "v1.2.4;id": "is not vX.Y.Z", "v2.0.0": "does not take the actions of v2",
		"v1.2.2": "v1.2.2 exists", "v1.1.9": "v1.2.2 is newer",
	} {
		log, err := r.release(t, version)
		require.Error(t, err, version)
		require.NotEmpty(t, log.errors(), log.text())
		assert.Contains(t, log.errors()[0].message, why)
	}
	assert.Equal(t, "v1\nv1.2.2", r.git(t, "tag"))
	assert.NoFileExists(t, filepath.Join(r.notes, "calls"))
}

func (r *rehearsal) tags(t *testing.T, before string) {
	assert.Equal(t, r.git(t, "rev-parse", "v1.2.3"), r.git(t, "rev-parse", "v1"))
	assert.Equal(t, r.git(t, "rev-parse", "main"), r.git(t, "rev-parse", "v1^"))
	for _, file := range strings.Fields(r.git(t, "diff", "--name-only", "main", "v1")) {
		assert.Regexp(t, `^(actions/pins$|templates/|tasks/)`, file)
	}
	assert.Contains(t, r.read(t, "calls"), "v1 is "+before, "v1 moves when all else is published")
	task := r.git(t, "show", "v1:tasks/sign-kmods/sign-kmods.yaml")
	assert.Regexp(t, `image: ghcr\.io/kmodseal/sign-kmods:v1\.2\.3@sha256:[0-9a-f]{64}\n`, task)
	assert.Contains(t, task, `app.kubernetes.io/version: "1.2.3"`)
	assert.Contains(t, task, r.lab.Digest(t, "kmodseal/sign-kmods:v1.2.3"))
	assert.Regexp(t, `default: "v1\.2\.3"\n`, r.git(t, "show", "v1:templates/seal-image/template.yml"))
}

func (r *rehearsal) assets(t *testing.T) {
	cilab.Sh(t, r.notes+"/v1.2.3", "sha256sum --check --strict SHA256SUMS && test -s SHA256SUMS.sigstore.json")
	assert.Equal(t, "- rehearsed\n", r.read(t, "v1.2.3/NOTES.md"))
	assert.Len(t, strings.Fields(r.read(t, "v1.2.3/SHA256SUMS")), 2*2*8, "archive and parts of eight platforms")
	var archives strings.Builder
	for line := range strings.Lines(r.read(t, "v1.2.3/SHA256SUMS")) {
		if strings.HasSuffix(line, ".tar.gz\n") {
			archives.WriteString(line)
		}
	}
	assert.Equal(t, "version v1.2.3\n"+strings.TrimSpace(archives.String()), r.git(t, "show", "v1:actions/pins"))
	assert.Contains(t, r.read(t, "subjects"), r.read(t, "v1.2.3/SHA256SUMS"))
	bin := t.TempDir()
	cilab.Sh(t, bin, "tar -xzf "+r.notes+"/v1.2.3/kmodseal_linux_"+runtime.GOARCH+".tar.gz")
	child, err := exec.Command(bin+"/plan-kmods", "--source=r.example.com/a:1", "--destination=r.example.com/a:2", "--format=gitlab").Output()
	require.NoError(t, err)
	assert.Contains(t, string(child), "/seal-image@v1.2.3\n", "a child pipeline takes the components of the same release")
}

// images: each is there by the digest that was signed and attested, the bundle as well.
func (r *rehearsal) images(t *testing.T) {
	signed := regexp.MustCompile(`(?m)^cosign sign --yes \S+/kmodseal/([a-z-]+)@sha256:([0-9a-f]{64})$`).FindAllStringSubmatch(r.read(t, "calls"), -1)
	require.Len(t, signed, 6)
	for _, s := range signed {
		assert.Equal(t, "sha256:"+s[2], r.lab.Digest(t, "kmodseal/"+s[1]+":v1.2.3"), s[1])
		assert.Contains(t, r.read(t, "subjects"), s[2]+"  "+r.lab.Registry+"/kmodseal/"+s[1]+"\n")
	}
}

func (r *rehearsal) use(t *testing.T) {
	r.tag, r.rel = t.TempDir(), r.notes
	cilab.Sh(t, r.tag, "git clone -q --branch v1 --config advice.detachedHead=false "+r.origin+" .")
	r.seal(t)
	r.matrix(t)
}

// TestDogfood runs what the project's own workflow does with the actions of a checkout;
// the runners of macOS and Windows are this machine.
func TestDogfood(t *testing.T) {
	r := newRehearsal(t)
	for _, c := range []struct{ job, runner string }{{"dogfood", "ubuntu-latest"}, {"folder", "macos-latest"}} {
		t.Run(c.job, func(t *testing.T) {
			log, err := r.run(t, r.work, "push", "-W", ".github/workflows/ci.yml", "-j", c.job,
				"--matrix", "runner:"+c.runner, "-P", c.runner+"=-self-hosted")
			require.NoError(t, err, log.text())
			assert.Contains(t, log.summary(), "loads")
			assert.Empty(t, log.errors())
		})
	}
}
