package verdict

import (
	"slices"
	"strings"

	"github.com/kmodseal/kmodseal/pkg/fault"
)

// Kernel is what is known of a target kernel; see LoadKernel. Nil and empty
// fields are unknown.
type Kernel struct {
	Release    string
	Vermagic   string // that of a module that belongs to this kernel
	Machine    string // GOARCH
	Config     KernelConfig
	Symvers    *Symvers
	ModuleSize int      // bytes of struct module, as its modules have it
	Loaded     []string // modules that are loaded already, such as sha512_generic
	From       string   // folder or files, for messages
}

// kernel is the target while a judge works: facts, rules and keyrings. The
// last two fields belong to one module.
type kernel struct {
	release string
	machine string
	version version
	profile profile
	facts   Kernel
	rules   rules
	oids    *registry
	process string

	rings        rings
	blockedCerts map[string]bool // by SHA-256 of what is signed of them
	blockedFiles map[string]bool
	modules      map[string]bool // that Symvers names

	log       []string
	unchecked []string
}

func newKernel(c *Config) (*kernel, error) {
	k := &kernel{release: c.Release, machine: c.Machine, process: c.process()}
	if c.Kernel != nil {
		k.facts = *c.Kernel
		if k.release == "" {
			k.release = k.facts.Release
		}
		if k.machine == "" {
			k.machine = k.facts.Machine
		}
	}
	if k.machine == "" {
		k.machine = machineOf(k.facts.Config, k.release)
	}
	k.version = parseVersion(k.release)
	p, err := findProfile(c.Profile, k.release, k.facts.Config)
	if err != nil {
		return nil, err
	}
	k.profile = p
	if !k.version.known() {
		k.version = assumed()
	}
	k.oids, k.modules = newRegistry(k.version), k.facts.Symvers.moduleSet()
	k.rules = k.resolve(c)
	k.fill(c)
	return k, nil
}

// machineOf is the architecture (GOARCH) that a config or the end of a
// distribution's release tells; empty: neither does.
func machineOf(c KernelConfig, release string) string {
	for _, m := range []struct{ symbol, suffix, machine string }{
		{"X86_64", "-amd64", "amd64"},
		{"X86_64", ".x86_64", "amd64"},
		{"ARM64", "-arm64", "arm64"},
		{"ARM64", ".aarch64", "arm64"},
		{"S390", "s390x", "s390x"},
		{"", "ppc64le", "ppc64le"}, // two symbols tell it
	} {
		if c[m.symbol] == "y" || c == nil && strings.HasSuffix(release, m.suffix) {
			return m.machine
		}
	}
	return ""
}

// profileError lists what there is.
func profileError(name string) error {
	return fault.New(fault.Usage, "kernel profile %q: not known", name).
		Hint("use debian or upstream, or leave it out to have it told by release and config")
}

// note lists a fact that is missing, once.
func (k *kernel) note(what string) {
	if !slices.Contains(k.unchecked, what) {
		k.unchecked = append(k.unchecked, what)
	}
}

// hash is one digest: the config symbols that provide it and the modules that
// do where a symbol is "m".
type hash struct {
	names   []string
	symbols []string
	modules []string
}

func hashes() []hash {
	return []hash{
		{[]string{"sha224", "sha256"}, []string{"CRYPTO_SHA256"}, []string{"sha256_generic", "sha256"}},
		{[]string{"sha1"}, []string{"CRYPTO_SHA1"}, []string{"sha1_generic", "sha1"}},
		{
			[]string{"sha384", "sha512"},
			[]string{"CRYPTO_SHA512", "CRYPTO_SHA512_SSSE3", "CRYPTO_SHA512_ARM64", "CRYPTO_SHA512_ARM64_CE"},
			[]string{"sha512_generic", "sha512", "sha512_ssse3", "sha512_arm64", "sha512_ce"},
		},
		{
			[]string{"sha3-256", "sha3-384", "sha3-512"},
			[]string{"CRYPTO_SHA3", "CRYPTO_SHA3_ARM64"},
			[]string{"sha3_generic", "sha3", "sha3_ce"},
		},
		{[]string{"md4"}, []string{"CRYPTO_MD4"}, []string{"md4"}},
		{[]string{"md5"}, []string{"CRYPTO_MD5"}, []string{"md5"}},
		{[]string{"sm3"}, []string{"CRYPTO_SM3", "CRYPTO_SM3_GENERIC"}, []string{"sm3_generic", "sm3"}},
		{[]string{"streebog256", "streebog512"}, []string{"CRYPTO_STREEBOG"}, []string{"streebog_generic"}},
	}
}

// hasHash: can the kernel compute this digest now? Of an unknown kernel
// SHA-256 is taken for granted, others are noted.
func (k *kernel) hasHash(name string) bool {
	for _, h := range hashes() {
		if slices.Contains(h.names, name) {
			return k.provides("hash "+name, h.symbols, h.modules)
		}
	}
	return false
}

// hasKeyType is the same for a key's algorithm; RSA is taken for granted.
func (k *kernel) hasKeyType(algo string) bool {
	symbol, modules := "", []string(nil)
	switch {
	case algo == "rsa":
		symbol, modules = "CRYPTO_RSA", []string{"rsa_generic"}
	case algo == "ecrdsa":
		symbol, modules = "CRYPTO_ECRDSA", []string{"ecrdsa_generic"}
	case algo == "sm2":
		symbol, modules = "CRYPTO_SM2", []string{"sm2_generic"}
	case isMLDSA(algo):
		symbol, modules = "CRYPTO_MLDSA", []string{"mldsa"}
	default:
		symbol, modules = "CRYPTO_ECDSA", []string{"ecdsa_generic"}
	}
	return k.provides("key type "+algo, []string{symbol}, modules)
}

func (k *kernel) provides(what string, symbols, modules []string) bool {
	if k.facts.Config == nil {
		if what != "hash sha256" && what != "key type rsa" {
			k.note("whether the kernel has " + what + ": no kernel config")
		}
		return true
	}
	module := ""
	for _, s := range symbols {
		switch k.facts.Config[s] {
		case "y":
			return true
		case "m":
			if slices.ContainsFunc(k.facts.Loaded, func(l string) bool { return slices.Contains(modules, l) }) {
				return true
			}
			module = s
		}
	}
	if module != "" {
		k.note("whether " + what + " is loaded: it is a module of the kernel (" + module + "=m), and is taken as not loaded")
	}
	return false
}
