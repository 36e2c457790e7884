package source

import (
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kmodseal/kmodseal/pkg/fault"
)

// Kind is the transport before the colon.
type Kind string

// The transports, spelt as skopeo spells them.
const (
	Docker        Kind = "docker"
	OCI           Kind = "oci"
	OCIArchive    Kind = "oci-archive"
	DockerArchive Kind = "docker-archive"
	Dir           Kind = "dir"
)

// Ref is a parsed SRC or DST.
type Ref struct {
	Kind Kind
	Name string // registry reference as given, or a path
	// Tag picks one image of a layout or an archive: the ref.name annotation of
	// oci and oci-archive or sha256:<hex> for a digest, the REF of a docker-archive.
	Tag string
}

const transports = "REF or docker://REF, oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:REF], dir:PATH"

// Parse reads REF, docker://REF, oci:DIR[:TAG], oci-archive:FILE[:TAG],
// docker-archive:FILE[:REF] or dir:PATH. DIR and FILE hold no colon and, in
// place of :TAG, take @sha256:HEX. A name without transport that is also a file
// or folder is refused. Faults are of class Usage.
func Parse(s string) (Ref, error) {
	if strings.TrimSpace(s) == "" {
		return Ref{}, fault.New(fault.Usage, "empty image name").Hint("write %s", transports)
	}
	if strings.ContainsFunc(s, unicode.IsControl) {
		return Ref{}, fault.New(fault.Usage, "image name %q holds control characters", s)
	}
	prefix, rest, found := strings.Cut(s, ":")
	if found {
		switch Kind(prefix) {
		case Docker:
			if after, ok := strings.CutPrefix(rest, "//"); ok {
				return parseRegistry(after)
			}
			return Ref{}, fault.New(fault.Usage, "image name %q: docker: wants two slashes", s).
				Hint("write docker://%s", rest)
		case OCI, OCIArchive, DockerArchive, Dir:
			return parsePath(Kind(prefix), rest)
		}
	}
	if err := refuseForeign(s, prefix, rest, found); err != nil {
		return Ref{}, err
	}
	return parseRegistry(s)
}

// refuseForeign stops what is no registry reference but would be read as one,
// or end in a puzzling message.
func refuseForeign(s, prefix, rest string, found bool) error {
	if found && (strings.HasPrefix(rest, "//") || foreign(prefix)) {
		return fault.New(fault.Usage, "unknown transport %q in %q", prefix, s).Hint("write %s", transports)
	}
	info, err := os.Stat(s)
	exists := err == nil
	switch {
	case exists && info.IsDir():
		return fault.New(fault.Usage, "%q is a folder, not an image reference", s).
			Hint("write dir:%s for a folder tree, oci:%s for an OCI layout, docker://%s for an image of that name", s, s, s)
	case exists:
		return fault.New(fault.Usage, "%q is a file, not an image reference", s).
			Hint("write docker-archive:%s or oci-archive:%s for an archive, docker://%s for an image of that name", s, s, s)
	case strings.HasPrefix(s, "/"), strings.HasPrefix(s, "./"), strings.HasPrefix(s, "../"), strings.HasPrefix(s, "~"):
		return fault.New(fault.Usage, "%q is a path that does not exist, not an image reference", s).Hint("write %s", transports)
	}
	return nil
}

// foreign names transports of skopeo and podman, and slips, that are not ours.
func foreign(prefix string) bool {
	switch prefix {
	case "atomic", "containers-storage", "docker-daemon", "docker-tar", "file", "http", "https",
		"oci-dir", "oci-layout", "ostree", "sif", "tar", "tarball":
		return true
	}
	return false
}

func parseRegistry(s string) (Ref, error) {
	if _, err := name.ParseReference(s); err != nil {
		return Ref{}, fault.New(fault.Usage, "image reference %q: %w", s, err).Hint("write %s", transports)
	}
	return Ref{Kind: Docker, Name: s}, nil
}

func parsePath(k Kind, rest string) (Ref, error) {
	path, tag := rest, ""
	if k != Dir {
		var err error
		if path, tag, err = cutTag(k, rest); err != nil {
			return Ref{}, err
		}
	}
	if path == "" {
		return Ref{}, fault.New(fault.Usage, "image name \"%s:%s\" lacks a path", k, rest).Hint("write %s", transports)
	}
	if after, ok := strings.CutPrefix(path, "//"); ok {
		return Ref{}, fault.New(fault.Usage, "image name \"%s:%s\": only docker: takes slashes", k, rest).Hint("write %s:%s", k, after)
	}
	return Ref{Kind: k, Name: filepath.Clean(path), Tag: tag}, nil
}

// cutTag splits PATH[:TAG] at the first colon, as skopeo does, or PATH@DIGEST.
func cutTag(k Kind, rest string) (path, tag string, err error) {
	if p, hex, ok := strings.Cut(rest, "@sha256:"); ok && !strings.Contains(p, ":") {
		h, err := v1.NewHash("sha256:" + hex)
		if err != nil || k == DockerArchive {
			return "", "", fault.New(fault.Usage, "image name \"%s:%s\": bad digest", k, rest)
		}
		return p, h.String(), nil
	}
	path, tag, found := strings.Cut(rest, ":")
	if !found {
		return path, "", nil
	}
	if tag == "" {
		return "", "", fault.New(fault.Usage, "image name \"%s:%s\": nothing after the last colon", k, rest).Hint("leave the colon out, or add a tag")
	}
	if _, err := v1.NewHash(tag); err == nil {
		return "", "", fault.New(fault.Usage, "image name \"%s:%s\": a digest is no tag", k, rest).Hint("write %s:%s@%s", k, path, tag)
	}
	if k == DockerArchive {
		if _, err := name.NewTag(tag); err != nil {
			return "", "", fault.New(fault.Usage, "image name \"%s:%s\": %w", k, rest, err).Hint("write docker-archive:FILE:NAME:TAG")
		}
	}
	return path, tag, nil
}

// String is r in the form that Parse reads.
func (r Ref) String() string {
	if r.Kind == Docker {
		return "docker://" + r.Name
	}
	return string(r.Kind) + ":" + r.Name + r.suffix()
}

func (r Ref) suffix() string {
	switch {
	case r.Tag == "":
		return ""
	case r.byDigest():
		return "@" + r.Tag
	}
	return ":" + r.Tag
}

// byDigest says whether Tag is a digest; cutTag lets none in as a tag.
func (r Ref) byDigest() bool { return r.Kind != DockerArchive && strings.HasPrefix(r.Tag, "sha256:") }
