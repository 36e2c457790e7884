package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kmodseal/kmodseal/pkg/fault"
)

// refName is the annotation of index.json that holds an image's tag (OCI
// image-spec annotations.md and image-layout.md).
const refName = "org.opencontainers.image.ref.name"

// blobDir reads the blobs of an OCI layout through an os.Root, so that a link in
// it leads nowhere else.
type blobDir struct {
	ref  Ref
	root *os.Root
}

func (b *blobDir) String() string                           { return b.ref.String() }
func (b *blobDir) digests() bool                            { return false }
func (b *blobDir) repository() (r name.Repository, ok bool) { return r, false }
func (b *blobDir) class() fault.Class                       { return fault.Input }

func (b *blobDir) manifest(ctx context.Context, d v1.Descriptor) (io.ReadCloser, error) {
	return b.open(ctx, d)
}

func (b *blobDir) open(_ context.Context, d v1.Descriptor) (io.ReadCloser, error) {
	return openRegular(b.root, blobName(d.Digest))
}

func blobName(h v1.Hash) string { return "blobs/" + h.Algorithm + "/" + h.Hex }

// openRegular refuses pipes and devices, which could block for ever.
func openRegular(root *os.Root, path string) (*os.File, error) {
	info, err := root.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", path)
	}
	return root.Open(path)
}

func openLayout(ctx context.Context, r Ref, o Options) (*Source, error) {
	root, err := os.OpenRoot(r.Name)
	if err != nil {
		return nil, fault.New(absent(err), "open OCI layout: %w", err).Hint("an OCI layout is a folder with the file oci-layout")
	}
	b := &blobDir{ref: r, root: root}
	index, err := readLayoutIndex(root)
	if err != nil {
		root.Close()
		return nil, fault.New(fault.Input, "%s: %w", r, err).Hint("is %s an OCI layout?", r.Name)
	}
	return openIndexed(ctx, b, r, index, o, root)
}

// readLayoutIndex reads index.json.
func readLayoutIndex(root *os.Root) (*v1.IndexManifest, error) {
	f, err := openRegular(root, "index.json")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return decodeIndex(f)
}

func decodeIndex(r io.Reader) (*v1.IndexManifest, error) {
	data, err := io.ReadAll(io.LimitReader(r, manifestLimit+1))
	if err != nil {
		return nil, err
	}
	if len(data) > manifestLimit {
		return nil, errors.New("index.json is too large")
	}
	var index v1.IndexManifest
	if err := json.Unmarshal(data, &index); err != nil {
		return nil, fmt.Errorf("index.json: %w", err)
	}
	return &index, nil
}

// openIndexed resolves the image of r in a layout's index.json; closer is closed
// on error and with the source.
func openIndexed(ctx context.Context, s store, r Ref, index *v1.IndexManifest, o Options, closer io.Closer) (*Source, error) {
	out := &Source{Ref: r, closer: closer}
	err := func() error {
		desc, err := pick(r, index.Manifests)
		if err != nil {
			return err
		}
		raw, err := readManifest(ctx, s, desc)
		if err != nil {
			return err
		}
		desc.MediaType = mediaType(desc.MediaType, raw)
		desc.Annotations = nil
		out.Pinned = Ref{Kind: r.Kind, Name: r.Name, Tag: desc.Digest.String()}.String()
		return resolve(ctx, s, desc, raw, o, out)
	}()
	if err != nil {
		closer.Close()
		return nil, err
	}
	return out, nil
}

// pick finds the one image of a layout that r names.
func pick(r Ref, all []v1.Descriptor) (v1.Descriptor, error) {
	var found []v1.Descriptor
	for _, d := range all {
		same := func(f v1.Descriptor) bool { return f.Digest == d.Digest }
		if named(r, d) && !slices.ContainsFunc(found, same) {
			found = append(found, d)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1 && r.Tag != "":
		return v1.Descriptor{}, fault.New(fault.Input, "%s: %d images have this tag", r, len(found)).Hint("name one by its digest: @sha256:HEX")
	case len(found) > 1:
		return v1.Descriptor{}, fault.New(fault.Usage, "%s holds %d images", r, len(found)).
			Hint("name one: %s", choices(r, all))
	case r.Tag == "":
		return v1.Descriptor{}, fault.New(fault.Input, "%s is empty", r).Hint(writeAgain)
	}
	return v1.Descriptor{}, fault.New(fault.Input, "%s: no such image", r).Hint("there are: %s", choices(r, all))
}

func named(r Ref, d v1.Descriptor) bool {
	switch {
	case r.Tag == "":
		return true
	case r.byDigest():
		return d.Digest.String() == r.Tag
	}
	return d.Annotations[refName] == r.Tag
}

// choices lists what r could be completed to.
func choices(r Ref, all []v1.Descriptor) string {
	var words []string
	for _, d := range all {
		tag := clean(d.Annotations[refName])
		if tag == "" {
			tag = d.Digest.String()
		}
		words = append(words, Ref{Kind: r.Kind, Name: r.Name, Tag: tag}.String())
	}
	if len(words) == 0 {
		return "none"
	}
	slices.Sort(words)
	return strings.Join(slices.Compact(words), ", ")
}

// openDir checks a folder; what it holds is read by others.
func openDir(r Ref) (*Source, error) {
	f, err := os.Open(r.Name)
	if err != nil {
		return nil, fault.New(absent(err), "open folder: %w", err).Hint("name the folder that the build wrote its modules to")
	}
	defer f.Close()
	switch info, err := f.Stat(); {
	case err != nil:
		return nil, fmt.Errorf("open folder: %w", err)
	case !info.IsDir():
		return nil, fault.New(fault.Usage, "%s is no folder", r).Hint("for an archive write docker-archive: or oci-archive:")
	}
	switch _, err := f.ReadDir(1); {
	case errors.Is(err, io.EOF):
		return nil, fault.New(fault.Input, "%s is empty", r).Hint("name the folder that the build wrote its modules to")
	case err != nil:
		return nil, fmt.Errorf("read folder: %w", err)
	}
	return &Source{Ref: r, Pinned: r.String()}, nil
}

// absent is the class of a file or folder that cannot be opened: refused input
// where there is none, as with modules and the kmods folder.
func absent(err error) fault.Class {
	if missingFile(err) {
		return fault.Input
	}
	return fault.Usage
}

// missingFile says whether err is that of a file that is not there.
func missingFile(err error) bool { return errors.Is(err, fs.ErrNotExist) }
