//go:build e2e

// Package gitlab runs the components with gitlab-ci-local's shell executor.
package gitlab

import (
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/e2e/cilab"
	"github.com/kmodseal/kmodseal/pkg/kmodtest"
)

// project is a driver team's repository with the components beside it.
type project struct {
	lab                     *cilab.Lab
	dir, releases, checksum string
}

func TestComponents(t *testing.T) {
	p := newProject(t)
	p.lab.TestNoKeyFinds(t)
	t.Run("seal", p.seal)
	t.Run("steps", p.steps)
	t.Run("child", p.child)
	t.Run("hostile", p.hostile)
	t.Run("script", p.script)
	t.Run("release", p.release)
	t.Run("reports", p.reports)
	t.Run("fail", p.fail)
}

func newProject(t *testing.T) *project {
	t.Helper()
	p := &project{lab: cilab.New(t), dir: t.TempDir()}
	root := cilab.Root(t)
	cilab.Sh(t, root, "cp -a templates e2e/gitlab/pipelines "+p.dir)
	cilab.Write(t, p.dir, "other.pem", p.lab.Other)
	cilab.Write(t, p.dir, "kernels", []byte(strings.Join(cilab.Kernels, "\n")+"\n"))
	module := kmodtest.Build(kmodtest.Spec{Name: "x", Release: "6.1", Machine: "amd64"})
	cilab.Write(t, p.dir, "other.ko", module)
	cilab.Write(t, p.dir, "folder with a blank/a b.ko", module)
	p.archives(t)
	cilab.Write(t, p.dir, ".gitlab-ci-local-variables.yml", fmt.Appendf(nil, "REGISTRY: %s\nKMODSEAL_RELEASES: %s\n"+
		"SIGNING_KEY: {type: file, values: {'*': %q}}\nSIGNING_CERT: {type: file, values: {'*': %q}}\nMASKED_KEY: %s\nTEXT_KEY: %q\n",
		p.lab.Registry, p.releases, p.lab.Key, p.lab.Cert, base64.StdEncoding.EncodeToString(p.lab.Key), p.lab.Key))
	cilab.Write(t, p.dir, ".gitignore", []byte(".gitlab-ci-local*\n"))
	cilab.Sh(t, p.dir, "sed -i 's#REGISTRY/#"+p.lab.Registry+"/#' pipelines/plan.yml && git init -q -b main && git add -A && git -c user.name=t -c user.email=t@example.com commit -qm x && git remote add origin git@gitlab.example.com:drivers/sample.git")
	return p
}

// archives is a host with a release of ours, and another archive under a second name.
func (p *project) archives(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	p.checksum = p.lab.Archive(t, filepath.Join(dir, "v1.0.0", "kmodseal_linux_"+runtime.GOARCH+".tar.gz"))
	host := httptest.NewServer(http.FileServer(http.Dir(dir)))
	t.Cleanup(host.Close)
	p.releases = host.URL
}

// run runs a pipeline, with the steps in the PATH, and searches its log for the key.
func (p *project) run(t *testing.T, file string) (log string, err error) {
	t.Helper()
	return p.runIn(t, p.lab.Bin+":"+os.Getenv("PATH"), file)
}

func (p *project) runIn(t *testing.T, path, file string) (log string, err error) {
	t.Helper()
	npm := filepath.Join(cilab.Root(t), ".cache/npm/node_modules")
	cmd := exec.Command(npm+"/.bin/node", npm+"/gitlab-ci-local/dist/index.js",
		"--file", file, "--force-shell-executor", "--shell-isolation", "--artifacts-to-source", "--concurrency", "2")
	cmd.Dir = p.dir
	cmd.Env = append(os.Environ(), "PATH="+path, "NO_COLOR=1", "FORCE_COLOR=0", "HOME="+p.dir)
	out, err := cmd.CombinedOutput()
	p.lab.NoKey(t, string(out))
	if os.Getenv("KMODSEAL_E2E_LOG") != "" {
		t.Log(string(out))
	}
	return string(out), err
}

func (p *project) seal(t *testing.T) {
	log, err := p.run(t, "pipelines/seal.yml")
	require.NoError(t, err, log)
	digest := p.lab.Digest(t, "driver:signed")
	require.NotEmpty(t, digest)
	assert.Contains(t, log, "deploy "+p.lab.Registry+"/driver:signed@"+digest+" loads 10 "+p.lab.Digest(t, "driver:unsigned"))
	assert.Equal(t, 10, p.junit(t).Tests)
	complaint, err := validate(t, filepath.Join(p.dir, "kmodseal.codequality.json"))
	assert.NoError(t, err, complaint)
}

// junit reads the report as GitLab does.
func (p *project) junit(t *testing.T) (report struct {
	XMLName xml.Name `xml:"testsuites"`
	Tests   int      `xml:"tests,attr"`
	Suites  []struct {
		Name  string `xml:"name,attr"`
		Cases []struct {
			Name      string `xml:"name,attr"`
			Classname string `xml:"classname,attr"`
		} `xml:"testcase"`
	} `xml:"testsuite"`
},
) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(p.dir, "kmodseal.xml"))
	require.NoError(t, err)
	require.NoError(t, xml.Unmarshal(b, &report))
	complaint, err := validate(t, filepath.Join(p.dir, "kmodseal.xml"))
	require.NoError(t, err, complaint)
	for _, s := range report.Suites {
		for _, c := range s.Cases {
			assert.NotEmpty(t, c.Name)
			assert.NotEmpty(t, c.Classname)
		}
	}
	return report
}

func (p *project) steps(t *testing.T) {
	log, err := p.run(t, "pipelines/steps.yml")
	require.NoError(t, err, log)
	digest := p.lab.Digest(t, "driver:steps")
	assert.NotEmpty(t, digest)
	assert.Equal(t, digest, p.lab.Digest(t, "driver:one"))
	assert.Equal(t, digest, p.lab.Digest(t, "driver:two"))
	assert.Contains(t, log, "folder with a blank/a b.ko")
}

// child runs the pipeline that plan-kmods wrote: gitlab-ci-local has no
// trigger jobs, and no GitLab to take the component from.
func (p *project) child(t *testing.T) {
	log, err := p.run(t, "pipelines/plan.yml")
	require.NoError(t, err, log)
	child, err := os.ReadFile(filepath.Join(p.dir, "kmodseal.yml"))
	require.NoError(t, err)
	const component = "component: $CI_SERVER_FQDN/kmodseal/kmodseal/seal-image@v1"
	require.Equal(t, 4, strings.Count(string(child), component), string(child))
	cilab.Write(t, p.dir, "pipelines/child.yml", []byte(strings.ReplaceAll(string(child), component, "local: /templates/seal-image/template.yml")))
	log, err = p.run(t, "pipelines/child.yml")
	require.NoError(t, err, log)
	for _, k := range cilab.Kernels {
		assert.NotEmpty(t, p.lab.Digest(t, "matrix:"+k), k)
	}
}

func (p *project) hostile(t *testing.T) {
	log, err := p.run(t, "pipelines/hostile.yml")
	require.NoError(t, err, log)
	assert.Contains(t, log, "forged= digest="+p.lab.Digest(t, "hostile:signed"))
	assert.Contains(t, log, `releases=6.1-\x24CI_COMMIT_SHA-\x24(touch`)
	assert.NotContains(t, log, "\nFORGED")
	assert.NotContains(t, log, "\x1b[0Ksection_start:1:forged")
	_, err = os.Stat(filepath.Join(p.dir, "forged"))
	require.ErrorIs(t, err, os.ErrNotExist)
	assert.Equal(t, p.lab.Hostile, p.junit(t).Tests)
}

// script runs the lines of the page, for images of a registry without TLS.
func (p *project) script(t *testing.T) {
	page, err := os.ReadFile(cilab.Root(t) + "/docs/gitlab.md")
	require.NoError(t, err)
	_, rest, ok := strings.Cut(string(page), "```yaml\nseal:\n  script:\n")
	require.True(t, ok)
	lines, _, _ := strings.Cut(rest, "```")
	lines = strings.ReplaceAll(lines, "$CI_REGISTRY_IMAGE:", "$REGISTRY/driver:")
	cilab.Write(t, p.dir, "pipelines/script.yml", []byte("variables: {KMODSEAL_INSECURE: \"true\"}\nseal:\n  script:\n"+strings.ReplaceAll(lines, ":signed", ":script")))
	log, err := p.run(t, "pipelines/script.yml")
	require.NoError(t, err, log)
	assert.NotEmpty(t, p.lab.Digest(t, "driver:script"))
}

// release takes the binaries from the archive of a release, and the key from a masked
// variable, which is base64 on one line.
func (p *project) release(t *testing.T) {
	for _, c := range []struct{ name, checksum, key, want string }{
		{"of-amd64", runtime.GOARCH + ":" + p.checksum + " s390x:" + strings.Repeat("0", 64), "env:MASKED_KEY", ""},
		{"wrong", strings.Repeat("0", 64), "env:MASKED_KEY", "FAIL 1"},
		{"text", p.checksum, "$TEXT_KEY", "FAIL 4"}, // somebody forgot to make it a file
	} {
		t.Run(c.name, func(t *testing.T) {
			cilab.Write(t, p.dir, "pipelines/release.yml", fmt.Appendf(nil, "include:\n  - local: /templates/seal-image/template.yml\n"+
				"    inputs: {source: $REGISTRY/driver:unsigned, destination: $REGISTRY/driver:release-%s, release: v1.0.0, checksum: %q, key: %q, insecure: \"true\"}\n",
				c.name, c.checksum, c.key))
			log, err := p.runIn(t, os.Getenv("PATH"), "pipelines/release.yml")
			if c.want == "" {
				require.NoError(t, err, log)
				assert.NotEmpty(t, p.lab.Digest(t, "driver:release-"+c.name))
				return
			}
			require.Error(t, err, log)
			assert.Contains(t, log, c.want)
			assert.Empty(t, p.lab.Digest(t, "driver:release-"+c.name), "nothing is published")
		})
	}
}

func (p *project) fail(t *testing.T) {
	for _, c := range []struct{ name, component, inputs, want string }{
		{"unsigned", "verify-kmods", `{source: $REGISTRY/driver:unsigned, insecure: "true"}`, "FAIL 5"},
		{"unknown", "seal-image", `{source: $REGISTRY/driver:unsigned, destination: $REGISTRY/driver:unknown, trust: other.pem, insecure: "true"}`, "FAIL 6"},
		{"pair", "seal-image", `{source: $REGISTRY/driver:unsigned, destination: $REGISTRY/driver:pair, cert: other.pem, insecure: "true"}`, "FAIL 4"},
		{"control", "extract-kmods", `{source: "$REGISTRY/hostile:control", insecure: "true"}`, "FAIL 3"},
		{"none", "extract-kmods", `{source: $REGISTRY/empty:1, insecure: "true"}`, "FAIL 3"},
		{"empty", "seal-image", `{source: "", destination: $REGISTRY/driver:empty}`, "FAIL 2"},
		{"missing", "seal-image", `{source: $REGISTRY/driver:unsigned}`, "destination"},
		{"option", "seal-image", `{source: a, destination: b, hash: md5}`, "hash"},
		{"boolean", "seal-image", `{source: a, destination: b, insecure: "yes"}`, "insecure"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cilab.Write(t, p.dir, "pipelines/fail.yml", []byte("include:\n  - local: /templates/"+c.component+"/template.yml\n    inputs: "+c.inputs+"\n"))
			log, err := p.run(t, "pipelines/fail.yml")
			require.Error(t, err, log)
			assert.Contains(t, log, c.want)
			if c.name != "unsigned" {
				assert.Empty(t, p.lab.Digest(t, "driver:"+c.name), "nothing is published")
			}
		})
	}
}
