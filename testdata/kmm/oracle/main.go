// Command oracle says what KMM itself makes of Modules: its webhook and its kernel mapper, called for each
// document of a file and each kernel. It is built inside a checkout of KMM, see ../README.md.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/go-logr/logr"
	kmm "github.com/kubernetes-sigs/kernel-module-management/api/v1beta1"
	"github.com/kubernetes-sigs/kernel-module-management/internal/module"
	"github.com/kubernetes-sigs/kernel-module-management/internal/webhook"
	"sigs.k8s.io/yaml"
)

type row struct {
	Name, Kernel                                    string
	ParseErr, WebhookErr, MapErr                    string          `json:",omitempty"`
	Image, Unsigned, DirName, Key, Cert, RepoSecret string          `json:",omitempty"`
	Files                                           []string        `json:",omitempty"`
	Build, Sign                                     bool            `json:",omitempty"`
	TLS, UnsignedTLS                                *kmm.TLSOptions `json:",omitempty"`
}

// document is a Module, or a ManagedClusterModule as far as signing goes.
type document struct {
	Kind     string
	Metadata struct{ Name string }
	Spec     struct {
		SpokeNamespace string
		ModuleSpec     kmm.ModuleSpec
	}
}

func main() {
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		panic(err)
	}
	sep := "["
	for _, doc := range bytes.Split(text, []byte("\n---\n")) {
		for _, kernel := range os.Args[2:] {
			line, err := json.Marshal(ask(doc, kernel))
			if err != nil {
				panic(err)
			}
			fmt.Printf("%s\n%s", sep, line)
			sep = ","
		}
	}
	fmt.Println("\n]")
}

func ask(doc []byte, kernel string) row {
	r := row{Kernel: kernel}
	var d document
	var m kmm.Module
	parseErr := yaml.UnmarshalStrict(doc, &m)
	if err := yaml.Unmarshal(doc, &d); err != nil {
		panic(err)
	}
	if d.Kind == "ManagedClusterModule" {
		m, parseErr = kmm.Module{Spec: d.Spec.ModuleSpec}, nil
		m.Name, m.Namespace = d.Metadata.Name, d.Spec.SpokeNamespace
	}
	if r.Name = d.Metadata.Name; parseErr != nil {
		r.ParseErr = parseErr.Error()
		return r
	}
	c := &m.Spec.ModuleLoader.Container
	if c.Modprobe.DirName == "" && !bytes.Contains(doc, []byte("dirName:")) {
		c.Modprobe.DirName = "/opt" // as the CRD does
	}
	if _, err := webhook.NewModuleValidator(logr.Discard(), nil).ValidateCreate(context.Background(), &m); err != nil {
		r.WebhookErr = err.Error()
	}
	mld, err := module.NewKernelMapper(module.NewBuildArgOverrider()).GetModuleLoaderDataForKernel(&m, kernel)
	if err != nil {
		r.MapErr = err.Error()
		return r
	}
	r.Image, r.DirName, r.TLS = mld.ContainerImage, mld.Modprobe.DirName, mld.RegistryTLS
	r.Build, r.Sign = module.ShouldBeBuilt(mld), mld.Sign != nil
	if mld.ImageRepoSecret != nil {
		r.RepoSecret = mld.ImageRepoSecret.Name
	}
	if s := mld.Sign; s != nil {
		r.Unsigned, r.Files, r.UnsignedTLS = s.UnsignedImage, s.FilesToSign, &s.UnsignedImageRegistryTLS
		if s.KeySecret != nil {
			r.Key = s.KeySecret.Name
		}
		if s.CertSecret != nil {
			r.Cert = s.CertSecret.Name
		}
		if !r.Build && s.UnsignedImage == "" {
			r.MapErr = "no image to sign given" // as internal/buildsign/resource has it
		}
	}
	return r
}
