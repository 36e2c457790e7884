package plankmods

import (
	"io"
	"os"
	"path/filepath"

	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/kmm"
)

// load reads a file, or every YAML or JSON file directly in a folder, such as one that a
// ConfigMap is mounted to. No Module in all of them is a fault of class Input.
func load(path string) ([]kmm.Module, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fault.New(fault.Input, "open module: %w", err)
	}
	if !info.IsDir() {
		return loadFile(path, kmm.Load)
	}
	var all []kmm.Module
	for _, pattern := range []string{"*.yaml", "*.yml", "*.json"} {
		files, err := filepath.Glob(filepath.Join(path, pattern))
		if err != nil {
			return nil, fault.New(fault.Input, "open module: %w", err)
		}
		for _, f := range files {
			ms, err := loadFile(f, kmm.LoadAny)
			if err != nil {
				return nil, err
			}
			all = append(all, ms...)
		}
	}
	if len(all) == 0 {
		return nil, fault.New(fault.Input, "%s: no Module or ManagedClusterModule in its YAML and JSON files", path).
			Hint("name the file or folder with the kmm.sigs.x-k8s.io/v1beta1 resource")
	}
	return all, nil
}

func loadFile(path string, read func(io.Reader, string) ([]kmm.Module, error)) ([]kmm.Module, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fault.New(fault.Input, "open module: %w", err)
	}
	defer f.Close() //nolint:errcheck // only read from
	return read(f, path)
}
