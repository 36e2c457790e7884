// Package world judges all modules of a distribution's kernel.
package world

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sync/errgroup"

	"github.com/kmodseal/kmodseal/pkg/kmod"
	"github.com/kmodseal/kmodseal/pkg/verdict"
)

// maxModule limits an unpacked module, in bytes.
const maxModule = 256 << 20

// Files are the modules below a folder, sorted.
func Files(dir string) ([]string, error) {
	var files []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && kmod.IsName(d.Name()) {
			files = append(files, path)
		}
		return err
	})
	return files, err
}

// Judge asks every judge for its verdicts on the files, loaded as a set as
// modprobe would. A module is unpacked once, for all judges.
func Judge(files []string, judges ...*verdict.Judge) ([][]verdict.Verdict, error) {
	found := make([][]*verdict.Finding, len(judges))
	for i := range judges {
		found[i] = make([]*verdict.Finding, len(files))
	}
	var g errgroup.Group
	g.SetLimit(runtime.NumCPU())
	for at, file := range files {
		g.Go(func() error {
			stored, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			plain, _, err := kmod.Decode(stored, maxModule)
			if err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			for i, j := range judges {
				found[i][at] = j.Examine(verdict.Module{Path: file, Stored: plain})
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	out := make([][]verdict.Verdict, len(judges))
	for i, j := range judges {
		out[i] = j.Conclude(found[i])
	}
	return out, nil
}
