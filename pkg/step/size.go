package step

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes: 4096, 512K, 64MiB, 2G (powers of 1024).
type Size int64

// UnmarshalText reads a Size; it refuses negative ones and those beyond int64.
func (s *Size) UnmarshalText(text []byte) error {
	number := strings.TrimSuffix(strings.TrimSuffix(strings.ToUpper(string(text)), "B"), "I")
	shift := 0
	if i := strings.IndexAny(number, "KMGT"); i >= 0 && i == len(number)-1 {
		shift = 10 * (1 + strings.IndexByte("KMGT", number[i]))
		number = number[:i]
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64>>shift {
		return fmt.Errorf("%q is no size: want bytes, or a number with K, M, G or T", text)
	}
	*s = Size(n << shift)
	return nil
}
