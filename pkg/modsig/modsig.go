// Package modsig reads, makes and checks the signature that the kernel looks
// for behind a module.
//
// A signed module is, from its first byte to its last (kernel:
// include/linux/module_signature.h, kernel/module/signing.c):
//
//	ELF file            what is signed, earlier signatures included
//	PKCS#7 message      DER, Trailer.SigLen bytes, no padding before it
//	Trailer             12 bytes
//	Marker              28 bytes, the newline included
package modsig

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// Marker ends every signed module (kernel: include/linux/module_signature.h).
const Marker = "~Module signature appended~\n"

// What Split, Parse and Signer.Check refuse, each with the kernel's errno for it.
var (
	ErrUnsigned    = errors.New("no signature")                   // ENODATA
	ErrMalformed   = errors.New("malformed signature")            // EBADMSG, EINVAL
	ErrUnsupported = errors.New("unsupported signature")          // ENOPKG
	ErrRejected    = errors.New("signature does not fit content") // EKEYREJECTED
)

const (
	trailerLen = 12
	idPKCS7    = 2 // PKEY_ID_PKCS7
)

// Trailer is struct module_signature: the 12 bytes before the marker.
type Trailer struct {
	Algo, Hash, IDType, SignerLen, KeyIDLen byte
	Pad                                     [3]byte
	SigLen                                  uint32 // big endian on every architecture
}

// Appended is a module cut at its outermost signature; the slices point into the input.
type Appended struct {
	Body    []byte // what is signed: the module with any inner signature
	PKCS7   []byte
	Trailer Trailer
}

// Split cuts module at its outermost signature. ErrUnsigned where the marker
// is not at the very end or nothing is before it, ErrMalformed where the
// trailer or the length in it does not fit. It does not look at the trailer's
// other fields: see Trailer.Check.
func Split(module []byte) (Appended, error) {
	rest, ok := bytes.CutSuffix(module, []byte(Marker))
	if !ok || len(rest) == 0 { // the kernel wants more than the marker
		return Appended{}, ErrUnsigned
	}
	if len(rest) <= trailerLen {
		return Appended{}, fmt.Errorf("%w: %d bytes before the marker", ErrMalformed, len(rest))
	}
	cut := len(rest) - trailerLen
	t := readTrailer(rest[cut:])
	if uint64(t.SigLen) >= uint64(cut) { // equal too: there would be no module
		return Appended{}, fmt.Errorf("%w: length %d, but only %d bytes before the trailer", ErrMalformed, t.SigLen, cut)
	}
	end := cut - int(t.SigLen)
	return Appended{Body: rest[:end:end], PKCS7: rest[end:cut:cut], Trailer: t}, nil
}

// Strip takes every trailing signature off and says how many there were. It
// stops at a marker whose trailer does not fit, which Split then refuses.
func Strip(module []byte) (body []byte, n int) {
	for {
		a, err := Split(module)
		if err != nil {
			return module, n
		}
		module = a.Body
		n++
	}
}

// Append puts a PKCS#7 message, the trailer and the marker behind body, in a
// new slice.
func Append(body, pkcs7 []byte) []byte {
	out := make([]byte, 0, len(body)+len(pkcs7)+trailerLen+len(Marker))
	out = append(out, body...)
	return append(out, Tail(pkcs7)...)
}

// Tail is what Append puts behind a module: the message, the trailer and the
// marker. It serves those who write the module themselves.
func Tail(pkcs7 []byte) []byte {
	out := make([]byte, 0, len(pkcs7)+trailerLen+len(Marker))
	out = append(out, pkcs7...)
	out = append(out, 0, 0, idPKCS7, 0, 0, 0, 0, 0)
	out = binary.BigEndian.AppendUint32(out, uint32(len(pkcs7)))
	return append(out, Marker...)
}

func readTrailer(b []byte) Trailer {
	return Trailer{
		Algo: b[0], Hash: b[1], IDType: b[2], SignerLen: b[3], KeyIDLen: b[4],
		Pad:    [3]byte(b[5:8]),
		SigLen: binary.BigEndian.Uint32(b[8:12]),
	}
}
