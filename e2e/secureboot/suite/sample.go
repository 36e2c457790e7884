package suite

import (
	"os"
	"strings"

	"github.com/kmodseal/kmodseal/e2e/secureboot/cases"
	"github.com/kmodseal/kmodseal/e2e/secureboot/wire"
)

// sample are modules that every kernel of the test has, that need no other
// module and no hardware, and that say nothing when they start.
func sample() []string {
	return []string{
		"authenc", "bfs", "cast_common", "ccm", "cls_matchall", "configfs", "crc_itu_t", "cts", "em_cmp", "joydev",
		"libarc4", "lz4hc_compress", "mac_roman", "matrix_keymap", "mbcache", "minix", "mrp", "nf_defrag_ipv4", "nls_cp437",
		"nls_utf8", "nsh", "psample", "reed_solomon", "rmd160", "sch_cake", "sch_fq", "sch_tbf", "tcp_vegas", "tcp_westwood",
		"ts_kmp", "tunnel4", "twofish_common", "uinput", "wp512", "xfrm_algo", "xts",
	}
}

// sampleCases are modules of the distribution, the kernel's own and those of
// another kernel, as they are in their packages.
func sampleCases(t, other *Target) ([]cases.Case, error) {
	var out []cases.Case
	for _, name := range sample() {
		for prefix, from := range map[string]*Target{"own-": t, "other-": other} {
			file, err := from.file(name)
			if err != nil {
				return nil, err
			}
			b, err := os.ReadFile(file)
			if err != nil {
				return nil, err
			}
			c := cases.Case{Group: "distro", Name: prefix + name, Method: wire.Finit, Module: name, Ext: ".ko", Bytes: b}
			if strings.HasSuffix(file, ".xz") {
				c.Method, c.Ext = wire.FinitZ, ".ko.xz"
			}
			out = append(out, c)
		}
	}
	return out, nil
}
