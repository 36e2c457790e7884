// Package varstore edits the UEFI variables inside an OVMF_VARS file, so that
// a key can be enrolled without MokManager, a display or a boot.
//
// Layout (PI specification, firmware volume; EDK II MdeModulePkg,
// VariableFormat.h): volume header, whose length is at offset 48; a 28-byte
// store header; records of a 60-byte header, the UTF-16LE name and the data,
// each aligned to 4 bytes.
package varstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unicode/utf16"
)

const (
	recordHeader = 60
	storeHeader  = 28
	added        = 0x3f
	startID      = 0x55aa
)

// Attributes of a variable (UEFI section 8.2).
const (
	NonVolatile = 1
	BootService = 2
	Runtime     = 4
	TimeAuth    = 0x20
)

type variable struct {
	head [recordHeader]byte // keeps counter and timestamp of an original
	name string
	data []byte
}

func (v *variable) is(name, vendor string) bool {
	return v.name == name && [16]byte(v.head[44:60]) == guid(vendor)
}

// Store is a parsed OVMF_VARS file.
type Store struct {
	image      []byte
	start, end int // of the records in image
	vars       []*variable
}

// Parse reads an OVMF_VARS file; deleted variables are forgotten.
func Parse(image []byte) (*Store, error) {
	if len(image) < 128 || string(image[40:44]) != "_FVH" {
		return nil, errors.New("no firmware volume header")
	}
	head := int(binary.LittleEndian.Uint16(image[48:]))
	if head+storeHeader > len(image) || [16]byte(image[head:head+16]) != guid(authStore) {
		return nil, errors.New("not an authenticated variable store")
	}
	size := int(binary.LittleEndian.Uint32(image[head+16:]))
	s := &Store{image: image, start: head + storeHeader, end: head + size}
	if s.end > len(image) || image[head+20] != 0x5a || image[head+21] != 0xfe {
		return nil, errors.New("variable store larger than its file, or not healthy")
	}
	return s, s.records()
}

func (s *Store) records() error {
	for p := s.start; p+recordHeader <= s.end; {
		h := s.image[p : p+recordHeader]
		if binary.LittleEndian.Uint16(h) != startID {
			return nil
		}
		name, data := int(binary.LittleEndian.Uint32(h[36:])), int(binary.LittleEndian.Uint32(h[40:]))
		next := p + recordHeader + name + data
		if name < 2 || data < 0 || next > s.end {
			return fmt.Errorf("record at %#x runs past the store", p)
		}
		if h[2] == added {
			v := &variable{name: decode(s.image[p+recordHeader : p+recordHeader+name])}
			copy(v.head[:], h)
			v.data = bytes.Clone(s.image[next-data : next])
			s.vars = append(s.vars, v)
		}
		p = (next + 3) &^ 3
	}
	return nil
}

func decode(b []byte) string {
	u := make([]uint16, len(b)/2)
	for i := range u {
		u[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	return strings.TrimRight(string(utf16.Decode(u)), "\x00")
}

// Get is the value of a variable, nil where there is none.
func (s *Store) Get(name, vendor string) []byte {
	for _, v := range s.vars {
		if v.is(name, vendor) {
			return v.data
		}
	}
	return nil
}

// Put sets a variable; an existing one keeps its attributes.
func (s *Store) Put(name, vendor string, attrs uint32, data []byte) {
	for _, v := range s.vars {
		if v.is(name, vendor) {
			v.data = data
			return
		}
	}
	v := &variable{name: name, data: data}
	binary.LittleEndian.PutUint16(v.head[0:], startID)
	binary.LittleEndian.PutUint32(v.head[4:], attrs)
	g := guid(vendor)
	copy(v.head[44:], g[:])
	s.vars = append(s.vars, v)
}

// Bytes is the file with the variables as they are now.
func (s *Store) Bytes() ([]byte, error) {
	out := bytes.Clone(s.image)
	for i := s.start; i < s.end; i++ {
		out[i] = 0xff
	}
	p := s.start
	for _, v := range s.vars {
		rec := v.record()
		if p+len(rec) > s.end {
			return nil, fmt.Errorf("variable store is full at %s", v.name)
		}
		copy(out[p:], rec)
		p = (p + len(rec) + 3) &^ 3
	}
	return out, nil
}

func (v *variable) record() []byte {
	name := append(utf16.Encode([]rune(v.name)), 0)
	rec := bytes.Clone(v.head[:])
	rec[2] = added
	binary.LittleEndian.PutUint32(rec[36:], uint32(2*len(name)))
	binary.LittleEndian.PutUint32(rec[40:], uint32(len(v.data)))
	for _, c := range name {
		rec = binary.LittleEndian.AppendUint16(rec, c)
	}
	return append(rec, v.data...)
}
