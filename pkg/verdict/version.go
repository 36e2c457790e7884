package verdict

import (
	"strconv"
	"strings"
)

// version is the first two numbers of a kernel release; the zero value is an
// unknown one.
type version struct{ major, minor int }

// assumed stands for a kernel of which no version is known.
func assumed() version { return version{6, 12} }

// parseVersion reads "6.12.117+deb12-amd64"; the zero version where that fails.
func parseVersion(release string) version {
	major, rest, ok := strings.Cut(release, ".")
	end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if end >= 0 {
		rest = rest[:end]
	}
	a, errA := strconv.Atoi(major)
	b, errB := strconv.Atoi(rest)
	if !ok || errA != nil || errB != nil || a < 0 {
		return version{}
	}
	return version{a, b}
}

func (v version) known() bool { return v != version{} }

func (v version) before(o version) bool {
	return v.major < o.major || v.major == o.major && v.minor < o.minor
}
