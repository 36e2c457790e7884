package source

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
)

// Same says whether writing dst replaces what src names: the same tag of the
// same repository, the same tag of the same layout, the same archive file. A
// source by digest alone is replaced by nothing.
func Same(src, dst Ref) bool {
	if src.Kind != dst.Kind {
		return false
	}
	switch src.Kind {
	case Docker:
		a, okA := fullTag(src.Name)
		b, okB := fullTag(dst.Name)
		return okA && okB && a == b
	case OCI:
		return sameFile(src.Name, dst.Name) && sameTag(src, dst)
	case OCIArchive, DockerArchive:
		return sameFile(src.Name, dst.Name)
	}
	return false
}

// fullTag gives NAME:TAG of NAME:TAG@DIGEST, too.
func fullTag(s string) (string, bool) {
	s, _, byDigest := strings.Cut(s, "@")
	tag, err := name.NewTag(s)
	if err != nil || byDigest && !strings.HasSuffix(s, ":"+tag.TagStr()) {
		return "", false
	}
	return tag.Name(), true
}

func sameFile(a, b string) bool {
	ai, aerr := os.Stat(a)
	bi, berr := os.Stat(b)
	if aerr == nil && berr == nil {
		return os.SameFile(ai, bi)
	}
	aa, aerr := filepath.Abs(a)
	ba, berr := filepath.Abs(b)
	return aerr == nil && berr == nil && aa == ba
}

// sameTag: a source without tag is the only image of its layout, whatever tag
// that one has.
func sameTag(src, dst Ref) bool {
	if src.Tag != "" || dst.Tag == "" {
		return src.Tag == dst.Tag
	}
	root, err := os.OpenRoot(src.Name)
	if err != nil {
		return false
	}
	defer root.Close()
	index, err := layoutIndex(root)
	return err == nil && place(index, dst.Tag) >= 0
}
