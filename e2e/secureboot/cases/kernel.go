package cases

import (
	"bytes"
	"encoding/binary"
	"strings"

	"github.com/kmodseal/kmodseal/e2e/secureboot/wire"
)

// kernels: modules that are not, or not quite, for the running kernel. All of
// them are signed well after the change.
func (m *maker) kernels() {
	edited := func(name string, change func([]byte)) {
		m.add(name, sign(changed(m.probe(), change), m.cert("good"), "sha256"))
	}
	vermagic := func(b []byte) []byte { return b[bytes.Index(b, []byte("vermagic="))+len("vermagic="):] }
	m.add("kernel-other", sign(m.in.Foreign, m.cert("good"), "sha256"))
	m.add("kernel-other-unsigned", m.in.Foreign)
	m.add("kernel-other-stranger", sign(m.in.Foreign, m.cert("stranger"), "sha256"))
	edited("vermagic-release", func(b []byte) { vermagic(b)[0] = '9' })
	edited("vermagic-flags", func(b []byte) { copy(vermagic(b)[bytes.IndexByte(vermagic(b), ' ')+1:], "XYZ") })
	edited("vermagic-release-flags", func(b []byte) { copy(vermagic(b)[bytes.IndexByte(vermagic(b), ' ')-1:], "9 XYZ") })
	edited("vermagic-gone", func(b []byte) { b[bytes.Index(b, []byte("vermagic="))] = 'X' })
	edited("license-proprietary", func(b []byte) { copy(b[bytes.Index(b, []byte("license=GPL"))+8:], "NO!") })
	edited("machine-arm64", func(b []byte) { b[18], b[19] = 183, 0 })
	edited("machine-amd64", func(b []byte) { b[18], b[19] = 62, 0 })
	edited("machine-none", func(b []byte) { b[18], b[19] = 0, 0 })
	edited("type-executable", func(b []byte) { b[16] = 2 })
	edited("elf-magic", func(b []byte) { b[1] = 'X' })
	edited("class-32", func(b []byte) { b[4] = 1 })
	edited("sections-behind-end", func(b []byte) { binary.LittleEndian.PutUint64(b[40:], uint64(len(b))) })
	m.add("elf-cut", sign(m.probe()[:len(m.probe())/2], m.cert("good"), "sha256"))
	m.add("elf-header-only", sign(m.probe()[:64], m.cert("good"), "sha256"))
	if m.versioned() {
		edited("crc-layout", func(b []byte) { m.crc(b, "module_layout") })
		edited("crc-printk", func(b []byte) { m.crc(b, "_printk") })
	}
	m.put(Case{
		Name: "init-refuses", Method: wire.Finit, Module: "sbrefuse", Ext: ".ko", Bytes: sign(m.in.Probes["sbrefuse"], m.cert("good"), "sha256"),
		Unpredictable: "the module's own init function returns an error (no such device)",
	})
	m.put(Case{Name: "init-refuses-stranger", Method: wire.Finit, Module: "sbrefuse", Ext: ".ko", Bytes: sign(m.in.Probes["sbrefuse"], m.cert("stranger"), "sha256")}).Unpredictable = "where the signature is not enforced, its init function returns an error"
}

// versioned tells whether the kernel has symbol versions at all.
func (m *maker) versioned() bool { return bytes.Contains(m.probe(), []byte(" modversions ")) }

// crc changes the CRC of a symbol in __versions: records of 64 bytes, CRC in 8, name behind
// (struct modversion_info, include/linux/module.h).
func (m *maker) crc(b []byte, symbol string) {
	record := make([]byte, 56)
	copy(record, symbol)
	i := bytes.Index(b, record)
	if i < 8 {
		panic("cases: no version of symbol " + symbol)
	}
	b[i-8] ^= 1
}

// symbols: modules that need other modules.
func (m *maker) symbols() {
	good, stranger := m.cert("good"), m.cert("stranger")
	p := m.in.Probes
	put := func(name, module string, b []byte, before ...string) {
		m.put(Case{Name: name, Method: wire.Finit, Module: module, Ext: ".ko", Bytes: b, Before: before})
	}
	put("give", "sbgive", sign(p["sbgive"], good, "sha256"))
	put("give-stranger", "sbgive", sign(p["sbgive"], stranger, "sha256"))
	put("take-alone", "sbtake", sign(p["sbtake"], good, "sha256"))
	put("take-with", "sbtake", sign(p["sbtake"], good, "sha256"), "give")
	put("take-stranger", "sbtake", sign(p["sbtake"], stranger, "sha256"), "give")
	put("take-with-stranger", "sbtake", sign(p["sbtake"], good, "sha256"), "give-stranger")
	m.out[len(m.out)-1].Unpredictable = "a set is judged as modprobe loads it: it stops at the refusal of the first module"
	if m.versioned() {
		put("take-crc", "sbtake", sign(changed(p["sbtake"], func(b []byte) { m.crc(b, "sb_plain") }), good, "sha256"), "give")
	}
	proprietary := changed(p["sbtake"], func(b []byte) { copy(b[bytes.Index(b, []byte("license=GPL"))+8:], "NO!") })
	put("take-proprietary", "sbtake", sign(proprietary, good, "sha256"), "give")
	put("space-with", "sbspace", sign(p["sbspace"], good, "sha256"), "give")
	put("space-alone", "sbspace", sign(p["sbspace"], good, "sha256"))
	if m.versioned() {
		renamed := func(b []byte) { b[bytes.Index(b, []byte("__kcrctab\x00"))] = 'X' }
		put("give-no-versions", "sbgive", sign(changed(p["sbgive"], renamed), good, "sha256"))
	}
	noImport := changed(p["sbspace"], func(b []byte) { b[bytes.Index(b, []byte("import_ns="))] = 'X' })
	put("space-not-imported", "sbspace", sign(noImport, good, "sha256"), "give")
	put("nowhere", "sbnowhere", sign(p["sbnowhere"], good, "sha256"))
	put("nowhere-stranger", "sbnowhere", sign(p["sbnowhere"], stranger, "sha256"))
	put("weak", "sbweak", sign(p["sbweak"], good, "sha256"))
}

// named: since Linux 6.16 a namespace may list the modules that a symbol is for.
func (m *maker) named() {
	p, good := m.in.Probes, m.cert("good")
	if p["sbnames"] == nil {
		return
	}
	put := func(name, module string, change func([]byte), before ...string) {
		b := p[module]
		if change != nil {
			b = changed(b, change)
		}
		m.put(Case{Name: name, Method: wire.Finit, Module: strings.ReplaceAll(module, "-", "_"), Ext: ".ko", Bytes: sign(b, good, "sha256"), Before: before})
	}
	give := func(from, to string) func([]byte) {
		return func(b []byte) {
			copy(b[bytes.Index(b, []byte("module:sbmay-be")):], bytes.Replace([]byte("module:sbmay-be,sbpart*,sbother"), []byte(from), []byte(to), 1))
		}
	}
	put("names", "sbnames", nil)
	put("names-another", "sbnames", give("sbother", "sbanyth"))
	put("names-part", "sbnames", give("sbpart*", "sbpart,"))
	put("names-longer", "sbnames", give("sbmay-be,", "sbmay-bee"))
	put("named-dash", "sbmay-be", nil, "names")
	put("named-glob", "sbpartly", nil, "names")
	put("named-last", "sbother", nil, "names")
	put("named-not", "sbother", nil, "names-another")
	put("named-no-glob", "sbpartly", nil, "names-part")
	put("named-shorter", "sbmay-be", nil, "names-longer")
	claims := func(b []byte) { b[bytes.Index(b, []byte("import_ns=Module:"))+len("import_ns=")] = 'm' }
	put("named-claims", "sbother", claims, "names")
	put("named-claims-alone", "sbother", claims)
}
