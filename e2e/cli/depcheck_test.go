package cli_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/step/catalog"
)

type pkg struct {
	ImportPath string
	Standard   bool
	Imports    []string
}

// deps lists what the binary of a step links.
func deps(t *testing.T, step string) []pkg {
	t.Helper()
	out, err := exec.Command("go", "list", "-deps", "-json=ImportPath,Standard,Imports", "../../steps/"+step).Output()
	require.NoError(t, err)
	var list []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return list
		} else if err != nil {
			require.NoError(t, err)
		}
		list = append(list, p)
	}
}

// TestNoStepLinks: what belongs to tests alone, and what a step does not need.
func TestNoStepLinks(t *testing.T) {
	t.Parallel()
	for _, cmd := range catalog.Steps() {
		name := cmd.About().Name
		for _, p := range deps(t, name) {
			for _, bad := range []string{
				"github.com/tektoncd/", "k8s.io/", "sigs.k8s.io/", "github.com/stretchr/", "testing", "github.com/kmodseal/kmodseal/pkg/oracle",
				"github.com/kmodseal/kmodseal/pkg/kmodtest",
			} {
				if name == "plan-kmods" && p.ImportPath == "sigs.k8s.io/yaml" {
					continue // Module resources are YAML
				}
				assert.False(t, strings.HasPrefix(p.ImportPath+"/", strings.TrimSuffix(bad, "/")+"/"), "%s links %s", name, p.ImportPath)
			}
		}
	}
}

// TestSignerLinksNoRegistryClient: docs/decisions/0006-sign-kmods-gives-up-sockets.md.
func TestSignerLinksNoRegistryClient(t *testing.T) {
	t.Parallel()
	may := map[string]bool{"github.com/sethvargo/go-githubactions": true, "github.com/schollz/progressbar/v3": true}
	for _, p := range deps(t, "sign-kmods") {
		for _, bad := range []string{
			"github.com/google/go-containerregistry", "github.com/docker/", "os/exec",
			"github.com/kmodseal/kmodseal/pkg/source", "github.com/kmodseal/kmodseal/pkg/imagefs", "github.com/kmodseal/kmodseal/pkg/extract",
		} {
			assert.False(t, strings.HasPrefix(p.ImportPath, bad), "sign-kmods links %s", p.ImportPath)
		}
		for _, i := range p.Imports {
			if i == "net/http" && !p.Standard {
				assert.True(t, may[p.ImportPath], "%s brings net/http", p.ImportPath)
			}
		}
	}
}
