package extract

import (
	"archive/tar"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/kmod"
	"github.com/kmodseal/kmodseal/pkg/manifest"
	"github.com/kmodseal/kmodseal/pkg/progress"
)

// xattrPrefix is how a PAX record names an extended attribute.
const xattrPrefix = "SCHILY.xattr."

// describe learns the facts of all picked modules, in parallel, each file once.
func (j *job) describe(ctx context.Context, views []*view) error {
	m := &progress.Meter{Phase: "check modules", Tell: j.Progress}
	for _, v := range views {
		m.Total += int64(len(v.picked))
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(j.Jobs)
	for _, v := range views {
		for i := range v.picked {
			s := v.picked[i].spooled
			g.Go(func() error {
				if err := gctx.Err(); err != nil {
					return err
				}
				s.once.Do(func() { s.err = j.learn(s) })
				m.Add(1, 0)
				return nil
			})
		}
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return j.firstFault(views)
}

// firstFault gives the error of the first module, in the order of the paths.
func (j *job) firstFault(views []*view) error {
	for _, v := range views {
		for _, p := range v.picked {
			if p.spooled.err != nil {
				return refused(v.prefix(), p.Path, p.spooled.err)
			}
		}
	}
	return nil
}

func refused(prefix, path string, err error) error {
	c := fault.ClassOf(err)
	f := fault.New(c, "%s%q: %w", prefix, path, err)
	if c != fault.Input {
		return f
	}
	return f.Hint("leave it out with --exclude if it is no module")
}

// learn fills in s.facts.
func (j *job) learn(s *spooled) error {
	stored, err := j.spool.root.ReadFile(s.file)
	if err != nil {
		return fmt.Errorf("read spool: %w", err)
	}
	s.facts, err = describeModule(stored, j.Limits.FileBytes)
	var f *fault.Error
	if err != nil && j.Lenient && errors.As(err, &f) {
		blob := kmod.Blob(stored)
		s.facts, err = manifest.Module{Codec: string(kmod.Sniff(stored)), Stored: blob, Plain: blob}, nil
	}
	return err
}

func describeModule(stored []byte, limit int64) (manifest.Module, error) {
	m, _, err := kmod.Facts(stored, limit)
	if err != nil {
		return m, err
	}
	for what, text := range map[string]string{"name": m.Name, "vermagic": m.Vermagic} {
		if err := manifest.CheckText(text); err != nil {
			return m, fault.New(fault.Input, "%s %w", what, err).Hint("no build makes this by itself: look at where the file comes from")
		}
	}
	return m, nil
}

// place moves the picked modules of v to their places and lists them in m.
func (j *job) place(m *manifest.Manifest, v *view) error {
	if v.Platform.Platform != "" {
		m.Platforms = append(m.Platforms, v.Platform)
	}
	for i := range v.picked {
		p := &v.picked[i]
		d := p.spooled.facts
		d.Path, d.Platform = p.Path, v.Platform.Platform
		if d.Platform == "" {
			d.Platform = ownPlatform(m, d.Machine)
		}
		d.File = manifest.File(d.Platform, d.Path)
		d.Layer = v.keys[p.Layer]
		d.Header = header(p.spooled.header)
		d.HardLinks, d.Symlinks = p.HardLinks, p.Symlinks
		if err := j.stage.place(p.spooled, d.File); err != nil {
			return fmt.Errorf("%s%q: %w", v.prefix(), d.Path, err)
		}
		m.Modules = append(m.Modules, d)
	}
	return nil
}

// ownPlatform is that of a module in a folder, which is listed on first use.
func ownPlatform(m *manifest.Manifest, machine string) string {
	if machine == "" {
		machine = "unknown"
	}
	name := "linux/" + strings.ToLower(machine)
	if !slices.ContainsFunc(m.Platforms, func(p manifest.Platform) bool { return p.Platform == name }) {
		m.Platforms = append(m.Platforms, manifest.Platform{Platform: name})
	}
	return name
}

// header keeps of h what a new entry for the same file needs.
func header(h *tar.Header) manifest.Header {
	out := manifest.Header{
		Mode: h.Mode & 0o7777, UID: h.Uid, GID: h.Gid, Uname: h.Uname, Gname: h.Gname,
		ModTime: h.ModTime.UTC().Format(time.RFC3339Nano),
	}
	for k, v := range h.PAXRecords {
		if name, ok := strings.CutPrefix(k, xattrPrefix); ok {
			if out.Xattrs == nil {
				out.Xattrs = map[string]string{}
			}
			out.Xattrs[name] = base64.StdEncoding.EncodeToString([]byte(v))
		}
	}
	return out
}
