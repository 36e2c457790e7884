package verdict

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	_ "crypto/md5"  //nolint:gosec // kernels before 6.7 still verify MD5
	_ "crypto/sha1" //nolint:gosec // kernels still verify SHA-1
	_ "crypto/sha256"
	_ "crypto/sha3"
	_ "crypto/sha512"
	"math/big"
	"slices"
	"strings"
)

// signature is struct public_key_signature: a value over sum.
type signature struct {
	hash      string // name in the kernel's crypto API
	key       string // rsa, ecdsa, ...
	encoding  string
	takesData bool // the algorithm hashes by itself (ML-DSA)
	value     []byte
	sum       []byte // digest, or the data itself with takesData
}

// publicKey is the key of a certificate.
type publicKey struct {
	algo string // rsa, ecdsa-nist-p256, ...
	data []byte // content of the subjectPublicKey BIT STRING
}

// hashes that this package can compute, by the kernel's names.
func hashOf(name string) crypto.Hash {
	switch name {
	case "md5":
		return crypto.MD5
	case "sha1":
		return crypto.SHA1
	case "sha224":
		return crypto.SHA224
	case "sha256":
		return crypto.SHA256
	case "sha384":
		return crypto.SHA384
	case "sha512":
		return crypto.SHA512
	case "sha3-256":
		return crypto.SHA3_256
	case "sha3-384":
		return crypto.SHA3_384
	case "sha3-512":
		return crypto.SHA3_512
	}
	return 0
}

// digest is nil for a hash that this package cannot compute.
func digest(name string, data []byte) []byte {
	h := hashOf(name)
	if h == 0 {
		return nil
	}
	w := h.New()
	w.Write(data)
	return w.Sum(nil)
}

// verifySignature is public_key_verify_signature.
func (k *kernel) verifySignature(key *publicKey, s *signature) Errno {
	if key.algo != s.key && (!strings.HasPrefix(key.algo, "ecdsa-") || s.key != "ecdsa") {
		return eKEYREJECTED
	}
	if !k.takesHash(key.algo, s.hash) {
		return eINVAL
	}
	if !k.hasKeyType(key.algo) {
		return eNOENT
	}
	switch {
	case key.algo == "rsa":
		return verifyRSA(key.data, s)
	case strings.HasPrefix(key.algo, "ecdsa-"):
		return verifyECDSA(key, s)
	case isMLDSA(key.algo):
		return verifyMLDSA(key, s)
	}
	return eKEYREJECTED
}

// takesHash: which digests go with a key type (software_key_determine_akcipher).
func (k *kernel) takesHash(algo, hash string) bool {
	switch {
	case strings.HasPrefix(algo, "ecdsa"):
		ok := []string{"sha1", "sha224", "sha256", "sha384", "sha512"}
		if !k.version.before(sha3Since()) {
			ok = append(ok, "sha3-256", "sha3-384", "sha3-512")
		}
		return slices.Contains(ok, hash)
	case algo == "ecrdsa":
		return hash == "streebog256" || hash == "streebog512"
	case isMLDSA(algo):
		return hash == "none" || hash == "sha512"
	}
	return true
}

// rsaKey reads RSAPublicKey (RFC 8017 A.1.1) as the kernel does: unsigned
// numbers, whatever follows is ignored. Sizes other than these are refused.
func rsaKey(data []byte) (n, e *big.Int, err Errno) {
	size := 0
	err = decode(data, []step{{tag: tagSequence, body: []step{
		{tag: tagInteger, act: func(v element) Errno {
			if size = len(v.val); size == 0 {
				return eINVAL
			}
			n = new(big.Int).SetBytes(v.val)
			return noError
		}},
		{tag: tagInteger, act: func(v element) Errno {
			if len(v.val) == 0 || len(v.val) > size {
				return eINVAL
			}
			e = new(big.Int).SetBytes(v.val)
			return noError
		}},
	}}})
	if err != noError {
		return nil, nil, err
	}
	switch (n.BitLen() + 63) / 64 * 64 {
	case 512, 1024, 1536, 2048, 3072, 4096:
		return n, e, noError
	}
	return nil, nil, eINVAL
}

// verifyRSA is RSASSA-PKCS1-v1_5 verification (crypto/rsa-pkcs1pad.c, since
// 6.13 crypto/rsassa-pkcs1.c) with the errno of each refusal.
func verifyRSA(key []byte, s *signature) Errno {
	n, e, err := rsaKey(key)
	if err != noError {
		return err
	}
	if len(s.sum) == 0 {
		return eINVAL
	}
	size := (n.BitLen() + 63) / 64 * 8
	m := new(big.Int).SetBytes(s.value)
	last := new(big.Int).Sub(n, big.NewInt(1))
	if len(s.value) != size || m.Cmp(big.NewInt(1)) <= 0 || m.Cmp(last) >= 0 {
		return eINVAL
	}
	out := new(big.Int).Exp(m, e, n).FillBytes(make([]byte, size))
	if out[0] != 0 {
		return eINVAL
	}
	rest, ok := unpad(out[1:])
	if !ok {
		return eBADMSG
	}
	prefix := digestInfo(s.hash)
	if len(prefix) == 0 {
		return eNOENT
	}
	sum, ok := bytes.CutPrefix(rest, prefix)
	if !ok {
		return eBADMSG
	}
	if !bytes.Equal(sum, s.sum) {
		return eKEYREJECTED
	}
	return noError
}

// unpad takes 01, at least eight FF and 00 off.
func unpad(b []byte) (rest []byte, ok bool) {
	if b[0] != 1 {
		return nil, false
	}
	i := 1
	for i < len(b) && b[i] == 0xff {
		i++
	}
	if i < 9 || i == len(b) || b[i] != 0 {
		return nil, false
	}
	return b[i+1:], true
}

// digestInfo is the DER that stands before the digest in an RSA signature
// (RFC 8017 section 9.2), nil for a hash that this package does not know.
func digestInfo(hash string) []byte {
	size := hashOf(hash).Size
	if hashOf(hash) == 0 {
		return nil
	}
	var id oid
	for _, a := range digests() {
		if a.hash == hash {
			id = a.id
		}
	}
	der := oidDER(string(id))
	algo := append([]byte{tagOID, byte(len(der))}, der...)
	algo = append(algo, 0x05, 0x00)
	out := []byte{tagSequence, byte(len(algo) + 4 + size()), tagSequence, byte(len(algo))}
	return append(append(out, algo...), tagOctets, byte(size()))
}

// verifyECDSA is crypto/ecdsa.c: r and s are unsigned, at most one leading
// zero byte more than the curve's words.
func verifyECDSA(key *publicKey, s *signature) Errno {
	curve, words := curveOf(key.algo)
	if curve == nil {
		return eNOENT
	}
	pub, err := ecdsaKey(curve, words, key.data)
	if err != noError {
		return err
	}
	var r, v *big.Int
	number := func(to **big.Int) action {
		return func(e element) Errno {
			b := e.val
			if len(b) == 0 || len(b) > words+1 || len(b) == words+1 && b[0] != 0 {
				return eINVAL
			}
			*to = new(big.Int).SetBytes(b)
			return noError
		}
	}
	err = decode(s.value, []step{{tag: tagSequence, body: []step{
		{tag: tagInteger, act: number(&r)}, {tag: tagInteger, act: number(&v)},
	}}})
	if err != noError {
		return err
	}
	order := curve.Params().N
	if r.Sign() == 0 || v.Sign() == 0 || r.Cmp(order) >= 0 || v.Cmp(order) >= 0 {
		return eBADMSG
	}
	if !ecdsa.Verify(pub, s.sum, r, v) { //nolint:staticcheck // the numbers were read the kernel's way
		return eKEYREJECTED
	}
	return noError
}

// curveOf gives a curve and the bytes of its numbers in the kernel's words.
func curveOf(algo string) (elliptic.Curve, int) {
	switch algo {
	case "ecdsa-nist-p256":
		return elliptic.P256(), 32
	case "ecdsa-nist-p384":
		return elliptic.P384(), 48
	case "ecdsa-nist-p521":
		return elliptic.P521(), 72
	}
	return nil, 0
}

// ecdsaKey reads an uncompressed point (RFC 5480 section 2.2).
func ecdsaKey(curve elliptic.Curve, words int, data []byte) (*ecdsa.PublicKey, Errno) {
	if len(data) < 1 || len(data)%2 == 0 || data[0] != 4 {
		return nil, eINVAL
	}
	half := len(data) / 2
	if (half+7)/8*8 != words {
		return nil, eINVAL
	}
	x, y := new(big.Int).SetBytes(data[1:1+half]), new(big.Int).SetBytes(data[1+half:])
	pub := &ecdsa.PublicKey{Curve: curve, X: x, Y: y}
	if x.Cmp(curve.Params().P) >= 0 || y.Cmp(curve.Params().P) >= 0 || !curve.IsOnCurve(x, y) { //nolint:staticcheck // as above
		return nil, eINVAL
	}
	return pub, noError
}
