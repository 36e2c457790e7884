package verdict

import (
	"bytes"
	"crypto/sha3"
)

// ML-DSA verification (FIPS 204), which crypto/... does not offer yet. Numbers
// are public here, so nothing needs to run in constant time.

const (
	mldsaQ = 8380417 // the modulus q
	mldsaN = 256     // coefficients of a polynomial
	mldsaD = 13      // bits of t that the public key leaves out
)

// mldsaSet is a parameter set (FIPS 204 table 1).
type mldsaSet struct {
	k, l, tau, beta, omega int
	gamma1Bits             int // gamma1 is 1 << gamma1Bits
	gamma2                 int64
	challenge              int // bytes of c~
}

func mldsaSetOf(algo string) mldsaSet {
	switch algo {
	case "mldsa44":
		return mldsaSet{4, 4, 39, 78, 80, 17, (mldsaQ - 1) / 88, 32}
	case "mldsa65":
		return mldsaSet{6, 5, 49, 196, 55, 19, (mldsaQ - 1) / 32, 48}
	}
	return mldsaSet{8, 7, 60, 120, 75, 19, (mldsaQ - 1) / 32, 64}
}

type poly [mldsaN]int64

// verifyMLDSA is crypto/mldsa.c: pure ML-DSA with an empty context. key is
// pkEncode's output, s.value sigEncode's.
func verifyMLDSA(key *publicKey, s *signature) Errno {
	p := mldsaSetOf(key.algo)
	zBytes := mldsaN * (p.gamma1Bits + 1) / 8
	if len(key.data) != 32+p.k*320 {
		return eINVAL
	}
	if len(s.value) != p.challenge+p.l*zBytes+p.omega+p.k {
		return eBADMSG
	}
	challenge, rest := s.value[:p.challenge], s.value[p.challenge:]
	z := make([]poly, p.l)
	for i := range z {
		if !p.unpackZ(&z[i], rest[i*zBytes:(i+1)*zBytes]) {
			return eBADMSG
		}
		z[i].ntt()
	}
	hints, ok := p.unpackHints(rest[p.l*zBytes:])
	if !ok {
		return eBADMSG
	}
	h := sha3.NewSHAKE256()
	_, _ = h.Write(shake256(64, key.data))
	_, _ = h.Write([]byte{0, 0})
	_, _ = h.Write(s.sum)
	mu := make([]byte, 64)
	_, _ = h.Read(mu)
	w := p.commitment(key.data, challenge, z, hints)
	if !bytes.Equal(shake256(p.challenge, mu, w), challenge) {
		return eKEYREJECTED
	}
	return noError
}

func shake256(size int, parts ...[]byte) []byte {
	h := sha3.NewSHAKE256()
	for _, b := range parts {
		_, _ = h.Write(b)
	}
	out := make([]byte, size)
	_, _ = h.Read(out)
	return out
}

// commitment is w1Encode(UseHint(h, Az - c*t1*2^d)), algorithm 8 lines 9 to 12.
func (p *mldsaSet) commitment(key, challenge []byte, z []poly, hints []poly) []byte {
	rho, t1 := key[:32], key[32:]
	c := p.sampleInBall(challenge)
	c.ntt()
	var out []byte
	for r := range p.k {
		var w, t poly
		for i := range t {
			bit := i * 10
			b := t1[r*320+bit/8:]
			t[i] = (int64(b[0]) | int64(b[1])<<8) >> (bit % 8) & 0x3ff << mldsaD
		}
		t.ntt()
		for i := range w {
			w[i] = mldsaQ - c[i]*t[i]%mldsaQ
		}
		for s := range p.l {
			a := rejectNTT(rho, byte(s), byte(r))
			for i := range w {
				w[i] = (w[i] + a[i]*z[s][i]) % mldsaQ
			}
		}
		w.inverse()
		out = p.appendHigh(out, &w, &hints[r])
	}
	return out
}

// appendHigh applies the hints and packs the high bits (algorithms 28, 36, 40).
func (p *mldsaSet) appendHigh(out []byte, w, hint *poly) []byte {
	m := (mldsaQ - 1) / (2 * p.gamma2)
	bits := 4
	if m == 44 {
		bits = 6
	}
	acc, have := int64(0), 0
	for i := range w {
		high, low := p.decompose(w[i])
		switch {
		case hint[i] == 1 && low > 0:
			high = (high + 1) % m
		case hint[i] == 1:
			high = (high - 1 + m) % m
		}
		acc |= high << have
		for have += bits; have >= 8; have -= 8 {
			out = append(out, byte(acc))
			acc >>= 8
		}
	}
	return out
}

func (p *mldsaSet) decompose(r int64) (high, low int64) {
	low = r % (2 * p.gamma2)
	if low > p.gamma2 {
		low -= 2 * p.gamma2
	}
	if r-low == mldsaQ-1 {
		return 0, low - 1
	}
	return (r - low) / (2 * p.gamma2), low
}

// unpackZ reads z and checks its size against gamma1 - beta.
func (p *mldsaSet) unpackZ(z *poly, b []byte) bool {
	bits := p.gamma1Bits + 1
	for i := range z {
		at := i * bits
		v := int64(0)
		for n := range 4 {
			if at/8+n < len(b) {
				v |= int64(b[at/8+n]) << (8 * n)
			}
		}
		v = 1<<p.gamma1Bits - v>>(at%8)&(1<<bits-1)
		if limit := int64(1<<p.gamma1Bits - p.beta); v >= limit || v <= -limit {
			return false
		}
		z[i] = (v + mldsaQ) % mldsaQ
	}
	return true
}

// unpackHints is algorithm 21.
func (p *mldsaSet) unpackHints(b []byte) ([]poly, bool) {
	h := make([]poly, p.k)
	index := 0
	for i := range h {
		end := int(b[p.omega+i])
		if end < index || end > p.omega {
			return nil, false
		}
		for first := index; index < end; index++ {
			if index > first && b[index-1] >= b[index] {
				return nil, false
			}
			h[i][b[index]] = 1
		}
	}
	return h, len(bytes.Trim(b[index:p.omega], "\x00")) == 0
}

// sampleInBall is algorithm 29.
func (p *mldsaSet) sampleInBall(seed []byte) (c poly) {
	h := sha3.NewSHAKE256()
	_, _ = h.Write(seed)
	var signs [8]byte
	_, _ = h.Read(signs[:])
	for i := mldsaN - p.tau; i < mldsaN; i++ {
		var j [1]byte
		for {
			_, _ = h.Read(j[:])
			if int(j[0]) <= i {
				break
			}
		}
		c[i] = c[j[0]]
		c[j[0]] = 1
		if n := i + p.tau - mldsaN; signs[n/8]>>(n%8)&1 == 1 {
			c[j[0]] = mldsaQ - 1
		}
	}
	return c
}

// rejectNTT is algorithm 30.
func rejectNTT(rho []byte, s, r byte) (a poly) {
	h := sha3.NewSHAKE128()
	_, _ = h.Write(rho)
	_, _ = h.Write([]byte{s, r})
	var b [3]byte
	for i := 0; i < mldsaN; {
		_, _ = h.Read(b[:])
		if v := int64(b[0]) | int64(b[1])<<8 | int64(b[2]&0x7f)<<16; v < mldsaQ {
			a[i] = v
			i++
		}
	}
	return a
}
