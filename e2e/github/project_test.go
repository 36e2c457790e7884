//go:build e2e

package github

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/e2e/cilab"
	"github.com/kmodseal/kmodseal/pkg/kmodtest"
)

// project is a driver team's repository, and kmodseal's as the runner has it:
// as a branch, and as a release whose archive lies in a folder.
type project struct {
	lab                                                   *cilab.Lab
	dir, results, branch, tag, cache, rel, secrets, shell string
	artifacts                                             string  // what stands in for GitHub's store of them
	standIns                                              string  // actions of others that need GitHub
	engine                                                *engine // nil: the jobs run on the host
}

func newProject(t *testing.T) *project {
	t.Helper()
	p := &project{
		lab: cilab.New(t), dir: t.TempDir(), results: t.TempDir(), branch: t.TempDir(), tag: t.TempDir(),
		cache: t.TempDir(), rel: t.TempDir(), shell: t.TempDir(),
		artifacts: t.TempDir(), standIns: t.TempDir(),
	}
	cilab.Sh(t, cilab.Root(t)+"/e2e/github", "cp -a standins/* "+p.standIns)
	cilab.Sh(t, p.standIns, "for d in */*; do (cd $d; "+commit+"); done")
	p.wrap(t)
	root := cilab.Root(t)
	cilab.Sh(t, root, "git ls-files -z -co --exclude-standard actions pkg steps go.mod go.sum | xargs -0 cp --parents -t "+p.branch)
	cilab.Sh(t, root, "cp -a "+p.branch+"/actions "+p.tag)
	p.release(t)
	p.secrets = filepath.Join(t.TempDir(), "secrets") // not in the environment, which act hands on
	secrets := "SIGNING_KEY=\"" + strings.ReplaceAll(string(p.lab.Key), "\n", `\n`) + "\"\nREGISTRY_AUTH='{\"auths\":{}}'\n"
	require.NoError(t, os.WriteFile(p.secrets, []byte(secrets), 0o600))
	cilab.Write(t, p.dir, "signing.pem", p.lab.Cert)
	cilab.Write(t, p.dir, "other.pem", p.lab.Other)
	cilab.Write(t, p.dir, "kernels", []byte(strings.Join(cilab.Kernels, "\n")+"\n"))
	module := kmodtest.Build(kmodtest.Spec{Name: "x", Release: "6.1", Machine: "amd64"})
	cilab.Write(t, p.dir, "other.ko", module)
	cilab.Write(t, p.dir, "folder with a blank/a b.ko", module)
	cilab.Sh(t, root, "mkdir -p "+p.dir+"/.github/workflows && cp e2e/github/workflows/*.yml .github/workflows/seal-driver.yml "+p.dir+"/.github/workflows")
	for _, dir := range []string{p.dir, p.branch, p.tag} {
		cilab.Sh(t, dir, commit)
	}
	return p
}

// commit makes a repository of a folder.
const commit = "git init -q -b main && git add -A && git -c user.name=t -c user.email=t@example.com commit -qm x"

// release packs the archive and pins it, as the release workflow does.
func (p *project) release(t *testing.T) {
	t.Helper()
	archive := "kmodseal_linux_" + runtime.GOARCH + ".tar.gz"
	sum := p.lab.Archive(t, filepath.Join(p.rel, "v1.0.0", archive))
	cilab.Write(t, p.tag, "actions/pins", fmt.Appendf(nil, "version v1.0.0\n%s  %s\n", sum, archive))
}

// wrap puts a bash before the real one. GitHub's runner gives a step pipes, act a
// terminal whose last lines it drops when the step fails.
func (p *project) wrap(t *testing.T) {
	t.Helper()
	bash, err := exec.LookPath("bash")
	require.NoError(t, err)
	script := "#!" + bash + "\nset -o pipefail\n" + bash + " \"$@\" 2>&1 | cat || { code=$?; sleep 0.5; exit $code; }\n"
	require.NoError(t, os.WriteFile(filepath.Join(p.shell, "bash"), []byte(script), 0o755))
}

// act runs a workflow of the driver team's, which has to succeed.
func (p *project) act(t *testing.T, workflow string) runLog {
	t.Helper()
	log, err := p.run(t, p.dir, "push", "-W", ".github/workflows/"+workflow+".yml")
	require.NoError(t, err, log.text())
	return log
}

// run runs act in the folder of a repository, and searches the log for the key.
func (p *project) run(t *testing.T, dir string, args ...string) (runLog, error) {
	t.Helper()
	cmd := exec.Command(filepath.Join(cilab.Root(t), ".cache/bin/act"), "--json", "--action-offline-mode", "--no-cache-server",
		"--local-repository", "kmodseal/kmodseal@v1="+p.tag, "--local-repository", "kmodseal/kmodseal@main="+p.branch,
		"--action-cache-path", p.cache, "--env", "KMODSEAL_RELEASES=file://"+p.rel, "--env", "RUNNER_DEBUG=1", "--env", "ARTIFACTS="+p.artifacts,
		"--var", "REGISTRY="+p.lab.Registry, "--var", "RESULTS="+p.results,
		"--secret-file", p.secrets)
	for _, uses := range p.replaced(t) {
		cmd.Args = append(cmd.Args, "--local-repository", uses)
	}
	cmd.Dir = dir
	p.where(cmd)
	cmd.Args = append(cmd.Args, args...)
	out, err := cmd.CombinedOutput()
	log := parseLog(out)
	p.lab.NoKey(t, log.secretText())
	if os.Getenv("KMODSEAL_E2E_LOG") != "" {
		t.Log(log.text())
	}
	return log, err
}

// replaced are the uses in our workflows that there is a stand-in for: USES=FOLDER.
func (p *project) replaced(t *testing.T) (all []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(cilab.Root(t), ".github/workflows/*.yml"))
	require.NoError(t, err)
	for _, f := range files {
		b, err := os.ReadFile(f)
		require.NoError(t, err)
		for _, m := range regexp.MustCompile(`uses: (([\w-]+/[\w-]+)@[0-9a-f]{40})`).FindAllStringSubmatch(string(b), -1) {
			if dir := filepath.Join(p.standIns, m[2]); exists(dir) {
				all = append(all, m[1]+"="+dir)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

// where makes act run the jobs on the host or in containers, which see the release
// and the folders that results go to, and the registry of the host.
func (p *project) where(act *exec.Cmd) {
	if p.engine == nil {
		act.Args = append(act.Args, "-P", "ubuntu-latest=-self-hosted")
		act.Env = append(os.Environ(), "PATH="+p.shell+":"+os.Getenv("PATH"))
		return
	}
	act.Args = append(act.Args, "-P", "ubuntu-latest="+jobImage, "--pull=false", "--rm", "--network", "host", "--container-daemon-socket", "-",
		"--container-options", fmt.Sprintf("--volume=%s:%[1]s:ro --volume=%s:%[2]s --volume=%s:%[3]s", p.rel, p.results, p.artifacts))
	act.Env = append(os.Environ(), "DOCKER_HOST="+p.engine.host)
}
