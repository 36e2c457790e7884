package verdict_test

import (
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/kmod"
	"github.com/kmodseal/kmodseal/pkg/kmodtest"
	"github.com/kmodseal/kmodseal/pkg/modsig"
	"github.com/kmodseal/kmodseal/pkg/verdict"
)

var update = flag.Bool("update", false, "write the plain modules of testdata/kernels")

const golden = "../../testdata/kernels"

// row is one line of results.tsv: what a booted kernel answered.
type row struct{ kernel, scenario, name, method, result, message string }

func goldenRows(t *testing.T) []row {
	t.Helper()
	var rows []row
	for line := range strings.Lines(read(t, "results.tsv")) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		require.Len(t, f, 6, line)
		rows = append(rows, row{f[0], f[1], f[2], f[3], f[4], f[5]})
	}
	return rows
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(golden, name))
	require.NoError(t, err)
	return string(b)
}

// TestGolden predicts every row of the truth table: result and first line of
// the kernel's log. A row that cannot be put together here is listed in
// offline and counted apart.
func TestGolden(t *testing.T) {
	if *update {
		writeModules(t)
	}
	offline := map[string]string{} // case name -> why not
	rows, configs, b := goldenRows(t), goldenConfigs(t), newBuilder(t)
	require.Len(t, rows, 2427)
	judged, apart := 0, 0
	boots := map[string]*boot{}
	for _, r := range rows {
		if why, ok := offline[r.name]; ok {
			t.Logf("apart: %s %s %s: %s", r.kernel, r.scenario, r.name, why)
			apart++
			continue
		}
		key := r.kernel + "." + r.scenario
		if boots[key] == nil {
			boots[key] = newBoot(t, b, r, configs)
		}
		result, message := boots[key].try(t, b, r)
		judged++
		assert.Equal(t, r.result, result, "%s %s", key, r.name)
		assert.Equal(t, normal(r.message), normal(message), "%s %s", key, r.name)
	}
	t.Logf("%d rows judged, %d apart, %d boots", judged, apart, len(boots))
}

var hash64 = regexp.MustCompile(`\b[0-9a-f]{64}\b`)

// normal takes out what belongs to the moment: the hash of a file that was
// made anew, the kernel's note on its own self tests, and what the lab's init
// cut off ("] " is where it thought the time stamp ended).
func normal(line string) string {
	if strings.HasPrefix(line, "alg: No test for ") {
		return ""
	}
	if _, rest, ok := strings.Cut(line, "] "); ok {
		line = rest
	}
	return hash64.ReplaceAllString(line, "HASH")
}

// boot is one start of a kernel: what it knows, and what it says only once.
type boot struct {
	config verdict.Config
	judges map[string]*verdict.Judge
	said   map[string]bool
}

func goldenConfigs(t *testing.T) map[string]verdict.KernelConfig {
	t.Helper()
	out := map[string]verdict.KernelConfig{}
	for line := range strings.Lines(read(t, "configs.tsv")) {
		f := strings.Split(strings.TrimSpace(line), "\t")
		// what every kernel of the table has besides
		c := verdict.KernelConfig{"MODULE_SIG": "y", "CRYPTO_RSA": "y", "CRYPTO_SHA256": "y"}
		for _, o := range f[1:] {
			name, value, ok := strings.Cut(o, "=")
			require.True(t, ok, line)
			c[name] = value
		}
		out[f[0]] = c
	}
	return out
}

// release is what uname -r of a kernel of the table says.
func release(kernel string) string {
	switch {
	case strings.HasPrefix(kernel, "d612-"), strings.HasPrefix(kernel, "u612-"):
		return "6.12.117-small"
	case strings.HasPrefix(kernel, "d73s-"):
		return "7.3.4-small"
	}
	return kernel
}

// newBoot enrols what the lab enrolled in the scenario (boot.sh).
func newBoot(t *testing.T, b *builder, r row, configs map[string]verdict.KernelConfig) *boot {
	t.Helper()
	name := strings.TrimSuffix(r.kernel, "-ovmf2025") // another firmware, the same kernel
	kc, ok := configs[name]
	require.True(t, ok, name)
	c := verdict.Config{
		Kernel: &verdict.Kernel{
			Release: release(r.kernel), Config: kc, Vermagic: vermagic, ModuleSize: moduleSize,
		},
		Machine: "amd64", Profile: "debian", Codecs: []kmod.Codec{kmod.XZ, kmod.Zstd},
	}
	if strings.HasPrefix(name, "u") {
		c.Profile = "upstream"
	}
	enrol := []string{
		"good2048", "good4096", "ecp256", "ecp384", "noext", "serverauth", "modonly", "ca", "expired", "revoked",
		"nosxi", "ca-digsig", "ca-nocertsign", "mldsa44", "mldsa65", "mldsa87",
	}
	kernelSigner := strings.Contains(name, "612-") || strings.HasPrefix(name, "d73s-")
	if kernelSigner && r.scenario != "nomok" {
		enrol = append(enrol, "ksign")
	}
	c.Anchors = append(c.Anchors, b.anchor(t, "distro", verdict.Builtin))
	where := verdict.MOK
	switch r.scenario {
	case "mok", "mokuntrusted":
		c.Revoked = b.revoked(t)
		if r.scenario == "mokuntrusted" {
			c.MokListTrusted = verdict.Off
		}
	case "nomok":
		enrol = nil
		if kernelSigner {
			c.Anchors = append(c.Anchors, b.anchor(t, "ksign", verdict.DB))
		}
	case "db":
		where = verdict.DB
	case "sboff":
		c.SecureBoot = verdict.Off
	default:
		t.Fatalf("scenario %s", r.scenario)
	}
	for _, n := range enrol {
		c.Anchors = append(c.Anchors, b.anchor(t, n, where))
	}
	return &boot{config: c, judges: map[string]*verdict.Judge{}, said: map[string]bool{}}
}

// try predicts one row.
func (b *boot) try(t *testing.T, build *builder, r row) (result, message string) {
	t.Helper()
	if strings.HasPrefix(r.name, "load-") { // the crypto module, kept loaded from here on
		b.config.Kernel.Loaded, b.judges = []string{"sha512_generic"}, map[string]*verdict.Judge{}
		return b.judge(t, r.method, build.make(t, "distro-signed"))
	}
	name := strings.TrimSuffix(r.name, "-after-sha512-loaded")
	if name == "other-kernel" && r.kernel == "6.1.0-56-amd64" {
		name = "mok-rsa2048-sha256" // the lab's other kernel was this very one
	}
	return b.judge(t, r.method, build.make(t, name))
}

func (b *boot) judge(t *testing.T, method string, module []byte) (result, message string) {
	t.Helper()
	j := b.judges[method]
	if j == nil {
		c := b.config
		c.Process = "init"
		switch method {
		case "finit", "init", "keep":
			c.Load = verdict.LoadAsIs
		case "finit-z":
			c.Load = verdict.LoadCompressed
		case "kmod":
			c.Load, c.Process = verdict.LoadUserSpace, "insmod"
		default:
			t.Fatalf("method %s", method)
		}
		var err error
		j, err = verdict.New(c)
		require.NoError(t, err)
		b.judges[method] = j
	}
	v := j.One(verdict.Module{Path: "x.ko", Stored: module})
	result = "OK"
	if v.State != verdict.Loads {
		result = v.Errno
		if method == "kmod" {
			result = "insmod-failed"
		}
	}
	for _, line := range v.Kmsg {
		if !b.once(line) {
			return result, line
		}
	}
	return result, ""
}

// once reports a line that the kernel prints once only and has printed.
func (b *boot) once(line string) bool {
	for _, part := range []string{"module verification failed: ", "Waived invalid module sig"} {
		if strings.Contains(line, part) {
			said := b.said[part]
			b.said[part] = true
			return said
		}
	}
	return false
}

const (
	vermagic   = "6.12.117-test SMP mod_unload "
	moduleSize = 128
	text       = "Secure Boot load probe"
)

// writeModules makes the plain modules that make.sh signs.
func writeModules(t *testing.T) {
	t.Helper()
	spec := kmodtest.Spec{Name: "sbprobe", Machine: "amd64", Vermagic: vermagic, Info: []string{"about=" + text}}
	probe := kmodtest.Build(spec)
	spec.Name = "efivarfs"
	distro := kmodtest.Build(spec)
	for name, data := range map[string][]byte{"probe.ko": probe, "distro.ko": distro, "other.ko": resize(t, probe)} {
		require.NoError(t, os.WriteFile(filepath.Join(golden, name), data, 0o644))
	}
}

// resize gives struct module another size: a module of another kernel.
func resize(t *testing.T, module []byte) []byte {
	t.Helper()
	f, err := elf.NewFile(bytes.NewReader(module))
	require.NoError(t, err)
	out := bytes.Clone(module)
	headers := binary.LittleEndian.Uint64(out[40:])
	for i, s := range f.Sections {
		if s.Name == ".gnu.linkonce.this_module" {
			binary.LittleEndian.PutUint64(out[headers+uint64(i)*64+32:], s.Size-8)
			return out
		}
	}
	t.Fatal("no struct module")
	return nil
}

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

func TestGoldenHashesAreHex(t *testing.T) {
	t.Parallel()
	_, err := hex.DecodeString(strings.Repeat("ab", 32))
	require.NoError(t, err)
	assert.Equal(t, "Module hash HASH is blacklisted", normal("Module hash "+strings.Repeat("ab", 32)+" is blacklisted"))
}
