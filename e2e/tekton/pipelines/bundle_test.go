package pipelines_test

import (
	"context"
	"io"
	"log"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"github.com/tektoncd/pipeline/pkg/remote/oci"
)

// TestBundle: Tekton's own reader finds every resource in the bundle, and no other.
func TestBundle(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command("go", "run", "./e2e/images", "-version", "v0.0.0-test", "-only", "none", "-bundle", "tasks", "-out", dir)
	cmd.Dir = "../../.."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	ref, err := name.NewTag(strings.TrimPrefix(server.URL, "http://") + "/tasks:1")
	if err != nil {
		t.Fatal(err)
	}
	index, err := layout.ImageIndexFromPath(filepath.Join(dir, "tasks"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := index.IndexManifest()
	if err != nil || len(m.Manifests) != 1 {
		t.Fatalf("%d images, %v", len(m.Manifests), err)
	}
	img, err := index.Image(m.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, img); err != nil {
		t.Fatal(err)
	}
	r := oci.NewResolver(ref.Name(), authn.DefaultKeychain)
	list, err := r.List(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("../../../tasks/*/*.yaml")
	if err != nil || len(list) != len(files) || len(files) < 10 {
		t.Fatalf("%d resources of %d files, %v", len(list), len(files), err)
	}
	for _, o := range list {
		got, _, err := r.Get(context.Background(), o.Kind, o.Name)
		if err != nil {
			t.Fatalf("%s %s: %v", o.Kind, o.Name, err)
		}
		if named, ok := got.(object); !ok || named.GetName() != o.Name {
			t.Errorf("%s %s is %T", o.Kind, o.Name, got)
		}
	}
	got, _, err := r.Get(context.Background(), "task", "seal-image")
	if err != nil {
		t.Fatal(err)
	}
	if task, ok := got.(*v1.Task); !ok || len(task.Spec.Steps) != 5 {
		t.Errorf("seal-image is %T", got)
	}
	for _, absent := range [][2]string{{"task", "nope"}, {"pipeline", "seal-image"}, {"taskrun", "seal-image"}} {
		if _, _, err := r.Get(context.Background(), absent[0], absent[1]); err == nil {
			t.Errorf("%s: there is one", absent)
		}
	}
}
