package kmm

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kmodseal/kmodseal/pkg/fault"
)

// What bounds a file of resources: the API server takes 1.5 MiB for one object,
// and a list of every Module of a cluster is far below.
const (
	maxInput   = 16 << 20
	maxModules = 10_000 // of a List, whose items may be aliases of one
)

// Load reads every Module and ManagedClusterModule of a multi-document YAML or
// JSON stream, also inside a List as kubectl prints it, and passes over other kinds.
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
	b, err := io.ReadAll(io.LimitReader(r, maxInput+1))
	if err != nil {
		return nil, fault.New(fault.Input, "read %s: %w", name, err)
	}
	if len(b) > maxInput {
		return nil, fault.New(fault.Input, "read %s: more than %d MiB", name, maxInput>>20)
	}
	nodes, err := documents(b)
	if err != nil {
		return nil, fault.New(fault.Input, "read %s: %w", name, err)
	}
	var found []Module
	for i := range nodes {
		ms, err := fromNode(&nodes[i], name, true)
		if err != nil {
			return nil, err
		}
		found = append(found, ms...)
	}
	return found, nil
}

// documents parses a stream. JSON values follow each other without the "---"
// that YAML has between documents, so they are told apart first.
func documents(b []byte) ([]yaml.Node, error) {
	if all, ok := values(b); ok {
		return all, nil
	}
	return parseYAML(b)
}

func parseYAML(b []byte) ([]yaml.Node, error) {
	var all []yaml.Node
	for d := yaml.NewDecoder(bytes.NewReader(b)); ; {
		var n yaml.Node
		err := d.Decode(&n)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		all = append(all, n)
	}
}

// values parses a stream of JSON values; false: it is none.
func values(b []byte) ([]yaml.Node, bool) {
	b = bytes.TrimPrefix(b, []byte("\ufeff"))
	var all []yaml.Node
	line, from := 0, 0
	for d := json.NewDecoder(bytes.NewReader(b)); ; {
		var v json.RawMessage
		err := d.Decode(&v)
		if errors.Is(err, io.EOF) {
			return all, len(all) > 0
		}
		if err != nil {
			return nil, false
		}
		start := int(d.InputOffset()) - len(v)
		line += bytes.Count(b[from:start], []byte("\n"))
		from = start
		ns, err := parseYAML(v)
		if err != nil {
			return nil, false
		}
		for i := range ns {
			shift(&ns[i], line)
		}
		all = append(all, ns...)
	}
}

// shift moves n down by some lines.
func shift(n *yaml.Node, lines int) {
	n.Line += lines
	for _, c := range n.Content {
		shift(c, lines)
	}
}

// fromNode gives the Modules of a document: one, those of a List where there
// may be one, or none.
func fromNode(n *yaml.Node, file string, list bool) ([]Module, error) {
	if n.Kind == yaml.DocumentNode && len(n.Content) == 1 {
		n = n.Content[0]
	}
	n = target(n)
	version, kind := scalar(n, "apiVersion"), scalar(n, "kind")
	if items := field(n, "items"); list && items != nil && items.Kind == yaml.SequenceNode && strings.HasSuffix(kind, "List") {
		return fromList(items, file)
	}
	group, _, _ := strings.Cut(version, "/")
	if kind != "Module" && kind != managed || group != "kmm.sigs.x-k8s.io" && group != "hub.kmm.sigs.x-k8s.io" {
		return nil, nil
	}
	m, err := one(n, file, kind)
	if err != nil {
		return nil, err
	}
	return []Module{*m}, nil
}

func fromList(items *yaml.Node, file string) ([]Module, error) {
	var all []Module
	for _, item := range items.Content {
		ms, err := fromNode(item, file, false)
		if err != nil {
			return nil, err
		}
		if all = append(all, ms...); len(all) > maxModules {
			return nil, fault.New(fault.Input, "%s, line %d: more than %d Modules in a list", file, items.Line, maxModules)
		}
	}
	return all, nil
}

// target is what an alias stands for.
func target(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// field is the value of a key of a mapping; nil: there is none. Of a key that is
// there twice it is the first: decoding refuses such a document later on.
func field(n *yaml.Node, key string) *yaml.Node {
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return target(n.Content[i+1])
		}
	}
	return nil
}

func scalar(n *yaml.Node, key string) string {
	if v := field(n, key); v != nil && v.Kind == yaml.ScalarNode {
		return v.Value
	}
	return ""
}

// managed is the kind of a hub's resource, which holds the spec of a Module.
const managed = "ManagedClusterModule"

func one(n *yaml.Node, file, kind string) (*Module, error) {
	var d document
	if err := n.Decode(&d); err != nil {
		return nil, fault.New(fault.Input, "%s: %s at line %d: %w", file, kind, n.Line, plain(err))
	}
	m := &Module{Name: d.Metadata.Name, Namespace: d.Metadata.Namespace, File: file, Line: n.Line, hub: kind == managed}
	spec := d.Spec.moduleSpec
	if m.hub {
		spec, m.Namespace = d.Spec.ModuleSpec, d.Spec.SpokeNamespace
	}
	m.RepoSecret = spec.RepoSecret.Name.string
	if spec.ModuleLoader == nil {
		return m, nil // a device plugin alone: nothing to load, so nothing to sign
	}
	m.Container = spec.ModuleLoader.Container
	m.spelling(n)
	return m, m.check()
}

// plain puts the decoder's list of mistakes on one line, without the names of Go's types.
func plain(err error) error {
	var all *yaml.TypeError
	if !errors.As(err, &all) {
		return err
	}
	text := strings.Join(all.Errors, "; ")
	return errors.New(strings.NewReplacer("[]kmm.text", "a list", "kmm.", "").Replace(text))
}

// spelling notes the fields that KMM does not have where a misspelt one would
// change the job.
func (m *Module) spelling(n *yaml.Node) {
	for _, path := range [][]string{{"spec", "moduleLoader", "container"}, {"spec", "moduleSpec", "moduleLoader", "container"}} {
		c := n
		for _, p := range path {
			if c = field(c, p); c == nil {
				break
			}
		}
		if c == nil {
			continue
		}
		m.fields(c, "kernelMappings", "containerImage", "imagePullPolicy", "build", "sign", "registryTLS", "modprobe", "version",
			"inTreeModulesToRemove", "inTreeModuleToRemove")
		m.fields(field(c, "modprobe"), "moduleName", "parameters", "dirName", "args", "rawArgs", "firmwarePath", "modulesLoadingOrder")
		m.fields(field(c, "registryTLS"), "insecure", "insecureSkipTLSVerify")
		mappings := field(c, "kernelMappings")
		for i := 0; mappings != nil && i < len(mappings.Content); i++ {
			mp := target(mappings.Content[i])
			m.fields(mp, "literal", "regexp", "containerImage", "build", "sign", "registryTLS", "inTreeModulesToRemove", "inTreeModuleToRemove")
			m.fields(field(mp, "registryTLS"), "insecure", "insecureSkipTLSVerify")
		}
	}
}

func (m *Module) fields(n *yaml.Node, names ...string) {
	for _, k := range unknown(n, names...) {
		m.note(k.Line, "KMM has no field %q here", k.Value)
	}
}

// unknown gives the keys of a mapping that are not among names, also those that
// merge keys (<<) bring.
func unknown(n *yaml.Node, names ...string) []*yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	var found []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], target(n.Content[i+1])
		switch {
		case k.Tag != "!!merge" && !slices.Contains(names, k.Value):
			found = append(found, k)
		case k.Tag == "!!merge" && v.Kind == yaml.SequenceNode:
			for _, each := range v.Content {
				found = append(found, unknown(flat(target(each)), names...)...)
			}
		case k.Tag == "!!merge":
			found = append(found, unknown(flat(v), names...)...)
		}
	}
	return found
}

// flat is n without merge keys of its own, which might lead back to n.
func flat(n *yaml.Node) *yaml.Node {
	if n.Kind != yaml.MappingNode {
		return nil
	}
	out := &yaml.Node{Kind: n.Kind, Line: n.Line}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Tag != "!!merge" {
			out.Content = append(out.Content, n.Content[i], n.Content[i+1])
		}
	}
	return out
}
