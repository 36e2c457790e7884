package repack

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// packer makes a tar stream of a folder: sorted, without the names of the
// building machine's users.
type packer struct {
	root   *os.Root
	nodes  []node
	dirs   bool               // with entries for folders
	facts  bool               // keep owner and times, which an image's digest must not depend on
	new    map[string]content // instead of the file's own bytes, by path
	tail   []file
	sealed map[inode]content
}

// node is a file or folder below root.
type node struct {
	path string
	info fs.FileInfo
	link string // of a symbolic link
	id   inode  // of a file with several names
}

type inode struct{ dev, ino uint64 }

// newPacker lists root. Of what is neither file, folder nor link only the name
// is given.
func newPacker(root *os.Root) (p *packer, special []string, err error) {
	p = &packer{root: root, dirs: true}
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		n := node{path: name}
		if n.info, err = d.Info(); err != nil {
			return err
		}
		switch mode := n.info.Mode(); {
		case mode&fs.ModeSymlink != 0:
			n.link, err = root.Readlink(filepath.FromSlash(name))
		case mode.IsRegular():
			if s, ok := n.info.Sys().(*syscall.Stat_t); ok && s.Nlink > 1 {
				n.id = inode{uint64(s.Dev), s.Ino} //nolint:unconvert // signed on some systems
			}
		case !mode.IsDir():
			special = append(special, name)
			return nil
		}
		p.nodes = append(p.nodes, n)
		return err
	})
	return p, special, err
}

// fits refuses a path that leads through a file of the folder, or is a folder.
func (p *packer) fits(path string) error {
	for _, n := range p.nodes {
		switch {
		case n.path == path && n.info.IsDir():
			return errors.New("is a folder")
		case n.info.Mode().IsRegular() && strings.HasPrefix(path, n.path+"/"):
			return fmt.Errorf("%s is a file", n.path)
		}
	}
	return nil
}

// tar is the stream; it can be made again and again.
func (p *packer) tar(ctx context.Context, w io.Writer) error {
	p.sealed = map[inode]content{}
	skip := map[string]bool{}
	for _, f := range p.tail {
		skip[f.header.Name] = true
	}
	for _, n := range p.nodes {
		if c, ok := p.new[n.path]; ok && n.id != (inode{}) {
			p.sealed[n.id] = c // under its other names, too
		}
	}
	t := tar.NewWriter(w)
	first := map[inode]string{}
	for i := range p.nodes {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := &p.nodes[i]
		if skip[n.path] || n.info.IsDir() && !p.dirs {
			continue
		}
		if err := p.entry(t, n, first); err != nil {
			return fmt.Errorf("pack %q: %w", n.path, err)
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for i := range p.tail {
		if err := p.tail[i].write(w); err != nil {
			return err
		}
	}
	return t.Close()
}

func (p *packer) entry(t *tar.Writer, n *node, first map[inode]string) error {
	h, err := p.header(n)
	if err != nil {
		return err
	}
	if to := first[n.id]; to != "" {
		h.Typeflag, h.Size, h.Linkname = tar.TypeLink, 0, to
		return t.WriteHeader(h)
	}
	if n.id != (inode{}) {
		first[n.id] = n.path
	}
	if h.Typeflag != tar.TypeReg {
		return t.WriteHeader(h)
	}
	if c, ok := p.content(n); ok {
		data, err := c.open()
		if err != nil {
			return err
		}
		h.Size = int64(len(data))
		if err := t.WriteHeader(h); err != nil {
			return err
		}
		_, err = t.Write(data)
		return err
	}
	return p.file(t, n, h)
}

func (p *packer) content(n *node) (content, bool) {
	if c, ok := p.new[n.path]; ok {
		return c, true
	}
	c, ok := p.sealed[n.id]
	return c, ok
}

// file copies a file as it is, unless it holds a private key.
func (p *packer) file(t *tar.Writer, n *node, h *tar.Header) error {
	f, err := p.root.Open(filepath.FromSlash(n.path))
	if err != nil {
		return err
	}
	defer f.Close()
	if err := t.WriteHeader(h); err != nil {
		return err
	}
	look := &keyFinder{}
	if _, err := io.Copy(io.MultiWriter(t, look), f); err != nil {
		return err
	}
	if look.found {
		return secret(n.path, []byte(keyMark))
	}
	return nil
}

// header of n. In an image all belongs to root and dates from 1970: the
// folder's digest covers neither, and a checkout or an artifact keeps neither.
func (p *packer) header(n *node) (*tar.Header, error) {
	h, err := tar.FileInfoHeader(n.info, n.link)
	if err != nil {
		return nil, err
	}
	h.Name = n.path
	if n.info.IsDir() {
		h.Name = path.Clean(n.path) + "/"
	}
	h.Uname, h.Gname, h.Format = "", "", tar.FormatUnknown
	h.AccessTime, h.ChangeTime = time.Time{}, time.Time{}
	if p.facts {
		h.Format = tar.FormatPAX // for times below a second
		return h, nil
	}
	h.ModTime = time.Unix(0, 0)
	h.Uid, h.Gid = 0, 0
	return h, nil
}

// keyFinder looks for keyMark in what is written to it.
type keyFinder struct {
	tail  []byte
	found bool
}

func (k *keyFinder) Write(b []byte) (int, error) {
	k.tail = append(k.tail, b...)
	k.found = k.found || bytes.Contains(k.tail, []byte(keyMark))
	if keep := len(keyMark) - 1; len(k.tail) > keep {
		k.tail = append(k.tail[:0], k.tail[len(k.tail)-keep:]...)
	}
	return len(b), nil
}
