//go:build e2e

// Package tekton_test proves the Tasks on a real Kubernetes with a real Tekton.
// run.sh builds both and runs this inside the node's namespaces.
package tekton_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"
)

const registry = "10.200.0.1:5000"

// lab is the folder with the node's binaries and state.
func lab() string { return os.Getenv("KMODSEAL_LAB") }

func kubectl(t *testing.T, stdin string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(filepath.Join(lab(), "bin", "k8s"),
		append([]string{"kubectl", "--kubeconfig", filepath.Join(lab(), "run", "kubeconfig")}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

// must asks again where a webhook was too slow: on a busy machine that is no news.
func must(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	out, err := kubectl(t, stdin, args...)
	for range 3 {
		if err == nil || !strings.Contains(out, "failed to call webhook") {
			break
		}
		out, err = kubectl(t, stdin, args...)
	}
	require.NoError(t, err, out)
	return out
}

// namespace makes one under the restricted Pod Security level.
func namespace(t *testing.T, name string) {
	t.Helper()
	_, _ = kubectl(t, "", "delete", "namespace", name, "--ignore-not-found", "--wait")
	must(t, fmt.Sprintf("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: %s\n  labels: {pod-security.kubernetes.io/enforce: restricted}\n", name), "apply", "-f", "-")
}

// tasks puts the Tasks, StepActions and the Pipeline into a namespace.
func tasks(t *testing.T, ns string) {
	t.Helper()
	files, err := filepath.Glob("../../tasks/*/*.yaml")
	require.NotEmpty(t, files)
	require.NoError(t, err)
	for _, f := range files {
		b, err := os.ReadFile(f)
		require.NoError(t, err)
		must(t, local(string(b)), "apply", "-n", ns, "-f", "-")
	}
}

// local makes the YAML use the images of this build.
func local(yaml string) string {
	return strings.NewReplacer("ghcr.io/kmodseal/", registry+"/kmodseal/", ":v1.0.0", ":e2e").Replace(yaml)
}

// pushSteps puts the images of the steps into the node's registry.
func pushSteps(t *testing.T) {
	t.Helper()
	dirs, err := filepath.Glob(filepath.Join(lab(), "steps", "*"))
	require.NoError(t, err)
	require.NotEmpty(t, dirs)
	for _, d := range dirs {
		l, err := layout.ImageIndexFromPath(d)
		require.NoError(t, err)
		m, err := l.IndexManifest()
		require.NoError(t, err)
		idx, err := l.ImageIndex(m.Manifests[0].Digest)
		require.NoError(t, err)
		require.NoError(t, remote.WriteIndex(tag(t, "kmodseal/"+filepath.Base(d)+":e2e"), idx))
	}
}

func tag(t *testing.T, ref string) name.Tag {
	t.Helper()
	out, err := name.NewTag(registry + "/" + ref)
	require.NoError(t, err)
	return out
}

// digest is that of a tag in the registry; empty: there is no such tag.
func digest(t *testing.T, ref string) string {
	t.Helper()
	d, err := remote.Head(tag(t, ref))
	if err != nil {
		return ""
	}
	return d.Digest.String()
}

// outcome is how a TaskRun or PipelineRun ended.
type outcome struct {
	Status struct {
		Conditions []struct{ Status, Reason, Message string }
		PodName    string
		Results    []struct {
			Name  string
			Value json.RawMessage
		}
		Steps []struct {
			Name       string
			Terminated *struct {
				ExitCode int
				Reason   string
			}
		}
	}
}

func (o *outcome) ok() bool        { return o.Status.Conditions[0].Status == "True" }
func (o *outcome) message() string { return o.Status.Conditions[0].Message }

func (o *outcome) result(name string) string {
	for _, r := range o.Status.Results {
		if r.Name == name {
			var text string
			if json.Unmarshal(r.Value, &text) == nil {
				return text
			}
			return string(r.Value)
		}
	}
	return ""
}

// exit is the exit code of a step; -1: it did not run.
func (o *outcome) exit(step string) int {
	for _, s := range o.Status.Steps {
		if s.Name == step && s.Terminated != nil {
			return s.Terminated.ExitCode
		}
	}
	return -1
}

// asker asks the API server for objects: a kubectl every half second and run would keep a processor busy.
func asker(t *testing.T) func(path string, into any) {
	t.Helper()
	pem, err := os.ReadFile(filepath.Join(lab(), "run", "pki", "api.crt"))
	require.NoError(t, err)
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(pem))
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	t.Cleanup(transport.CloseIdleConnections)
	client := http.Client{Transport: transport, Timeout: time.Minute}
	return func(path string, into any) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://10.200.0.1"+path, nil)
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer lab-admin")
		answer, err := client.Do(r)
		require.NoError(t, err)
		defer answer.Body.Close()
		require.Equal(t, http.StatusOK, answer.StatusCode, path)
		require.NoError(t, json.NewDecoder(answer.Body).Decode(into))
	}
}

// await waits for the end of a run and prints its pods' logs where it failed.
func await(t *testing.T, ns, run string) *outcome {
	t.Helper()
	kind, name, _ := strings.Cut(run, "/")
	get := asker(t)
	deadline := time.Now().Add(15 * time.Minute)
	for time.Now().Before(deadline) {
		var o outcome
		get("/apis/tekton.dev/v1/namespaces/"+ns+"/"+kind+"s/"+name, &o)
		if len(o.Status.Conditions) > 0 && o.Status.Conditions[0].Status != "Unknown" {
			return &o
		}
		time.Sleep(500 * time.Millisecond)
	}
	out, _ := kubectl(t, "", "describe", "-n", ns, run)
	require.Fail(t, "no end in time", out)
	return nil
}

// logs are those of a TaskRun's steps.
func logs(t *testing.T, ns, taskRun string) string {
	t.Helper()
	out, _ := kubectl(t, "", "logs", "-n", ns, "-l", "tekton.dev/taskRun="+taskRun, "--all-containers", "--prefix", "--tail=-1")
	return out
}

// required: the test is for run.sh, which makes the folder.
func required(t *testing.T) {
	t.Helper()
	require.NotEmpty(t, lab(), "runs through e2e/tekton/run.sh")
}

// ready fails where there is no node.
func ready(t *testing.T) {
	t.Helper()
	required(t)
	_, err := http.Get("http://" + registry + "/v2/")
	require.NoError(t, err)
}
