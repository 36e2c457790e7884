// Package atomicfile replaces files as a whole.
package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Write makes data the content of the file name, mode 0644, by a temporary file
// beside it and rename: a reader sees the old content or the new, also after a
// crash. Errors name the file; after one it is as it was and nothing else is left.
func Write(name string, data []byte) error {
	err := write(name, data)
	var temp *fs.PathError // what it names is the temporary file
	var link *os.LinkError
	switch {
	case errors.As(err, &temp):
		err = temp.Err
	case errors.As(err, &link):
		err = link.Err
	case err == nil:
		return nil
	}
	return fmt.Errorf("write %s: %w", name, err)
}

func write(name string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // the first error counts
	}
	return err
}
