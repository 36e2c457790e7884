package verdict

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
	efiListHeader = 28
	efiGUID       = 16
	efiAttributes = 4
)

// The signature types that the kernel reads (security/integrity/platform_certs),
// as they stand in the file.
const (
	efiX509       = "\xa1\x59\xc0\xa5\xe4\x94\xa7\x4a\x87\xb5\xab\x15\x5c\x2b\xf0\x72"
	efiSHA256     = "\x26\x16\xc4\xc1\x4c\x50\x92\x40\xac\xa9\x41\xf9\x36\x93\x43\x28"
	efiX509SHA256 = "\x92\xa4\xd2\x3b\xc0\x96\x79\x40\xb4\x20\xfc\xf9\x8e\xf1\x03\xed"
)

// efiEntry is one entry of a list; kind is one of the types above, or another.
type efiEntry struct {
	kind string
	data []byte
}

var errNoEFIList = errors.New("not an EFI signature list")

// parseEFILists reads lists in a row, with or without efivarfs' attributes.
func parseEFILists(data []byte) ([]efiEntry, error) {
	entries, err := efiLists(data)
	if err == nil || len(data) < efiAttributes {
		return entries, err
	}
	if rest, restErr := efiLists(data[efiAttributes:]); restErr == nil {
		return rest, nil
	}
	return nil, err
}

func efiLists(data []byte) ([]efiEntry, error) {
	if len(data) == 0 {
		return nil, errNoEFIList
	}
	var out []efiEntry
	for at := 0; at < len(data); {
		rest := data[at:]
		if len(rest) < efiListHeader {
			return nil, fmt.Errorf("%w: %d bytes at offset %d", errNoEFIList, len(rest), at)
		}
		size := uint64(binary.LittleEndian.Uint32(rest[16:]))
		header := uint64(binary.LittleEndian.Uint32(rest[20:]))
		each := uint64(binary.LittleEndian.Uint32(rest[24:]))
		if size < efiListHeader+header || size > uint64(len(rest)) || each <= efiGUID || (size-efiListHeader-header)%each != 0 {
			return nil, fmt.Errorf("%w: sizes at offset %d do not fit", errNoEFIList, at)
		}
		for body := rest[efiListHeader+header : size]; len(body) > 0; body = body[each:] {
			out = append(out, efiEntry{string(rest[:efiGUID]), body[efiGUID:each]})
		}
		at += int(size) //nolint:gosec // bounded by the data
	}
	return out, nil
}
