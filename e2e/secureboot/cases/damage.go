package cases

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/kmodseal/kmodseal/pkg/kmod"

	"github.com/kmodseal/kmodseal/e2e/secureboot/wire"
)

// good is the probe as sign-file signs it with the good key.
func (m *maker) good() []byte { return sign(m.probe(), m.cert("good"), "sha256") }

// trailer: struct module_signature and the marker behind it.
func (m *maker) trailer() {
	good := m.good()
	at := tailAt(good)
	edit := func(name string, change func(tail []byte)) {
		m.add("trailer-"+name, changed(good, func(b []byte) { change(b[at:]) }))
	}
	for i, field := range []string{"algo", "hash", "", "signer-len", "key-id-len", "pad0", "pad1", "pad2"} {
		if field != "" {
			edit(field, func(t []byte) { t[i] = 1 })
		}
	}
	for _, v := range []byte{0, 1, 3, 255} {
		edit(fmt.Sprintf("id-type-%d", v), func(t []byte) { t[2] = v })
	}
	size := binary.BigEndian.Uint32(good[at+8:])
	lengths := []struct {
		name string
		n    uint32
	}{
		{"0", 0},
		{"plus-1", size + 1},
		{"minus-1", size - 1},
		{"all", uint32(at)},
		{"all-minus-1", uint32(at) - 1},
		{"all-plus-1", uint32(at) + 1},
		{"huge", 0x7fffffff},
		{"negative", 0xffffffff},
	}
	for _, l := range lengths {
		edit("length-"+l.name, func(t []byte) { binary.BigEndian.PutUint32(t[8:], l.n) })
	}
	edit("length-little-endian", func(t []byte) { binary.LittleEndian.PutUint32(t[8:], size) })
	edit("algo-and-id-type", func(t []byte) { t[0], t[2] = 1, 1 })
	edit("id-type-and-length", func(t []byte) { t[2] = 1; binary.BigEndian.PutUint32(t[8:], 0x7fffffff) })
	edit("marker-case", func(t []byte) { t[13] ^= 0x20 })
	m.add("trailer-no-newline", good[:len(good)-1])
	m.add("trailer-newline-behind", append(bytes.Clone(good), '\n'))
	m.add("trailer-zero-behind", append(bytes.Clone(good), 0))
	m.add("trailer-crlf", append(bytes.Clone(good[:len(good)-1]), '\r', '\n'))
	m.add("trailer-marker-twice", append(bytes.Clone(good), marker...))
	m.add("trailer-marker-only", append(bytes.Clone(m.probe()), marker...))
	m.add("file-marker", []byte(marker))
	m.add("file-trailer-marker", append(make([]byte, 12), marker...))
	m.add("file-trailer-cut", append(make([]byte, 11), marker...))
	m.add("file-text", []byte("this is no module\n"))
	m.add("file-empty", nil)
	m.add("file-text-signed", sign([]byte("this is no module, but it is longer than an ELF header, which is sixty-four bytes\n"), m.cert("good"), "sha256"))
	m.add("file-short-signed", sign([]byte("short"), m.cert("good"), "sha256"))
	m.add("file-nothing-signed", sign(nil, m.cert("good"), "sha256"))
	m.add("file-nothing-stranger", sign(nil, m.cert("stranger"), "sha256"))
}

// tampered: the module or the signature's value changed after signing.
func (m *maker) tampered() {
	good := m.good()
	text := func(b []byte) { b[bytes.Index(b, []byte("Secure Boot load probe"))] ^= 0x20 }
	m.add("tampered-text", changed(good, text))
	m.add("tampered-first-byte", changed(good, func(b []byte) { b[0] ^= 1 }))
	m.add("tampered-last-byte", changed(good, func(b []byte) { b[len(m.probe())-1] ^= 1 }))
	m.add("tampered-value", changed(good, func(b []byte) { b[tailAt(b)-20] ^= 1 }))
	m.add("tampered-value-first", changed(good, func(b []byte) { b[tailAt(b)-256] ^= 1 }))
	m.add("tampered-prefix", append([]byte{0}, good...))
	m.add("tampered-inserted", attach(append(bytes.Clone(m.probe()), 0), messageOf(good)))
	m.add("tampered-cut", attach(m.probe()[:len(m.probe())-1], messageOf(good)))
	m.add("tampered-stranger", changed(sign(m.probe(), m.cert("stranger"), "sha256"), text))
	m.add("tampered-p256", changed(sign(m.probe(), m.cert("p256"), "sha256"), text))
	m.add("tampered-sha512", changed(sign(m.probe(), m.cert("good"), "sha512"), text))
	m.add("tampered-leaf", changed(attach(m.probe(), m.embedded("leaf")), text))
	m.add("tampered-stripped", m.probe())
	m.add("signature-of-another", attach(m.probe(), messageOf(sign(m.in.Probes["sbweak"], m.cert("good"), "sha256"))))
	// Longer than its symbol table needs to be, and signed like that: no harm.
	m.add("padded", sign(append(bytes.Clone(m.probe()), make([]byte, 100)...), m.cert("good"), "sha256"))
	padded := sign(append(bytes.Clone(m.probe()), "blocked"...), m.cert("good"), "sha256")
	m.add("file-hash-in-mokx", padded)
	m.blocked(padded)
	content := append(bytes.Clone(m.probe()), "content"...)
	m.add("content-hash-in-mokx", sign(content, m.cert("good"), "sha256"))
	m.blocked(content)
	unsigned := append(bytes.Clone(m.probe()), "unsigned"...)
	m.add("unsigned-hash-in-mokx", unsigned)
	m.blocked(unsigned)
	stranger := sign(append(bytes.Clone(m.probe()), "stranger"...), m.cert("stranger"), "sha256")
	m.add("stranger-hash-in-mokx", stranger)
	m.blocked(stranger)
}

func (m *maker) embedded(leaf string) []byte {
	return pkiMessage(m.cert(leaf), m.cert(leaf).DER).Build(m.probe())
}

// messageOf is the PKCS#7 message of a signed module.
func messageOf(module []byte) []byte {
	at := tailAt(module)
	n := int(binary.BigEndian.Uint32(module[at+8:]))
	return module[at-n : at]
}

// stacked: several signatures behind each other; the kernel knows the last one only.
func (m *maker) stacked() {
	good, stranger := m.cert("good"), m.cert("stranger")
	m.add("stacked-stranger-good", sign(sign(m.probe(), stranger, "sha256"), good, "sha256"))
	m.add("stacked-good-stranger", sign(m.good(), stranger, "sha256"))
	m.add("stacked-good-good", sign(m.good(), good, "sha256"))
	m.add("stacked-three", sign(sign(m.good(), stranger, "sha256"), good, "sha256"))
	m.add("stacked-good-md5", sign(m.good(), good, "md5"))
	m.add("stacked-tampered-good", sign(changed(m.good(), func(b []byte) { b[tailAt(b)-20] ^= 1 }), good, "sha256"))
}

// distro: the distribution's own modules, which its build key signed.
func (m *maker) distro() {
	d, ok := m.in.Distro["intree"]
	if !ok {
		return
	}
	facts, err := kmod.Parse(d)
	if err != nil {
		panic("cases: the distribution's module: " + err.Error())
	}
	put := func(name string, b []byte) {
		m.put(Case{Name: name, Method: wire.Finit, Module: facts.Name, Ext: ".ko", Bytes: b})
	}
	put("distro-signed", d)
	put("distro-tampered", changed(d, func(b []byte) { b[bytes.Index(b, []byte("license=GPL"))] ^= 0x20 }))
	put("distro-good-on-top", sign(d, m.cert("good"), "sha256"))
	put("distro-stranger-on-top", sign(d, m.cert("stranger"), "sha256"))
	at := tailAt(d)
	body := d[:at-int(binary.BigEndian.Uint32(d[at+8:]))]
	put("distro-stripped", body)
	put("distro-replaced-good", sign(body, m.cert("good"), "sha256"))
	put("distro-replaced-stranger", sign(body, m.cert("stranger"), "sha256"))
	put("distro-value-tampered", changed(d, func(b []byte) { b[tailAt(b)-20] ^= 1 }))
}
