package verdict

import (
	"fmt"
	"strconv"
	"strings"
)

// oid is an object identifier in dotted form.
type oid string

// The identifiers that decide something.
const (
	oidRSA         oid = "1.2.840.113549.1.1.1"
	oidECPublicKey oid = "1.2.840.10045.2.1"
	oidP192        oid = "1.2.840.10045.3.1.1"
	oidP256        oid = "1.2.840.10045.3.1.7"
	oidP384        oid = "1.3.132.0.34"
	oidP521        oid = "1.3.132.0.35"
	oidGost256     oid = "1.2.643.7.1.1.1.1"
	oidGost512     oid = "1.2.643.7.1.1.1.2"
	oidMLDSA44     oid = "2.16.840.1.101.3.4.3.17"
	oidMLDSA65     oid = "2.16.840.1.101.3.4.3.18"
	oidMLDSA87     oid = "2.16.840.1.101.3.4.3.19"

	oidData           oid = "1.2.840.113549.1.7.1"
	oidSignedData     oid = "1.2.840.113549.1.7.2"
	oidIndirectData   oid = "1.3.6.1.4.1.311.2.1.4"
	oidStatementType  oid = "1.3.6.1.4.1.311.2.1.11"
	oidOpusInfo       oid = "1.3.6.1.4.1.311.2.1.12"
	oidEmail          oid = "1.2.840.113549.1.9.1"
	oidContentType    oid = "1.2.840.113549.1.9.3"
	oidMessageDigest  oid = "1.2.840.113549.1.9.4"
	oidSigningTime    oid = "1.2.840.113549.1.9.5"
	oidSMIMECaps      oid = "1.2.840.113549.1.9.15"
	oidCommonName     oid = "2.5.4.3"
	oidOrganization   oid = "2.5.4.10"
	oidSubjectKeyID   oid = "2.5.29.14"
	oidKeyUsage       oid = "2.5.29.15"
	oidConstraints    oid = "2.5.29.19"
	oidAuthorityKeyID oid = "2.5.29.35"
)

// registry is the set of identifiers that one kernel version knows.
type registry struct {
	byDER map[string]oid
	order map[oid]int
}

// newRegistry reads oidTable for version v.
func newRegistry(v version) *registry {
	r := &registry{byDER: map[string]oid{}, order: map[oid]int{}}
	for line := range strings.Lines(oidTable) {
		f := strings.Fields(line)
		if len(f) == 3 && v.before(parseVersion(f[2])) == (f[1] == "since") {
			continue
		}
		r.byDER[string(oidDER(f[0]))] = oid(f[0])
		r.order[oid(f[0])] = len(r.order)
	}
	return r
}

// find gives the identifier, "" where the kernel does not know it.
func (r *registry) find(der []byte) oid { return r.byDER[string(der)] }

// number is the kernel's number of o, that of "none" for an unknown one.
func (r *registry) number(o oid) int {
	if n, ok := r.order[o]; ok {
		return n
	}
	return len(r.order)
}

// oidDER encodes dotted numbers as the content of an OBJECT IDENTIFIER (X.690 8.19).
func oidDER(dotted string) []byte {
	var out []byte
	var first uint64
	for i, part := range strings.Split(dotted, ".") {
		n, _ := strconv.ParseUint(part, 10, 64)
		switch i {
		case 0:
			first = n * 40
			continue
		case 1:
			n += first
		}
		b := []byte{byte(n & 0x7f)}
		for n >>= 7; n > 0; n >>= 7 {
			b = append([]byte{byte(n&0x7f) | 0x80}, b...)
		}
		out = append(out, b...)
	}
	return out
}

// oidBuffer is what the kernel prints an identifier into, NUL included.
const oidBuffer = 50

// printOID is the kernel's rendering (lib/oid_registry.c, sprint_oid): the
// first byte is split at 40 whatever its value, long ones are cut.
func printOID(der []byte) string {
	if len(der) == 0 {
		return "(bad)"
	}
	out := fmt.Sprintf("%d.%d", der[0]/40, der[0]%40)
	for i := 1; i < len(der) && len(out) < oidBuffer; i++ {
		n := uint64(der[i] & 0x7f)
		for der[i]&0x80 != 0 {
			if i++; i == len(der) {
				return cut(out + "(bad)")
			}
			n = n<<7 | uint64(der[i]&0x7f)
		}
		out += fmt.Sprintf(".%d", n)
	}
	return cut(out)
}

func cut(s string) string { return s[:min(len(s), oidBuffer-1)] }
