package verdict_test

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
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

func TestNormal(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "Module hash HASH is blacklisted", normal("Module hash "+strings.Repeat("ab", 32)+" is blacklisted"))
	assert.Empty(t, normal("alg: No test for pkcs1pad(rsa,sha1) (pkcs1pad(rsa-generic,sha1))"))
	assert.Equal(t, normal("1.2.3"), normal("PKCS7: Unknown OID: [151] 1.2.3"))
}
