// Package der writes DER, and BER that is wrong on purpose, for test
// certificates and signatures that no library would make.
package der

import (
	"math/big"
	"strconv"
	"strings"
)

// Tags used by certificates and PKCS#7 (X.690 section 8.1.2).
const (
	Bool      = 0x01
	Integer   = 0x02
	BitString = 0x03
	Octets    = 0x04
	Null      = 0x05
	Object    = 0x06
	UTF8      = 0x0c
	Printable = 0x13
	T61       = 0x14
	UTCTime   = 0x17
	BMP       = 0x1e
	Sequence  = 0x30
	SetOf     = 0x31
)

// Ctx is the tag of a constructed context-specific element.
func Ctx(n byte) byte { return 0xa0 | n }

// CtxPrim is the tag of a primitive context-specific element.
func CtxPrim(n byte) byte { return 0x80 | n }

// TLV is one element with a definite length in its shortest form.
func TLV(tag byte, parts ...[]byte) []byte {
	body := Join(parts...)
	return Join([]byte{tag}, length(len(body)), body)
}

// LongTLV is one element whose length takes n octets however small it is: BER, not DER.
func LongTLV(tag byte, n int, body []byte) []byte {
	out := []byte{tag, 0x80 | byte(n)}
	for i := n - 1; i >= 0; i-- {
		out = append(out, byte(len(body)>>(8*i)))
	}
	return append(out, body...)
}

// Indefinite is one constructed element of indefinite length: BER, not DER.
func Indefinite(tag byte, parts ...[]byte) []byte {
	return Join([]byte{tag, 0x80}, Join(parts...), []byte{0, 0})
}

// Seq is a SEQUENCE.
func Seq(parts ...[]byte) []byte { return TLV(Sequence, parts...) }

// Set is a SET whose members stay in the order given.
func Set(parts ...[]byte) []byte { return TLV(SetOf, parts...) }

// Int is an INTEGER.
func Int(v int64) []byte { return BigInt(big.NewInt(v)) }

// BigInt is an INTEGER in two's complement.
func BigInt(v *big.Int) []byte {
	if v.Sign() >= 0 {
		return TLV(Integer, append(pad(v), v.Bytes()...))
	}
	n := uint(new(big.Int).Not(v).BitLen()/8 + 1)
	return TLV(Integer, new(big.Int).Add(new(big.Int).Lsh(big.NewInt(1), 8*n), v).Bytes())
}

func pad(v *big.Int) []byte {
	if v.BitLen()%8 == 0 {
		return []byte{0}
	}
	return nil
}

// OID is an OBJECT IDENTIFIER given in dots.
func OID(dots string) []byte {
	var body []byte
	var first uint64
	for i, s := range strings.Split(dots, ".") {
		n, err := strconv.ParseUint(s, 10, 63)
		if err != nil {
			panic("der: object identifier " + dots)
		}
		switch i {
		case 0:
			first = n
		case 1:
			body = append(body, base128(40*first+n)...)
		default:
			body = append(body, base128(n)...)
		}
	}
	return TLV(Object, body)
}

func base128(n uint64) []byte {
	out := []byte{byte(n & 0x7f)}
	for n >>= 7; n > 0; n >>= 7 {
		out = append([]byte{byte(n&0x7f) | 0x80}, out...)
	}
	return out
}

// Bits is a BIT STRING without unused bits.
func Bits(b []byte) []byte { return TLV(BitString, []byte{0}, b) }

// Join concatenates into a new slice.
func Join(parts ...[]byte) []byte {
	out := []byte{}
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

func length(n int) []byte {
	if n < 128 {
		return []byte{byte(n)}
	}
	b := big.NewInt(int64(n)).Bytes()
	return append([]byte{0x80 | byte(len(b))}, b...)
}
