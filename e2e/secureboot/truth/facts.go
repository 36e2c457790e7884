package truth

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/kmodseal/kmodseal/pkg/kmod"
)

// Facts are what a stand-in for the probes must know of the kernel.
type Facts struct {
	Vermagic string
	CRCs     map[string]uint32 // of the kernel's symbols that the probes use
}

// FactsOf reads the facts from the probes themselves.
func FactsOf(probes map[string][]byte) (Facts, error) {
	f := Facts{CRCs: map[string]uint32{}}
	for name, b := range probes {
		m, err := kmod.Parse(b)
		if err != nil {
			return f, fmt.Errorf("probe %s: %w", name, err)
		}
		f.Vermagic = m.Vermagic
		for _, s := range m.Undefined {
			if s.HasCRC && !strings.HasPrefix(s.Name, "sb_") {
				f.CRCs[s.Name] = s.CRC
			}
		}
	}
	return f, nil
}

func (f Facts) lines() []string {
	out := []string{"# vermagic\t" + f.Vermagic}
	for name, crc := range f.CRCs {
		out = append(out, fmt.Sprintf("# crc\t%s\t%#08x", name, crc))
	}
	slices.Sort(out)
	return out
}

func (f *Facts) line(w []string) {
	switch {
	case w[0] == "# vermagic" && len(w) == 2:
		f.Vermagic = w[1]
	case w[0] == "# crc" && len(w) == 3:
		if n, err := strconv.ParseUint(w[2], 0, 32); err == nil {
			f.CRCs[w[1]] = uint32(n)
		}
	}
}

// Config keeps the lines of a kernel's configuration that can matter for
// modules: 300 of 10,000.
func Config(config string) string {
	keep := regexp.MustCompile(`(?m)^CONFIG_(CRYPTO|MOD(ULE|VERSIONS)|UNUSED_KSYMS|INTEGRITY|IMA|EFI|SYSTEM_|SECURITY_LOCKDOWN|LOCK_DOWN|PKCS7|PKCS8|SECONDARY|X509|ASYMMETRIC|KEXEC_SIG|FIPS|BLACKLIST|KEYS|EXTENDED_MODVERSIONS|BASIC_MODVERSIONS|VERSION_SIGNATURE|LOCALVERSION|DECOMPRESS|XZ_DEC|ZSTD|ZLIB)\w*=.*\n`)
	return strings.Join(keep.FindAllString(config, -1), "")
}
