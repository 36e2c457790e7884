// Package efisig reads EFI signature lists: MokListRT, db, MokListXRT and dbx.
package efisig

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// An EFI_SIGNATURE_LIST (UEFI specification section 32.4.1, little endian):
//
//	GUID   SignatureType          16 bytes
//	UINT32 SignatureListSize      of all that follows and these 28 bytes
//	UINT32 SignatureHeaderSize    0 for the types here
//	UINT32 SignatureSize          of each entry
//	       entries                GUID of the owner, then data
//
// db, dbx, MokListRT and MokListXRT are such lists in a row. A file of
// efivarfs has the variable's attributes, four bytes, before them.

const (
	header = 28
	guid   = 16
	// Attributes is how many bytes a file of efivarfs has before its variable.
	Attributes = 4
)

// The signature types that the kernel reads (security/integrity/platform_certs),
// as they stand in the file: a certificate, the hash of a file, and the hash of
// what is signed of a certificate with the time of its revocation.
const (
	X509       = "\xa1\x59\xc0\xa5\xe4\x94\xa7\x4a\x87\xb5\xab\x15\x5c\x2b\xf0\x72"
	SHA256     = "\x26\x16\xc4\xc1\x4c\x50\x92\x40\xac\xa9\x41\xf9\x36\x93\x43\x28"
	X509SHA256 = "\x92\xa4\xd2\x3b\xc0\x96\x79\x40\xb4\x20\xfc\xf9\x8e\xf1\x03\xed"
)

// Entry is one entry of a list; Kind is one of the types above, or another.
type Entry struct {
	Kind string
	Data []byte
}

// ErrNoList is what Parse says of anything else.
var ErrNoList = errors.New("not an EFI signature list")

// Parse reads lists in a row, with or without efivarfs' attributes.
func Parse(data []byte) ([]Entry, error) {
	entries, err := lists(data)
	if err == nil || len(data) < Attributes {
		return entries, err
	}
	if rest, restErr := lists(data[Attributes:]); restErr == nil {
		return rest, nil
	}
	return nil, err
}

func lists(data []byte) ([]Entry, error) {
	if len(data) == 0 {
		return nil, ErrNoList
	}
	var out []Entry
	for at := 0; at < len(data); {
		rest := data[at:]
		if len(rest) < header {
			return nil, fmt.Errorf("%w: %d bytes at offset %d", ErrNoList, len(rest), at)
		}
		size := uint64(binary.LittleEndian.Uint32(rest[16:]))
		own := uint64(binary.LittleEndian.Uint32(rest[20:]))
		each := uint64(binary.LittleEndian.Uint32(rest[24:]))
		if size < header+own || size > uint64(len(rest)) || each <= guid || (size-header-own)%each != 0 {
			return nil, fmt.Errorf("%w: sizes at offset %d do not fit", ErrNoList, at)
		}
		for body := rest[header+own : size]; len(body) > 0; body = body[each:] {
			out = append(out, Entry{string(rest[:guid]), body[guid:each]})
		}
		at += int(size) //nolint:gosec // bounded by the data
	}
	return out, nil
}
