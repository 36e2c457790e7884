package step

import (
	"regexp"
	"runtime/debug"
)

var version string //nolint:gochecknoglobals // set by the linker: -X

// Version is what the linker was given, else the module's version or the
// commit that the Go tool noted, else "dev".
func Version() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "dev"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return "dev-" + s.Value[:min(12, len(s.Value))]
		}
	}
	return "dev"
}

// Release is Version if it is vX.Y.Z, else the one given.
func Release(otherwise string) string {
	if v := Version(); regexp.MustCompile(`^v\d+\.\d+\.\d+$`).MatchString(v) {
		return v
	}
	return otherwise
}
