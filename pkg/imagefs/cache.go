package imagefs

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/klauspost/compress/zstd"

	"github.com/kmodseal/kmodseal/pkg/atomicfile"
)

// Cache keeps what Scan learnt of layers in a folder, one index a layer digest,
// so that a layer need not be read again to know the view. No content is ever
// taken from it. An index that is damaged, of another version or of another
// layer counts as absent. The checksum finds accidents, not attackers: who can
// write to the folder can hide a module, so it deserves the trust of the tool.
//
// An index is
//
//	"kmodseal index 1\n"
//	sha256 of all that follows, 32 bytes
//	layer digest, "\n"
//	zstd frame of: count, then per entry type (1 byte), len, path, len, link
//
// with count and len as unsigned varints (encoding/binary).
type Cache struct{ Dir string }

const indexMagic = "kmodseal index 1\n"

// errIndex is what every damage of an index comes down to.
var errIndex = errors.New("damaged index")

func (c Cache) file(digest v1.Hash) string {
	return filepath.Join(c.Dir, digest.Algorithm+"-"+digest.Hex+".index")
}

// Load gives the entries of the layer, without headers; ok is false where there
// is no valid index of it within lim.
func (c Cache) Load(digest v1.Hash, lim Limits) (entries []Entry, ok bool) {
	f, err := os.Open(c.file(digest))
	if err != nil {
		return nil, false
	}
	defer f.Close()
	if fi, err := f.Stat(); err != nil || !fi.Mode().IsRegular() || fi.Size() > maxRoom/2 {
		return nil, false
	}
	var b bytes.Buffer
	if _, err := b.ReadFrom(f); err != nil {
		return nil, false
	}
	lim = lim.withDefaults()
	if entries, err = decodeIndex(b.Bytes(), digest, lim.Entries); err != nil {
		return nil, false
	}
	for i := range entries {
		if !lim.Room.take(entries[i].size()) {
			return nil, false
		}
	}
	return entries, true
}

// Save writes the index by temporary file and rename, so that parallel runs see
// all of it or nothing. Call it only after the layer's digest was checked.
func (c Cache) Save(digest v1.Hash, entries []Entry) error {
	b, err := encodeIndex(digest, entries)
	if err != nil {
		return fmt.Errorf("encode index of %s: %w", digest, err)
	}
	if err := os.MkdirAll(c.Dir, 0o755); err != nil { //nolint:gosec // nothing in it is secret
		return fmt.Errorf("create cache: %w", err)
	}
	return atomicfile.Write(c.file(digest), b)
}

func encodeIndex(digest v1.Hash, entries []Entry) ([]byte, error) {
	plain := binary.AppendUvarint(nil, uint64(len(entries)))
	for _, e := range entries {
		plain = append(plain, e.Type)
		for _, s := range []string{e.Path, e.Link} {
			plain = append(binary.AppendUvarint(plain, uint64(len(s))), s...)
		}
	}
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	rest := z.EncodeAll(plain, []byte(digest.String()+"\n"))
	sum := sha256.Sum256(rest)
	return append(append([]byte(indexMagic), sum[:]...), rest...), nil
}

func decodeIndex(b []byte, digest v1.Hash, limit int) ([]Entry, error) {
	b, ok := bytes.CutPrefix(b, []byte(indexMagic))
	if !ok || len(b) < sha256.Size {
		return nil, errIndex
	}
	want, rest := b[:sha256.Size], b[sha256.Size:]
	if sum := sha256.Sum256(rest); !bytes.Equal(sum[:], want) {
		return nil, errIndex
	}
	frame, ok := bytes.CutPrefix(rest, []byte(digest.String()+"\n"))
	if !ok {
		return nil, errIndex
	}
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxRoom))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	plain, err := z.DecodeAll(frame, nil)
	if err != nil {
		return nil, errIndex
	}
	return decodeEntries(string(plain), limit)
}

func decodeEntries(s string, limit int) ([]Entry, error) {
	n, s, ok := cutUvarint(s)
	if !ok || n > uint64(limit) || n > uint64(len(s)) {
		return nil, errIndex
	}
	entries := make([]Entry, n)
	for i := range entries {
		e := &entries[i]
		if s == "" {
			return nil, errIndex
		}
		e.Type, s = s[0], s[1:]
		for _, field := range []*string{&e.Path, &e.Link} {
			if n, s, ok = cutUvarint(s); !ok || n > uint64(len(s)) {
				return nil, errIndex
			}
			*field, s = strings.Clone(s[:n]), s[n:]
		}
		if p, err := clean(e.Path); err != nil || p != e.Path || len(e.Link) > maxName {
			return nil, errIndex
		}
	}
	if s != "" {
		return nil, errIndex
	}
	return entries, nil
}

func cutUvarint(s string) (n uint64, rest string, ok bool) {
	n, w := binary.Uvarint([]byte(s[:min(len(s), binary.MaxVarintLen64)]))
	if w <= 0 {
		return 0, s, false
	}
	return n, s[w:], true
}
