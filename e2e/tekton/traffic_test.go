//go:build e2e

package tekton_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// traffic counts the requests for a repository that the registry has logged, as METHOD or,
// where a method has several uses, METHOD manifests, METHOD blobs.
type traffic map[string]int

func requests(t *testing.T, repository string) traffic {
	t.Helper()
	log, err := os.ReadFile(filepath.Join(lab(), "run", "log", "registry.log"))
	require.NoError(t, err)
	out := traffic{}
	for line := range strings.Lines(string(log)) {
		method, rest, _ := strings.Cut(line, " ")
		what, of := strings.CutPrefix(rest, "/v2/"+repository+"/")
		if !of {
			continue
		}
		kind, _, _ := strings.Cut(what, "/")
		out[method+" "+kind]++
	}
	return out
}

// since is what was added to an earlier count.
func (c traffic) since(earlier traffic) traffic {
	out := traffic{}
	for k, n := range c {
		if n > earlier[k] {
			out[k] = n - earlier[k]
		}
	}
	return out
}

// sum adds up the requests with the methods.
func (c traffic) sum(methods ...string) int {
	total := 0
	for k, n := range c {
		for _, m := range methods {
			if strings.HasPrefix(k, m+" ") {
				total += n
			}
		}
	}
	return total
}

// writes are the requests that change something in the registry.
func (c traffic) writes() int {
	return c.sum(http.MethodPut, http.MethodPost, http.MethodPatch, http.MethodDelete)
}

// reads are the others.
func (c traffic) reads() int { return c.sum(http.MethodGet, http.MethodHead) }

// object is one in etcd.
type object struct {
	Value   []byte
	Version int `json:",string"` // how often it was written
}

// stored are the objects below a prefix in etcd: what a run costs there.
func stored(t *testing.T, prefix string) []object {
	t.Helper()
	end := prefix[:len(prefix)-1] + string(prefix[len(prefix)-1]+1) // the first key behind those with the prefix
	query, err := json.Marshal(map[string][]byte{"key": []byte(prefix), "range_end": []byte(end)})
	require.NoError(t, err)
	r, err := http.Post("http://127.0.0.1:2379/v3/kv/range", "application/json", bytes.NewReader(query))
	require.NoError(t, err)
	defer r.Body.Close()
	var answer struct{ Kvs []object }
	require.NoError(t, json.NewDecoder(r.Body).Decode(&answer))
	return answer.Kvs
}

// footprint prints what etcd holds after a Pipeline over 8 kernels, and holds it to the bounds that
// docs/scaling.md calculates with.
func footprint(t *testing.T, run string) {
	t.Helper()
	for _, c := range []struct {
		kind, prefix  string
		objects, most int // bytes of one
	}{
		{"PipelineRun", "/registry/tekton.dev/pipelineruns/drivers/" + run, 1, 16 << 10},
		{"TaskRun of a kernel", "/registry/tekton.dev/taskruns/drivers/" + run + "-seal-", 8, 25 << 10},
		{"Pod of a kernel", "/registry/pods/drivers/" + run + "-seal-", 8, 50 << 10},
		{"Event", "/registry/events/drivers/" + run, 0, 2 << 10},
	} {
		objects := stored(t, c.prefix)
		size, versions := 0, 0
		for _, o := range objects {
			size += len(o.Value)
			versions += o.Version
		}
		require.NotEmpty(t, objects, c.kind)
		if c.objects > 0 {
			assert.Len(t, objects, c.objects, c.kind)
		}
		assert.Less(t, size/len(objects), c.most, c.kind)
		t.Logf("%s: %d of %d bytes, each written %d times", c.kind, len(objects), size/len(objects), versions/len(objects))
	}
	grows(t, stored(t, "/registry/tekton.dev/pipelineruns/drivers/"+run)[0])
}

// grows: what each further kernel adds to a PipelineRun.
func grows(t *testing.T, o object) {
	t.Helper()
	var run struct {
		Status struct{ ChildReferences, Results []json.RawMessage }
	}
	require.NoError(t, json.Unmarshal(o.Value, &run))
	require.Len(t, run.Status.ChildReferences, 10)
	a, err := json.Marshal(run.Status)
	require.NoError(t, err)
	assert.Less(t, len(a)/8, 600)
	t.Logf("a kernel adds some %d bytes to the PipelineRun", len(a)/8)
}
