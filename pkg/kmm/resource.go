package kmm

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kmodseal/kmodseal/pkg/fault"
)

// Module is the part of a KMM Module, or of the moduleSpec of a
// ManagedClusterModule, that says what gets signed
// (KMM: api/v1beta1/module_types.go).
type Module struct {
	Name, Namespace string
	Container       Container
	RepoSecret      string // spec.imageRepoSecret: pulls the source and pushes the result
	Line            int    // of the document in its file
}

// Container is spec.moduleLoader.container.
type Container struct {
	Image    text      `yaml:"containerImage"`
	TLS      *TLS      `yaml:"registryTLS"`
	Sign     *Sign     `yaml:"sign"`
	Build    *struct{} `yaml:"build"`
	Modprobe Modprobe  `yaml:"modprobe"`
	Mappings []Mapping `yaml:"kernelMappings"`
}

// Mapping is one entry of kernelMappings; the first that matches counts.
type Mapping struct {
	Literal text      `yaml:"literal"`
	Regexp  text      `yaml:"regexp"`
	Image   text      `yaml:"containerImage"`
	TLS     *TLS      `yaml:"registryTLS"`
	Sign    *Sign     `yaml:"sign"`
	Build   *struct{} `yaml:"build"`
	line    int
	re      *regexp.Regexp // of Regexp; nil for a literal
}

// TLS says how to talk to a registry.
type TLS struct {
	Insecure   bool `yaml:"insecure" json:"insecure,omitempty"`                           // plain HTTP
	SkipVerify bool `yaml:"insecureSkipTLSVerify" json:"insecureSkipTLSVerify,omitempty"` // any certificate
}

// Sign is a sign section.
type Sign struct {
	UnsignedImage text   `yaml:"unsignedImage"`
	UnsignedTLS   *TLS   `yaml:"unsignedImageRegistryTLS"`
	KeySecret     secret `yaml:"keySecret"`
	CertSecret    secret `yaml:"certSecret"`
	Files         []text `yaml:"filesToSign"`
	line          int
}

// Modprobe is what KMM will load on the node.
type Modprobe struct {
	ModuleName   text     `yaml:"moduleName"`
	DirName      text     `yaml:"dirName"`
	FirmwarePath text     `yaml:"firmwarePath"`
	Order        []text   `yaml:"modulesLoadingOrder"`
	RawArgs      *rawArgs `yaml:"rawArgs"`
}

// rawArgs stands in for moduleName; which module it loads cannot be told.
type rawArgs struct {
	Load []string `yaml:"load"`
}

type secret struct {
	Name text `yaml:"name"`
}

// text is a scalar that knows its line.
type text struct {
	string
	line int
}

func (t *text) UnmarshalYAML(n *yaml.Node) error {
	t.line = n.Line
	return n.Decode(&t.string)
}

// UnmarshalYAML refuses fields that a sign section does not have: a misspelt
// filesToSign would otherwise sign something else than was meant.
func (s *Sign) UnmarshalYAML(n *yaml.Node) error {
	known := []string{"unsignedImage", "unsignedImageRegistryTLS", "keySecret", "certSecret", "filesToSign"}
	for i := 0; n.Kind == yaml.MappingNode && i < len(n.Content); i += 2 {
		if k := n.Content[i]; !slices.Contains(known, k.Value) {
			return fmt.Errorf("line %d: a sign section has no field %q", k.Line, k.Value)
		}
	}
	type plain Sign
	s.line = n.Line
	return n.Decode((*plain)(s))
}

// UnmarshalYAML notes the line.
func (m *Mapping) UnmarshalYAML(n *yaml.Node) error {
	type plain Mapping
	m.line = n.Line
	return n.Decode((*plain)(m))
}

// document is any Kubernetes object; Module and ManagedClusterModule are read further.
type document struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string `yaml:"kind"`
	Metadata   struct {
		Name      string `yaml:"name"`
		Namespace string `yaml:"namespace"`
	} `yaml:"metadata"`
	Spec struct {
		moduleSpec     `yaml:",inline"`
		ModuleSpec     moduleSpec `yaml:"moduleSpec"`     // ManagedClusterModule
		SpokeNamespace string     `yaml:"spokeNamespace"` // ManagedClusterModule
	} `yaml:"spec"`
}

type moduleSpec struct {
	ModuleLoader *struct {
		Container Container `yaml:"container"`
	} `yaml:"moduleLoader"`
	RepoSecret secret `yaml:"imageRepoSecret"`
}

// Load reads every Module and ManagedClusterModule of a multi-document YAML
// stream, also inside a List as kubectl prints it, and passes over other kinds.
// No such document is a fault of class Input; name is for messages.
func Load(r io.Reader, name string) ([]Module, error) {
	found, err := LoadAny(r, name)
	if err == nil && len(found) == 0 {
		return nil, fault.New(fault.Input, "read %s: no Module or ManagedClusterModule in it", name).
			Hint("name the file with the kmm.sigs.x-k8s.io/v1beta1 resource")
	}
	return found, err
}

// LoadAny is Load that is content with none.
func LoadAny(r io.Reader, name string) ([]Module, error) {
	d := yaml.NewDecoder(r)
	var found []Module
	for {
		var n yaml.Node
		err := d.Decode(&n)
		if errors.Is(err, io.EOF) {
			return found, nil
		}
		if err != nil {
			return nil, fault.New(fault.Input, "read %s: %w", name, err)
		}
		ms, err := fromNode(&n)
		if err != nil {
			return nil, fault.New(fault.Input, "read %s: %w", name, err)
		}
		found = append(found, ms...)
	}
}

func fromNode(n *yaml.Node) ([]Module, error) {
	var kind struct {
		APIVersion string      `yaml:"apiVersion"`
		Kind       string      `yaml:"kind"`
		Items      []yaml.Node `yaml:"items"`
	}
	if n.Decode(&kind) != nil {
		return nil, nil //nolint:nilerr // not ours, whatever its shape
	}
	if strings.HasSuffix(kind.Kind, "List") {
		var all []Module
		for i := range kind.Items {
			ms, err := fromNode(&kind.Items[i])
			if err != nil {
				return nil, err
			}
			all = append(all, ms...)
		}
		return all, nil
	}
	if !strings.Contains(kind.APIVersion, "kmm.sigs.x-k8s.io/") || kind.Kind != "Module" && kind.Kind != managed {
		return nil, nil
	}
	m, err := one(n, kind.Kind)
	if err != nil {
		return nil, err
	}
	return []Module{*m}, m.compile()
}

// managed is the kind of a hub's resource, which holds the spec of a Module.
const managed = "ManagedClusterModule"

func one(n *yaml.Node, kind string) (*Module, error) {
	var d document
	if err := n.Decode(&d); err != nil {
		return nil, err
	}
	m := &Module{Name: d.Metadata.Name, Namespace: d.Metadata.Namespace, Line: n.Line}
	spec := d.Spec.moduleSpec
	if kind == managed {
		spec, m.Namespace = d.Spec.ModuleSpec, d.Spec.SpokeNamespace
	}
	if spec.ModuleLoader == nil {
		return nil, fmt.Errorf("line %d: %s %q has no moduleLoader, so nothing to sign", n.Line, kind, m.Name)
	}
	m.Container, m.RepoSecret = spec.ModuleLoader.Container, spec.RepoSecret.Name.string
	return m, nil
}
