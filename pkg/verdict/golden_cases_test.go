package verdict_test

import (
	"bytes"
	"crypto/sha256"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/kmod"
	"github.com/kmodseal/kmodseal/pkg/modsig"
	"github.com/kmodseal/kmodseal/pkg/verdict"
)

// builder puts the lab's cases together, each once.
type builder struct {
	probe, distro []byte
	made          map[string][]byte
}

func newBuilder(t *testing.T) *builder {
	t.Helper()
	return &builder{probe: []byte(read(t, "probe.ko")), distro: []byte(read(t, "distro.ko")), made: map[string][]byte{}}
}

func (b *builder) anchor(t *testing.T, name string, where verdict.Place) verdict.Anchor {
	t.Helper()
	return verdict.Anchor{DER: []byte(read(t, "cert/"+name+".der")), Where: where, From: name}
}

func (b *builder) sig(t *testing.T, name string) []byte {
	t.Helper()
	return []byte(read(t, "sig/"+name+".p7s"))
}

// revoked is the lab's MokListX: a certificate, the hash of a module's content
// and that of a whole signed file.
func (b *builder) revoked(t *testing.T) []verdict.Revocation {
	t.Helper()
	content, file := sha256.Sum256(append(bytes.Clone(b.probe), 'x')), sha256.Sum256(b.make(t, "filehash-in-mokx"))
	return []verdict.Revocation{
		{DER: b.anchor(t, "revoked", verdict.MOK).DER, Where: verdict.MOK},
		{SHA256: content[:], Where: verdict.MOK},
		{SHA256: file[:], Where: verdict.MOK},
	}
}

func (b *builder) make(t *testing.T, name string) []byte {
	t.Helper()
	if b.made[name] == nil {
		b.made[name] = b.build(t, name)
	}
	return b.made[name]
}

// plainCases are the probe with one signature behind it.
func plainCases() map[string]string {
	return map[string]string{
		"mok-rsa2048-sha256": "good", "mok-init-module": "good", "stranger-key": "stranger", "mok-keyid": "keyid",
		"mok-rsa2048-sha1": "good-sha1", "mok-rsa2048-sha384": "good-sha384", "mok-rsa2048-sha512": "good-sha512",
		"mok-sha3-256": "good-sha3-256", "mok-rsa4096-sha256": "good4096", "mok-rsa4096-sha512": "good4096-sha512",
		"mok-ecp256-sha256": "ecp256", "mok-ecp384-sha384": "ecp384", "mok-noext": "noext", "mok-serverauth-eku": "serverauth",
		"mok-modsign-eku": "modonly", "mok-expired": "expired", "mok-ca-direct": "ca", "mok-no-ski-aki": "nosxi",
		"mok-revoked-mokx": "revoked", "leaf-of-enrolled-ca": "leaf", "mok-ca-digsig": "ca-digsig",
		"mok-ca-nocertsign": "ca-nocertsign", "mok-ksign": "ksign", "mok-rsa2048-signfile73": "good",
		"cms-noattr": "good", "cms-signed-attrs": "signed-attrs", "cms-embedded-cert": "embedded-cert",
		"cms-leaf-embedded": "leaf-embedded", "cms-pss": "pss", "cms-stranger-plus-good": "stranger-plus-good",
		"cms-good-plus-stranger": "good-plus-stranger", "cms-attached": "attached",
		"mok-mldsa44-signfile": "mldsa44", "mok-mldsa65-signfile": "mldsa65", "mok-mldsa87-signfile": "mldsa87",
		"mok-mldsa65-signfile-sha256": "mldsa65-sha256", "mok-mldsa44-noattr": "mldsa44-noattr",
		"mok-mldsa65-noattr": "mldsa65-noattr", "mok-mldsa87-noattr": "mldsa87-noattr",
	}
}

func (b *builder) build(t *testing.T, name string) []byte {
	t.Helper()
	if s, ok := plainCases()[name]; ok {
		return modsig.Append(b.probe, b.sig(t, s))
	}
	good := func() []byte { return bytes.Clone(b.make(t, "mok-rsa2048-sha256")) }
	change := func(m []byte, at int, v byte) []byte { m[at] = v; return m }
	tamper := func(m []byte) []byte { m[bytes.Index(m, []byte(text))] ^= 0x20; return m }
	switch name {
	case "unsigned", "stripped-after-signing":
		return b.probe
	case "tampered-text":
		return tamper(good())
	case "tampered-sig":
		m := good()
		return change(m, len(m)-60, m[len(m)-60]^1)
	case "trailing-newline":
		return append(good(), '\n')
	case "bad-siglen":
		m := good()
		copy(m[len(m)-32:], "\x7f\xff\xff\xff")
		return m
	case "bad-idtype":
		m := good()
		return change(m, len(m)-38, 1)
	case "der-garbage":
		return modsig.Append(b.probe, make([]byte, 300))
	case "resigned-outer-good":
		return modsig.Append(b.make(t, "stranger-key"), b.sig(t, "outer-good"))
	case "resigned-outer-bad":
		return modsig.Append(b.make(t, "mok-rsa2048-sha256"), b.sig(t, "outer-bad"))
	case "distro-signed":
		return modsig.Append(b.distro, b.sig(t, "distro"))
	case "distro-tampered":
		return tamper(bytes.Clone(b.make(t, "distro-signed")))
	case "distro-resigned-mok":
		return modsig.Append(b.make(t, "distro-signed"), b.sig(t, "distro-mok"))
	case "distro-resigned-stranger":
		return modsig.Append(b.make(t, "distro-signed"), b.sig(t, "distro-stranger"))
	case "hash-in-mokx":
		return modsig.Append(append(bytes.Clone(b.probe), 'x'), b.sig(t, "hash"))
	case "filehash-in-mokx":
		return modsig.Append(append(bytes.Clone(b.probe), 'y'), b.sig(t, "filehash"))
	case "other-kernel":
		return modsig.Append([]byte(read(t, "other.ko")), b.sig(t, "other-kernel"))
	case "tampered-mldsa65-noattr":
		return tamper(bytes.Clone(b.make(t, "mok-mldsa65-noattr")))
	}
	return b.compressed(t, name, good())
}

func (b *builder) compressed(t *testing.T, name string, module []byte) []byte {
	t.Helper()
	codec := kmod.XZ
	switch name {
	case "xz-inkernel", "xz-noflag", "xz-kmod-userspace":
	case "zst-inkernel", "zst-kmod-userspace":
		codec = kmod.Zstd
	case "gz-inkernel", "gz-kmod-userspace":
		codec = kmod.Gzip
	case "xz-crc64-inkernel":
		return xz64(t, module)
	case "signed-after-compress", "signed-after-compress-kmod":
		return modsig.Append([]byte(read(t, "probe.ko.xz")), b.sig(t, "after-compress"))
	default:
		t.Fatalf("case %s: not known", name)
	}
	var out bytes.Buffer
	require.NoError(t, kmod.Encode(&out, module, codec))
	return out.Bytes()
}
