// Package pipelines_test asks Tekton's own code about the Tasks: strict
// decoding, defaults and validation, as its webhook does.
package pipelines_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"github.com/tektoncd/pipeline/pkg/apis/pipeline/v1beta1"
	"knative.dev/pkg/apis"
	"sigs.k8s.io/yaml"
)

type object interface {
	SetDefaults(context.Context)
	Validate(context.Context) *apis.FieldError
	GetName() string
	GetGenerateName() string
	SetName(string)
}

// problem is what Tekton has against a document; nil: nothing.
func problem(doc []byte) error {
	var head struct{ Kind string }
	if err := yaml.Unmarshal(doc, &head); err != nil {
		return err
	}
	o, ok := map[string]object{
		"Task": &v1.Task{}, "Pipeline": &v1.Pipeline{}, "TaskRun": &v1.TaskRun{}, "PipelineRun": &v1.PipelineRun{},
		"StepAction": &v1beta1.StepAction{},
	}[head.Kind]
	if !ok {
		return nil
	}
	if err := yaml.UnmarshalStrict(doc, o); err != nil {
		return err
	}
	if o.GetName() == "" && o.GetGenerateName() != "" {
		o.SetName(o.GetGenerateName() + "x") // as the API server does before it asks the webhook
	}
	ctx := apis.WithinCreate(context.Background())
	o.SetDefaults(ctx)
	if err := o.Validate(ctx); err != nil {
		return err
	}
	return nil
}

func TestTasks(t *testing.T) {
	var files []string
	for _, pattern := range []string{"*/*.yaml", "*/samples/*.yaml"} {
		found, err := filepath.Glob("../../../tasks/" + pattern)
		if err != nil || len(found) < 4 {
			t.Fatalf("%s: %d files, %v", pattern, len(found), err)
		}
		files = append(files, found...)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if err := problem(b); err != nil {
			t.Errorf("%s: %v", f, err)
		}
	}
}

// TestRefusals: the check would see a mistake.
func TestRefusals(t *testing.T) {
	good, err := os.ReadFile("../../../tasks/seal-image/seal-image.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range [][2]string{
		{"$(params.source)", "$(params.nope)"},
		{"  steps:", "  stepz: []\n  steps:"},
		{"- name: sign\n", "- name: Sign_It\n"},
		{"        - name: signing-key\n", "        - name: no-such\n"},
	} {
		bad := bytes.Replace(good, []byte(c[0]), []byte(c[1]), 1)
		if bytes.Equal(good, bad) || problem(bad) == nil {
			t.Errorf("%q passes", c[1])
		}
	}
}
