package sign

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/kmod"
	"github.com/kmodseal/kmodseal/pkg/manifest"
	"github.com/kmodseal/kmodseal/pkg/modsig"
)

// Folder signs every module of the kmods folder and rewrites kmods.json. All
// or nothing: no file is replaced before every module has its signature, and
// what fails or is cancelled leaves the folder as it was. kmods.json is
// written before the modules are put in place, so that after a crash in
// between every file is one of the two that it names, and a further run ends
// what was begun. A second run gives the same bytes, whatever key signed first.
func Folder(ctx context.Context, kmods string, o Options) (*manifest.Manifest, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	before, err := manifest.Load(kmods)
	if err != nil {
		return nil, err
	}
	if len(before.Modules) == 0 {
		return nil, fault.New(fault.Input, "kmods folder %s has no modules", kmods).
			Hint("look at what extract-kmods was told to take")
	}
	root, err := os.OpenRoot(kmods)
	if err != nil {
		return nil, fmt.Errorf("open kmods folder: %w", err)
	}
	defer root.Close()
	f := &folder{batch: batch{root: root}, signer: newSigner(o)}
	after := *before
	after.Modules = append([]manifest.Module(nil), before.Modules...)
	err = o.each(ctx, len(after.Modules), func(i int) error {
		m := &after.Modules[i]
		if err := f.module(m); err != nil {
			return fmt.Errorf("sign %s (%s): %w", m.Path, m.Platform, err)
		}
		return nil
	})
	if err != nil {
		f.clean()
		return nil, err
	}
	if err := f.finish(kmods, before, &after); err != nil {
		return nil, err
	}
	return &after, nil
}

// folder is one run over a kmods folder.
type folder struct {
	batch
	signer *signer
}

func (f *folder) finish(kmods string, before, after *manifest.Manifest) error {
	if err := after.Save(kmods); err != nil {
		f.clean()
		return err
	}
	if err := f.commit(); err != nil {
		return fmt.Errorf("replace modules: %w", errors.Join(err, before.Save(kmods)))
	}
	return nil
}

// module signs one module into the batch and records it in m.
func (f *folder) module(m *manifest.Module) error {
	f.sweep(m.File)
	stored, mode, err := f.read(m)
	if err != nil {
		return err
	}
	plain, err := source(stored, m, f.signer.options.OnSigned)
	if err != nil {
		return err
	}
	if _, err := kmod.Parse(plain); err != nil {
		return err
	}
	out, done, err := f.signer.file(stored, plain, kmod.Codec(m.Codec))
	if err != nil {
		return err
	}
	m.Signed = done
	if bytes.Equal(out, stored) {
		return nil
	}
	return f.stage([]string{m.File}, out, func(n *os.File) error { return n.Chmod(mode) })
}

// read gives the file's bytes. No more is read than m says that there is.
func (f *folder) read(m *manifest.Module) ([]byte, os.FileMode, error) {
	file, err := f.root.Open(filepath.FromSlash(m.File))
	if err != nil {
		return nil, 0, err
	}
	defer file.Close()
	fi, err := file.Stat()
	if err != nil {
		return nil, 0, err
	}
	if fi.Size() != m.Stored.Size && (m.Signed == nil || fi.Size() != m.Signed.Stored.Size) {
		return nil, 0, stale(m)
	}
	b, err := io.ReadAll(io.LimitReader(file, fi.Size()))
	return b, fi.Mode().Perm(), err
}

// source gives the plain module as it was in the source, whether the file is
// still that or what an earlier run made of it. Signatures of the source that
// the earlier run took off nobody can give back: then it is what that run made,
// if policy would take them off anyway.
func source(stored []byte, m *manifest.Module, policy string) ([]byte, error) {
	is := kmod.Blob(stored).SHA256
	ours := is != m.Stored.SHA256
	if ours && (m.Signed == nil || is != m.Signed.Stored.SHA256) {
		return nil, stale(m)
	}
	plain, c, err := kmod.Decode(stored, 0)
	switch {
	case err != nil:
		return nil, err
	case string(c) != m.Codec:
		return nil, stale(m)
	}
	if ours {
		switch m.Signed.Action {
		case manifest.ActionReplaced:
			if policy == Replace {
				return plain, nil
			}
			return nil, fault.New(fault.Input, "signature of the source was taken off by an earlier run").
				Hint("extract the modules again to use --on-signed %s", policy)
		case manifest.ActionSigned, manifest.ActionAppended:
			if a, err := modsig.Split(plain); err == nil {
				plain = a.Body
			}
		}
	}
	if kmod.Blob(plain).SHA256 != m.Plain.SHA256 {
		return nil, stale(m)
	}
	return plain, nil
}

func stale(m *manifest.Module) error {
	return fault.New(fault.Damaged, "file %s is neither what was extracted nor what was signed", m.File).
		Hint("somebody changed the kmods folder: extract the modules again")
}
