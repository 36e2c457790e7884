package keys

import (
	"bytes"
	"crypto/x509"
	"encoding/binary"

	"github.com/kmodseal/kmodseal/pkg/fault"
)

// An EFI_SIGNATURE_LIST (UEFI 2.10 section 32.4.1), little endian:
//
//	16 type (GUID)   4 size of the list   4 size of its header   4 size of a signature
//	header           signatures, each 16 bytes of owner and the data
const (
	efiHeader = 28
	efiOwner  = 16
)

// efiEntries gives the X.509 entries of the lists that fill data; a variable
// read from efivars has 4 bytes of attributes before them. ok is false where
// data is something else.
func efiEntries(data []byte) (ders [][]byte, ok bool) {
	for _, skip := range []int{0, 4} {
		if len(data) < skip+efiHeader {
			return nil, false
		}
		if ders, ok = efiLists(data[skip:]); ok {
			return ders, true
		}
	}
	return nil, false
}

func efiLists(data []byte) (ders [][]byte, ok bool) {
	x509List := []byte("\xa1\x59\xc0\xa5\xe4\x94\xa7\x4a\x87\xb5\xab\x15\x5c\x2b\xf0\x72")
	for len(data) > 0 {
		if len(data) < efiHeader {
			return nil, false
		}
		list := uint64(binary.LittleEndian.Uint32(data[16:]))
		header := uint64(binary.LittleEndian.Uint32(data[20:]))
		size := uint64(binary.LittleEndian.Uint32(data[24:]))
		if list > uint64(len(data)) || list < efiHeader+header || size <= efiOwner || (list-efiHeader-header)%size != 0 {
			return nil, false
		}
		entries := data[efiHeader+header : list]
		for ; len(entries) > 0 && bytes.HasPrefix(data, x509List); entries = entries[size:] {
			ders = append(ders, entries[efiOwner:size])
		}
		data = data[list:]
	}
	return ders, true
}

func efiCertificates(name string, ders [][]byte) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	for _, der := range ders {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fault.New(fault.Key, "certificate %s: EFI signature list: %w", name, err).
				Hint("write the list again, or give the certificate itself, PEM or DER")
		}
		certs = append(certs, c)
	}
	if len(certs) == 0 {
		return nil, fault.New(fault.Key, "certificate %s: an EFI signature list without certificates", name).
			Hint("give the certificate itself, PEM or DER")
	}
	return certs, nil
}
