package verdict

import "math/bits"

// zetas are the powers of the root 1753 in bit-reversed order (FIPS 204
// appendix B).
func zetas() (z [mldsaN]int64) {
	var powers [mldsaN]int64
	powers[0] = 1
	for i := 1; i < mldsaN; i++ {
		powers[i] = powers[i-1] * 1753 % mldsaQ
	}
	for i := range z {
		z[i] = powers[bits.Reverse8(uint8(i))]
	}
	return z
}

// ntt is algorithm 41.
func (w *poly) ntt() {
	z, m := zetas(), 0
	for size := mldsaN / 2; size >= 1; size /= 2 {
		for start := 0; start < mldsaN; start += 2 * size {
			m++
			for j := start; j < start+size; j++ {
				t := z[m] * w[j+size] % mldsaQ
				w[j+size] = (w[j] - t + mldsaQ) % mldsaQ
				w[j] = (w[j] + t) % mldsaQ
			}
		}
	}
}

// inverse is algorithm 42; 8347681 is 1/256.
func (w *poly) inverse() {
	z, m := zetas(), mldsaN
	for size := 1; size < mldsaN; size *= 2 {
		for start := 0; start < mldsaN; start += 2 * size {
			m--
			for j := start; j < start+size; j++ {
				t := w[j]
				w[j] = (t + w[j+size]) % mldsaQ
				w[j+size] = (t - w[j+size] + mldsaQ) * (mldsaQ - z[m]) % mldsaQ
			}
		}
	}
	for i := range w {
		w[i] = w[i] * 8347681 % mldsaQ
	}
}
