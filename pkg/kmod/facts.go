package kmod

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/kmodseal/kmodseal/pkg/manifest"
	"github.com/kmodseal/kmodseal/pkg/modsig"
)

// Facts reads a stored module of at most limit bytes when plain (0:
// DefaultLimit): codec, sizes and sums, what the ELF file says, and its
// signatures. All else of manifest.Module is left to the caller. The plain
// module comes with it, also where the error is ErrTrailing.
func Facts(stored []byte, limit int64) (m manifest.Module, plain []byte, err error) {
	plain, c, err := Decode(stored, limit)
	if err != nil {
		return m, plain, err
	}
	k, err := Parse(plain)
	if err != nil {
		return m, plain, err
	}
	b := Blob(stored)
	p := b
	if c != None {
		p = Blob(plain)
	}
	return manifest.Module{
		Codec: string(c), Stored: b, Plain: p,
		Machine: k.Machine, Name: k.Name, Vermagic: k.Vermagic, Signatures: signatures(plain),
	}, plain, nil
}

// Blob is b's size and SHA-256.
func Blob(b []byte) manifest.Blob {
	sum := sha256.Sum256(b)
	return manifest.Blob{Size: int64(len(b)), SHA256: hex.EncodeToString(sum[:])}
}

// maxSignatures bounds the list of one module, which can have millions of 41
// bytes each; real ones have two at most.
const maxSignatures = 100

// signatures lists what the appended signatures say of themselves, outermost
// first; of one that does not parse only that it is there.
func signatures(plain []byte) []manifest.Signature {
	found := []manifest.Signature{}
	for len(found) < maxSignatures {
		a, err := modsig.Split(plain)
		if err != nil {
			return found
		}
		plain = a.Body
		s, err := modsig.Parse(a.PKCS7)
		if err != nil {
			found = append(found, manifest.Signature{})
			continue
		}
		for i := range s.Signers[:min(len(s.Signers), maxSignatures-len(found))] {
			found = append(found, manifest.Signature(s.Signers[i].Summary()))
		}
	}
	return found
}
