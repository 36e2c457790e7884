package repack

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/kmodseal/kmodseal/pkg/fault"
)

// note is an annotation. One that the image may have from its own build is left
// as it is there.
type note struct {
	key, value string
	keep       bool
}

const brokenImage = "the source is not as the image-spec wants it: build or copy it again"

// rebuild is src with some layers replaced by index, and possibly one more on
// top (nil: none). Everything else in manifest and configuration stays.
func rebuild(src v1.Image, swap map[int]*layer, top *layer, notes []note) (*image, error) {
	i := &image{}
	var err error
	if i.layers, err = src.Layers(); err != nil {
		return nil, err
	}
	if i.media, err = src.MediaType(); err != nil {
		return nil, err
	}
	config, err := src.RawConfigFile()
	if err != nil {
		return nil, err
	}
	manifest, err := src.RawManifest()
	if err != nil {
		return nil, err
	}
	if i.config, err = editConfig(config, len(i.layers), swap, top); err != nil {
		return nil, fault.New(fault.Input, "edit image configuration: %w", err).Hint(brokenImage)
	}
	if i.manifest, err = editManifest(manifest, i.config, swap, top, notes); err != nil {
		return nil, fault.New(fault.Input, "edit manifest: %w", err).Hint(brokenImage)
	}
	i.layers = append([]v1.Layer{}, i.layers...)
	for n, l := range swap {
		i.layers[n] = l
	}
	if top != nil {
		i.layers = append(i.layers, top)
	}
	return i, nil
}

// editConfig replaces and adds diff ids, and a history entry for top where the
// history is one that tells of every layer (OCI image-spec config.md).
func editConfig(raw []byte, layers int, swap map[int]*layer, top *layer) ([]byte, error) {
	c, err := parseObject(raw, "rootfs", "history", "created")
	if err != nil {
		return nil, err
	}
	rootfs, err := parseObject(c.get("rootfs"), "diff_ids")
	if err != nil {
		return nil, fmt.Errorf("rootfs: %w", err)
	}
	ids, err := array(rootfs.get("diff_ids"))
	if err != nil || len(ids) != layers {
		return nil, fmt.Errorf("%d diff_ids for %d layers", len(ids), layers)
	}
	for n, l := range swap {
		ids[n] = encode(l.diffID.String())
	}
	if top != nil {
		ids = append(ids, encode(top.diffID.String()))
		if err := addHistory(&c, layers); err != nil {
			return nil, fmt.Errorf("history: %w", err)
		}
	}
	rootfs.set("diff_ids", list(ids))
	c.set("rootfs", rootfs.raw())
	return c.raw(), nil
}

// addHistory tells of one more layer. Its time is the image's own: the clock
// would give another digest every time.
func addHistory(c *object, layers int) error {
	entries, err := array(c.get("history"))
	if err != nil {
		return err
	}
	for _, e := range entries {
		var h struct {
			Empty bool `json:"empty_layer"`
		}
		if err := json.Unmarshal(e, &h); err != nil {
			return err
		}
		if !h.Empty {
			layers--
		}
	}
	if len(entries) == 0 || layers != 0 {
		return nil
	}
	var h object
	if created := c.get("created"); created != nil {
		h.set("created", created)
	}
	h.set("created_by", "kmodseal repack-image")
	h.set("comment", "signed kernel modules")
	c.set("history", list(append(entries, h.raw())))
	return nil
}

// editManifest points manifest to config and to the new layers, and annotates it.
func editManifest(raw, config []byte, swap map[int]*layer, top *layer, notes []note) ([]byte, error) {
	m, err := parseObject(raw, "config", "layers", "annotations")
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(config)
	desc, err := repoint(m.get("config"), "sha256:"+hex.EncodeToString(sum[:]), int64(len(config)))
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	m.set("config", desc)
	layers, err := array(m.get("layers"))
	if err != nil {
		return nil, fmt.Errorf("layers: %w", err)
	}
	for n, l := range swap {
		if layers[n], err = repoint(layers[n], l.digest.String(), l.size); err != nil {
			return nil, fmt.Errorf("layer %d: %w", n, err)
		}
	}
	if top != nil {
		layers = append(layers, encode(v1.Descriptor{MediaType: top.media, Size: top.size, Digest: top.digest}))
	}
	m.set("layers", list(layers))
	if err := annotate(&m, notes); err != nil {
		return nil, err
	}
	return m.raw(), nil
}

// repoint lets a descriptor name another blob of the same kind. What it says of
// the old one's bytes goes: an inline copy, foreign places, and the indexes of
// the lazy pulling formats (eStargz, zstd:chunked).
func repoint(raw json.RawMessage, digest string, size int64) (json.RawMessage, error) {
	d, err := parseObject(raw, "digest", "size", "data", "urls", "annotations")
	if err != nil {
		return nil, err
	}
	d.set("digest", digest)
	d.set("size", size)
	d.remove("data", "urls")
	if old := d.get("annotations"); old != nil {
		a, err := parseObject(old)
		if err != nil {
			return nil, fmt.Errorf("annotations: %w", err)
		}
		for _, m := range append(object{}, a...) {
			if ofBytes(m.key) {
				a.remove(m.key)
			}
		}
		d.set("annotations", a.raw())
		if len(a) == 0 {
			d.remove("annotations")
		}
	}
	return d.raw(), nil
}

func ofBytes(annotation string) bool {
	for _, p := range []string{"containerd.io/snapshot/stargz/", "io.containers.estargz.", "io.github.containers.zstd-chunked."} {
		if strings.HasPrefix(annotation, p) {
			return true
		}
	}
	return false
}

func annotate(m *object, notes []note) error {
	if len(notes) == 0 {
		return nil
	}
	a := object{}
	if old := m.get("annotations"); old != nil && string(old) != "null" {
		var err error
		if a, err = parseObject(old); err != nil {
			return fmt.Errorf("annotations: %w", err)
		}
	}
	for _, n := range notes {
		if !n.keep || a.get(n.key) == nil {
			a.set(n.key, n.value)
		}
	}
	m.set("annotations", a.raw())
	return nil
}

// topMedia is the media type of a layer to be added to an image of the given
// kind, next to layers such as below.
func topMedia(manifest, below types.MediaType) types.MediaType {
	zstd := strings.HasSuffix(string(below), "zstd")
	switch {
	case manifest == types.DockerManifestSchema2 && zstd:
		return below
	case manifest == types.DockerManifestSchema2:
		return types.DockerLayer
	case zstd:
		return types.OCILayerZStd
	}
	return types.OCILayer
}
