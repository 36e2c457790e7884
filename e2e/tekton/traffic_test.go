//go:build e2e

package tekton_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
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

// stored are the objects below a prefix in etcd, and the bytes of their values: what a run costs there.
func stored(t *testing.T, prefix string) (objects, size int) {
	t.Helper()
	end := prefix[:len(prefix)-1] + string(prefix[len(prefix)-1]+1) // the first key behind those with the prefix
	query, err := json.Marshal(map[string]string{
		"key": base64.StdEncoding.EncodeToString([]byte(prefix)), "range_end": base64.StdEncoding.EncodeToString([]byte(end)),
	})
	require.NoError(t, err)
	r, err := http.Post("http://127.0.0.1:2379/v3/kv/range", "application/json", bytes.NewReader(query))
	require.NoError(t, err)
	defer r.Body.Close()
	var answer struct {
		Count string
		Kvs   []struct{ Value []byte }
	}
	require.NoError(t, json.NewDecoder(r.Body).Decode(&answer))
	for _, kv := range answer.Kvs {
		size += len(kv.Value)
	}
	objects, err = strconv.Atoi(answer.Count)
	require.NoError(t, err)
	return objects, size
}

// footprint prints what etcd holds after a Pipeline over 8 kernels; the counts are what docs/scaling.md calculates with.
func footprint(t *testing.T, run string) {
	t.Helper()
	for _, c := range []struct {
		kind, prefix  string
		objects, most int // bytes of one
	}{
		{"PipelineRun", "/registry/tekton.dev/pipelineruns/drivers/" + run, 1, 100_000},
		{"TaskRun of a kernel", "/registry/tekton.dev/taskruns/drivers/" + run + "-seal-", 8, 100_000},
		{"Pod of a kernel", "/registry/pods/drivers/" + run + "-seal-", 8, 100_000},
	} {
		objects, size := stored(t, c.prefix)
		require.Equal(t, c.objects, objects, c.kind)
		assert.Less(t, size/objects, c.most, c.kind)
		t.Logf("%s: %d bytes each", c.kind, size/objects)
	}
	objects, size := stored(t, "/registry/events/drivers/"+run)
	t.Logf("Events: %d with %d bytes", objects, size)
}
