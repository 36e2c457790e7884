package imagefs

import (
	"fmt"
	"path"
	"strings"
)

// maxName bounds a path and a link target, in bytes: Linux's PATH_MAX.
const maxName = 4096

// mendBuild is what to do about a name or link that no image should have.
const mendBuild = "no build makes this by itself: look at how the image was made, and rename or remove it there"

// clean normalises a tar name as runtimes do: leading ./ and / go, the root
// itself is ".". A name that climbs out of the root is refused.
func clean(name string) (string, error) {
	if len(name) > maxName {
		return "", fmt.Errorf("name of %d bytes is too long", len(name))
	}
	if strings.IndexByte(name, 0) >= 0 {
		return "", fmt.Errorf("name %q has a zero byte", name)
	}
	p := path.Clean("./" + strings.TrimLeft(name, "/"))
	if p == ".." || strings.HasPrefix(p, "../") {
		return "", fmt.Errorf("name %q leaves the root", name)
	}
	return p, nil
}
