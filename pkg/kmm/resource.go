package kmm

import (
	"fmt"
	"regexp"

	"go.yaml.in/yaml/v3"
)

// Module is the part of a KMM Module, or of the moduleSpec of a
// ManagedClusterModule, that says what gets signed
// (KMM: api/v1beta1/module_types.go).
type Module struct {
	Name, Namespace string
	Container       Container
	RepoSecret      string // spec.imageRepoSecret: pulls the source and pushes the result
	File            string // where the document is
	Line            int    // of the document in File; 0: there is none, see Template
	hub             bool   // a ManagedClusterModule
	notes           []string
}

// Container is spec.moduleLoader.container.
type Container struct {
	Image    text      `yaml:"containerImage"`
	TLS      *TLS      `yaml:"registryTLS"`
	Sign     *Sign     `yaml:"sign"`
	Build    *struct{} `yaml:"build"`
	Modprobe Modprobe  `yaml:"modprobe"`
	Mappings []Mapping `yaml:"kernelMappings"`
	inTree   `yaml:",inline"`
}

// inTree are the modules that KMM removes before it loads its own; they are
// not of the image, so that no job depends on them.
type inTree struct {
	InTree    []string `yaml:"inTreeModulesToRemove"`
	InTreeOne text     `yaml:"inTreeModuleToRemove"` // deprecated form
}

// Mapping is one entry of kernelMappings; the first that matches counts.
type Mapping struct {
	Literal text      `yaml:"literal"`
	Regexp  text      `yaml:"regexp"`
	Image   text      `yaml:"containerImage"`
	TLS     *TLS      `yaml:"registryTLS"`
	Sign    *Sign     `yaml:"sign"`
	Build   *struct{} `yaml:"build"`
	inTree  `yaml:",inline"`
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
	line         int
}

// rawArgs stands in for moduleName; which module it loads cannot be told.
type rawArgs struct {
	Load   []string `yaml:"load"`
	Unload []string `yaml:"unload"`
}

type secret struct {
	Name text `yaml:"name"`
}

// text is a scalar that knows its line.
type text struct {
	string
	line int
}

// UnmarshalYAML refuses what the API server would: a number is no text, and 5.10 would have become 5.1.
func (t *text) UnmarshalYAML(n *yaml.Node) error {
	switch t.line = n.Line; n.ShortTag() {
	case "!!int", "!!float", "!!bool":
		return fmt.Errorf("line %d: %s is no text: put it in quotes", n.Line, n.Value)
	}
	return n.Decode(&t.string)
}

// UnmarshalYAML refuses fields that a sign section does not have: a misspelt
// filesToSign would otherwise sign something else than was meant.
func (s *Sign) UnmarshalYAML(n *yaml.Node) error {
	if bad := unknown(n, "unsignedImage", "unsignedImageRegistryTLS", "keySecret", "certSecret", "filesToSign"); len(bad) > 0 {
		return fmt.Errorf("line %d: a sign section has no field %q", bad[0].Line, bad[0].Value)
	}
	type bare Sign
	s.line = n.Line
	return n.Decode((*bare)(s))
}

// UnmarshalYAML notes the line.
func (p *Modprobe) UnmarshalYAML(n *yaml.Node) error {
	type bare Modprobe
	p.line = n.Line
	return n.Decode((*bare)(p))
}

// UnmarshalYAML notes the line.
func (m *Mapping) UnmarshalYAML(n *yaml.Node) error {
	type bare Mapping
	m.line = n.Line
	return n.Decode((*bare)(m))
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
