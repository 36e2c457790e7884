package cases

import (
	"bytes"
	"compress/gzip"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"github.com/kmodseal/kmodseal/e2e/secureboot/pki"
	"github.com/kmodseal/kmodseal/e2e/secureboot/wire"
)

func pkiMessage(c *pki.Cert, embed ...[]byte) pki.Message {
	return pki.Message{Signers: []pki.Signer{{Cert: c}}, Certs: embed}
}

// codecs: compressed modules, for the kernel to unpack and for insmod.
func (m *maker) codecs() {
	good := m.good()
	z := packXZ(good, xz.CRC32, 1<<20)
	for _, c := range []struct {
		name, ext string
		b         []byte
	}{
		{"xz", ".ko.xz", z},
		{"xz-crc64", ".ko.xz", packXZ(good, xz.CRC64, 1<<20)},
		{"xz-sha256", ".ko.xz", packXZ(good, xz.SHA256, 1<<20)},
		{"xz-no-check", ".ko.xz", packXZ(good, xz.None, 1<<20)},
		{"xz-dict-8m", ".ko.xz", packXZ(good, xz.CRC32, 8<<20)},
		{"xz-two-streams", ".ko.xz", append(packXZ(good[:1000], xz.CRC32, 1<<20), packXZ(good[1000:], xz.CRC32, 1<<20)...)},
		{"xz-zeros-behind", ".ko.xz", append(bytes.Clone(z), make([]byte, 4)...)},
		{"xz-junk-behind", ".ko.xz", append(bytes.Clone(z), "junk"...)},
		{"xz-cut", ".ko.xz", z[:len(z)-20]},
		{"xz-cut-half", ".ko.xz", z[:len(z)/2]},
		{"xz-flipped", ".ko.xz", changed(z, func(b []byte) { b[len(b)/2] ^= 1 })},
		{"xz-header-only", ".ko.xz", z[:12]},
		{"xz-unsigned", ".ko.xz", packXZ(m.probe(), xz.CRC32, 1<<20)},
		{"xz-stranger", ".ko.xz", packXZ(sign(m.probe(), m.cert("stranger"), "sha256"), xz.CRC32, 1<<20)},
		{"xz-tampered", ".ko.xz", packXZ(changed(good, func(b []byte) { b[tailAt(b)-20] ^= 1 }), xz.CRC32, 1<<20)},
		{"xz-signed-outside", ".ko.xz", sign(packXZ(m.probe(), xz.CRC32, 1<<20), m.cert("good"), "sha256")},
		{"xz-signed-both", ".ko.xz", sign(z, m.cert("good"), "sha256")},
		{"zstd", ".ko.zst", packZstd(good)},
		{"gzip", ".ko.gz", packGzip(good, "")},
		{"gzip-name", ".ko.gz", packGzip(good, "sbprobe.ko")},
		{"plain", ".ko", good},
		{"plain-unsigned", ".ko", m.probe()},
		{"text", ".ko.xz", []byte("this is no archive")},
	} {
		m.put(Case{Name: "inkernel-" + c.name, Method: wire.FinitZ, Module: "sbprobe", Ext: c.ext, Bytes: c.b})
	}
	m.put(Case{Name: "noflag-xz", Method: wire.Finit, Module: "sbprobe", Ext: ".ko.xz", Bytes: z})
	m.put(Case{Name: "noflag-xz-signed-outside", Method: wire.Finit, Module: "sbprobe", Ext: ".ko.xz", Bytes: sign(packXZ(m.probe(), xz.CRC32, 1<<20), m.cert("good"), "sha256")})
	m.put(Case{Name: "noflag-gzip", Method: wire.Finit, Module: "sbprobe", Ext: ".ko.gz", Bytes: packGzip(good, "")})
	why := "insmod of the distribution unpacks in user space: its build decides which codecs it knows"
	for _, c := range []struct {
		name, ext string
		b         []byte
	}{{"xz", ".ko.xz", z}, {"zstd", ".ko.zst", packZstd(good)}, {"gzip", ".ko.gz", packGzip(good, "")}, {"plain", ".ko", good}} {
		m.put(Case{Name: "insmod-" + c.name, Method: wire.Insmod, Module: "sbprobe", Ext: c.ext, Bytes: c.b, Unpredictable: why})
	}
}

func packXZ(b []byte, check byte, dict int) []byte {
	var out bytes.Buffer
	w, err := xz.WriterConfig{CheckSum: check, NoCheckSum: check == xz.None, DictCap: dict}.NewWriter(&out)
	if err != nil {
		panic(err)
	}
	finish(w, b)
	return out.Bytes()
}

func packZstd(b []byte) []byte {
	w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		panic(err)
	}
	return w.EncodeAll(b, nil)
}

func packGzip(b []byte, name string) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Name = name
	finish(w, b)
	return out.Bytes()
}

func finish(w interface {
	Write([]byte) (int, error)
	Close() error
}, b []byte,
) {
	if _, err := w.Write(b); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
}
