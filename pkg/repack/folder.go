package repack

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/kmodseal/kmodseal/pkg/extract"
	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/imagefs"
	"github.com/kmodseal/kmodseal/pkg/kmod"
	"github.com/kmodseal/kmodseal/pkg/manifest"
	"github.com/kmodseal/kmodseal/pkg/source"
)

// folder gives the image of a folder source: one layer with the folder's tree,
// its modules signed, on the base or on nothing. For a folder destination it
// gives the tree only.
func (j *job) folder(ctx context.Context, dir string) (*outcome, error) {
	if len(j.manifest.Platforms) != 1 {
		return nil, fault.New(fault.Input, "the kmods folder has %d platforms, a folder source has one", len(j.manifest.Platforms))
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open source folder: %w", err)
	}
	j.closers = append(j.closers, root)
	if err := j.sameFolder(ctx, root); err != nil {
		return nil, err
	}
	modules, err := j.inFolder(ctx, root)
	if err != nil {
		return nil, err
	}
	out := &outcome{modules: modules}
	if out.signers, err = signersOf(modules); err != nil {
		return nil, err
	}
	p, err := j.pack(root, modules, out.signers)
	if err != nil {
		return nil, err
	}
	base, err := j.base(ctx)
	if err != nil {
		return nil, err
	}
	p.dirs = j.Base == "" // the base may have links where the folder has folders
	if p.facts = j.to.Kind == source.Dir; p.facts {
		if out.tars, err = tarsOf(base); err != nil {
			return nil, err
		}
		out.tars = append(out.tars, p.tar)
		return out, nil
	}
	if err := j.onto(ctx, base, p.tar, out); err != nil {
		return nil, err
	}
	return out, j.sameFolder(ctx, root) // nor has it changed meanwhile
}

// inFolder passes the modules through the gate.
func (j *job) inFolder(ctx context.Context, root *os.Root) ([]passed, error) {
	var ms []*manifest.Module
	var now []module
	for i := range j.manifest.Modules {
		m := &j.manifest.Modules[i]
		fi, err := root.Lstat(filepath.FromSlash(m.Path))
		if err != nil || !fi.Mode().IsRegular() || fi.Size() > kmod.DefaultLimit {
			return nil, fault.New(fault.Input, "module %s is not in the source folder", m.Path).Hint(extractAgain)
		}
		data, err := readFile(root, m.Path)
		if err != nil {
			return nil, err
		}
		ms = append(ms, m)
		now = append(now, module{File: imagefs.File{Path: m.Path}, original: newOriginal(&tar.Header{ModTime: fi.ModTime()}, data)})
	}
	return j.gate.all(ctx, ms, now)
}

func readFile(root *os.Root, name string) ([]byte, error) {
	f, err := root.Open(filepath.FromSlash(name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, kmod.DefaultLimit+1))
}

// pack lists the folder and puts the signed modules and the certificate in.
func (j *job) pack(root *os.Root, modules []passed, s *signers) (*packer, error) {
	p, special, err := newPacker(root)
	if err != nil {
		return nil, fmt.Errorf("list source folder: %w", err)
	}
	if len(special) > 0 {
		j.Warn("left out: %d device nodes, pipes and sockets, the first is %s", len(special), special[0])
	}
	known := map[string]bool{}
	p.new = map[string]content{}
	for i := range modules {
		known[modules[i].module.Path] = true
		for _, l := range modules[i].module.HardLinks {
			known[l] = true
		}
		if modules[i].changed {
			p.new[modules[i].module.Path] = j.gate.content(&modules[i])
		}
	}
	if j.certPath != "" && s.anchor != nil {
		if err := p.fits(j.certPath); err != nil {
			return nil, badCertPath(j.certPath, err)
		}
		p.tail = []file{certificate(j.certPath, s.anchor.Raw, time.Unix(0, 0))}
	}
	return p, j.leftInFolder(root, p, known)
}

// leftInFolder warns of unsigned modules that the kmods folder leaves out.
func (j *job) leftInFolder(root *os.Root, p *packer, known map[string]bool) error {
	var left []string
	for _, n := range p.nodes {
		if !n.info.Mode().IsRegular() || !isModule(n.path) || known[n.path] || n.info.Size() > kmod.DefaultLimit {
			continue
		}
		data, err := readFile(root, n.path)
		if err != nil {
			return err
		}
		if newOriginal(nil, data).sigs == 0 {
			left = append(left, n.path)
		}
	}
	leftover(j.Warn, j.manifest.Platforms[0].Platform, left)
	return nil
}

// sameFolder compares the folder with the digest that was recorded.
func (j *job) sameFolder(ctx context.Context, root *os.Root) error {
	got, err := extract.FolderDigest(ctx, root)
	if err != nil {
		return fmt.Errorf("read source folder: %w", err)
	}
	if got != j.manifest.Source.Digest {
		return fault.New(fault.Input, "source %s is not as it was when the modules were extracted", j.from).Hint(extractAgain)
	}
	return nil
}
