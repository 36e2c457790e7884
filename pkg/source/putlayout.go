package source

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/progress"
)

// layoutVersion is the content of the file oci-layout (OCI image-spec
// image-layout.md).
const layoutVersion = `{"imageLayoutVersion":"1.0.0"}`

// tempPrefix begins the name of every temporary file.
const tempPrefix = ".kmodseal-"

// layoutTarget is a tag of an OCI layout, or its one image without tag.
type layoutTarget struct {
	ref  Ref
	opts Options
}

// checkLayoutTarget takes a layout, an empty folder, or none yet.
func checkLayoutTarget(r Ref) error {
	info, err := os.Stat(r.Name)
	switch {
	case missingFile(err):
		return checkWritable(r, existingParent(r.Name))
	case err != nil:
		return fault.New(fault.Usage, "destination %s: %w", r, err)
	case !info.IsDir():
		return fault.New(fault.Usage, "destination %s is a file", r).Hint("for an archive write oci-archive:%s", r.Name)
	}
	entries, err := os.ReadDir(r.Name)
	if err != nil {
		return fault.New(fault.Usage, "destination %s: %w", r, err)
	}
	// A parallel job may have just begun, before there is an index.json.
	ours := func(e os.DirEntry) bool {
		return e.Name() == "index.json" || e.Name() == "oci-layout" || strings.HasPrefix(e.Name(), tempPrefix)
	}
	if len(entries) > 0 && !slices.ContainsFunc(entries, ours) {
		return fault.New(fault.Usage, "destination %s is a folder with other content", r).Hint("name a new or empty folder, or an OCI layout")
	}
	return checkWritable(r, r.Name)
}

func existingParent(path string) string {
	for {
		path = filepath.Dir(path)
		if _, err := os.Stat(path); err == nil || path == filepath.Dir(path) {
			return path
		}
	}
}

// checkWritable asks the kernel, which also knows of read-only file systems.
func checkWritable(r Ref, dir string) error {
	if err := unix.Access(dir, unix.W_OK|unix.X_OK); err != nil {
		return fault.New(fault.Usage, "destination %s: folder %s is not writable: %w", r, dir, err)
	}
	return nil
}

func (t *layoutTarget) digest(context.Context) (v1.Hash, bool, error) {
	root, err := os.OpenRoot(t.ref.Name)
	if missingFile(err) {
		return v1.Hash{}, false, nil
	}
	if err != nil {
		return v1.Hash{}, false, fmt.Errorf("read %s: %w", t.ref, err)
	}
	defer root.Close()
	index, err := layoutIndex(root)
	if err != nil {
		return v1.Hash{}, false, fault.New(fault.Input, "read %s: %w", t.ref, err)
	}
	if i := place(index, t.ref.Tag); i >= 0 {
		return index.Manifests[i].Digest, true, nil
	}
	return v1.Hash{}, false, nil
}

// layoutIndex is index.json, or a new one where there is none.
func layoutIndex(root *os.Root) (*v1.IndexManifest, error) {
	index, err := readLayoutIndex(root)
	if missingFile(err) {
		return &v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex}, nil
	}
	return index, err
}

// place is where index lists tag, or, for an empty one, an image without tag.
func place(index *v1.IndexManifest, tag string) int {
	return slices.IndexFunc(index.Manifests, func(d v1.Descriptor) bool { return d.Annotations[refName] == tag })
}

func (t *layoutTarget) put(ctx context.Context, o object) error {
	desc, err := o.descriptor()
	if err != nil {
		return err
	}
	t.opts.warnDocker(t.ref, desc)
	parts, err := o.parts()
	if err != nil {
		return err
	}
	return t.change(func(w *layoutWriter) error {
		m := newMeter(parts, t.opts.Progress)
		if err := w.blobs(ctx, parts, m); err != nil {
			return err
		}
		return w.name(desc, []string{t.ref.Tag})
	})
}

func (t *layoutTarget) tag(_ context.Context, digest v1.Hash, tags []string) error {
	return t.change(func(w *layoutWriter) error {
		index, err := layoutIndex(w.root)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(index.Manifests, func(d v1.Descriptor) bool { return d.Digest == digest })
		if i < 0 {
			return fault.New(fault.Input, "%s does not hold %s", t.ref, digest)
		}
		return w.name(index.Manifests[i], tags)
	})
}

// warnDocker tells of a known gap between tools; a conversion would change the
// digest.
func (o Options) warnDocker(r Ref, d v1.Descriptor) {
	if d.MediaType == types.DockerManifestSchema2 || d.MediaType == types.DockerManifestList {
		o.warn("%s: the image keeps Docker's media types, which some readers of OCI layouts (skopeo 1.9) pass over", r)
	}
}

// change opens the layout, alone among processes of ours, and takes back what
// do wrote if it fails.
func (t *layoutTarget) change(do func(*layoutWriter) error) (err error) {
	w := &layoutWriter{}
	defer func() { w.close(err != nil) }()
	if err := w.open(t.ref.Name); err != nil {
		return fmt.Errorf("write %s: %w", t.ref, err)
	}
	if err := do(w); err != nil {
		return fmt.Errorf("write %s: %w", t.ref, err)
	}
	return nil
}

// layoutWriter adds to a layout and knows what it added.
type layoutWriter struct {
	root *os.Root
	lock *os.File
	dirs []string // made by us, outermost first

	mu   sync.Mutex
	made []string // files and folders below root, in the order they were made
}

func (w *layoutWriter) open(dir string) error {
	if err := w.mkdirs(filepath.Clean(dir)); err != nil {
		return err
	}
	var err error
	if w.root, err = os.OpenRoot(dir); err != nil {
		return err
	}
	if w.lock, err = os.Open(dir); err != nil {
		return err
	}
	// Jobs of a matrix may write their tags to one layout at the same time.
	if err := unix.Flock(int(w.lock.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	if _, err := w.root.Stat("oci-layout"); err != nil {
		if err := w.file("oci-layout", func(f io.Writer) error { return writeString(f, layoutVersion) }); err != nil {
			return err
		}
	}
	for _, sub := range []string{"blobs", "blobs/sha256"} {
		switch err := w.root.Mkdir(sub, 0o755); {
		case err == nil:
			w.made = append(w.made, sub)
		case !errors.Is(err, os.ErrExist):
			return err
		}
	}
	return nil
}

func writeString(w io.Writer, s string) error {
	_, err := io.WriteString(w, s)
	return err
}

func (w *layoutWriter) mkdirs(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if parent := filepath.Dir(dir); parent != dir {
		if err := w.mkdirs(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) { //nolint:gosec // an image is no secret
		return err
	} else if err == nil {
		w.dirs = append(w.dirs, dir)
	}
	return nil
}

// file makes name with what fill writes, by temporary file and rename.
func (w *layoutWriter) file(name string, fill func(io.Writer) error) error {
	_, missing := w.root.Stat(name)
	temp := filepath.Dir(name) + "/" + tempPrefix + rand.Text()
	f, err := w.root.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	err = fill(f)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = w.root.Rename(temp, name)
	}
	if err != nil {
		_ = w.root.Remove(temp)
		return err
	}
	if missing != nil {
		w.mu.Lock()
		w.made = append(w.made, name)
		w.mu.Unlock()
	}
	return nil
}

// blobs writes what is missing, four layers at a time, manifests at the end.
func (w *layoutWriter) blobs(ctx context.Context, parts []part, m *progress.Meter) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(4)
	for _, p := range parts {
		if !p.manifest {
			g.Go(func() error { return w.blob(gctx, p, m) })
		}
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, p := range parts {
		if p.manifest {
			if err := w.blob(ctx, p, m); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *layoutWriter) blob(ctx context.Context, p part, m *progress.Meter) error {
	name := blobName(p.desc.Digest)
	if info, err := w.root.Lstat(name); err == nil && info.Mode().IsRegular() && info.Size() == p.desc.Size {
		m.Add(p.desc.Size, 0)
		return ctx.Err()
	}
	return w.file(name, func(f io.Writer) error { return p.copyTo(ctx, io.MultiWriter(f, m)) })
}

// name lets tags name desc and replaces what they named; an empty tag is an
// entry without one.
func (w *layoutWriter) name(desc v1.Descriptor, tags []string) error {
	index, err := layoutIndex(w.root)
	if err != nil {
		return err
	}
	for _, tag := range tags {
		d := v1.Descriptor{MediaType: desc.MediaType, Size: desc.Size, Digest: desc.Digest}
		if tag != "" {
			d.Annotations = map[string]string{refName: tag}
		}
		if i := place(index, tag); i >= 0 {
			index.Manifests[i] = d
		} else {
			index.Manifests = append(index.Manifests, d)
		}
	}
	raw, err := json.Marshal(index)
	if err != nil {
		return err
	}
	return w.file("index.json", func(f io.Writer) error { return writeString(f, string(raw)) })
}

// close takes back what was made if undo, innermost first.
func (w *layoutWriter) close(undo bool) {
	if w.root != nil {
		for i := len(w.made) - 1; undo && i >= 0; i-- {
			_ = w.root.Remove(w.made[i])
		}
		w.root.Close()
	}
	for i := len(w.dirs) - 1; undo && i >= 0; i-- {
		_ = os.Remove(w.dirs[i]) // stays if another process has put something there
	}
	if w.lock != nil {
		w.lock.Close()
	}
}
