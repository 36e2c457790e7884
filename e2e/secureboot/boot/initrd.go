package boot

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
)

// Files is the content of an initrd: absolute path to bytes. A folder is made
// for every file; what ends in .ko* or .tsv is not executable.
type Files map[string][]byte

// AddProgram adds a program of this machine with the libraries that ldd names.
func (f Files) AddProgram(as, program string) error {
	file, err := exec.LookPath(program)
	if err != nil {
		return err
	}
	if f[as], err = os.ReadFile(file); err != nil {
		return err
	}
	out, err := exec.Command("ldd", file).Output()
	if err != nil {
		return fmt.Errorf("ldd %s: %w", file, err)
	}
	for _, word := range strings.Fields(string(out)) {
		if !strings.HasPrefix(word, "/") {
			continue
		}
		if f[word], err = os.ReadFile(word); err != nil {
			return err
		}
	}
	return nil
}

// Write writes the initrd: cpio in the kernel's own newc form (Documentation/
// driver-api/early-userspace/buffer-format.rst), gzip outside.
func (f Files) Write(w io.Writer) error {
	z, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	dirs := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(f)) {
		addDirs(&out, dirs, path.Dir(name))
		mode := 0o100755
		if strings.Contains(path.Base(name), ".ko") || strings.HasSuffix(name, ".tsv") {
			mode = 0o100644
		}
		entry(&out, name[1:], mode, f[name])
	}
	entry(&out, "TRAILER!!!", 0, nil)
	if _, err := z.Write(out.Bytes()); err != nil {
		return err
	}
	return z.Close()
}

func addDirs(out *bytes.Buffer, done map[string]bool, dir string) {
	if dir == "/" || done[dir] {
		return
	}
	done[dir] = true
	addDirs(out, done, path.Dir(dir))
	entry(out, dir[1:], 0o040755, nil)
}

// entry is one newc record: thirteen hex numbers of eight digits, name and content, each padded to 4.
func entry(out *bytes.Buffer, name string, mode int, data []byte) {
	fields := []int{0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0}
	out.WriteString("070701")
	for _, v := range fields {
		fmt.Fprintf(out, "%08x", v)
	}
	out.WriteString(name + "\x00")
	pad(out)
	out.Write(data)
	pad(out)
}

func pad(out *bytes.Buffer) { out.Write(make([]byte, -out.Len()&3)) }
