package verdict

import (
	"regexp"

	"github.com/kmodseal/kmodseal/pkg/kmod"
)

// Rule is one of the kernel's rules, by the name that Verdict.Rule gives.
type Rule struct {
	Name   string
	Source string // kernel file that it mirrors
	About  string // one phrase
}

// The names of the rules, in the order in which the kernel applies them.
const (
	ruleEmpty        = "empty-file"
	ruleKmodCodec    = "kmod-codec"
	ruleDecompress   = "decompress"
	ruleMarker       = "marker"
	ruleTrailer      = "trailer"
	ruleMessage      = "pkcs7-shape"
	ruleAttributes   = "no-signed-attributes"
	ruleDetached     = "detached"
	ruleDigest       = "digest-known"
	ruleInternal     = "pkcs7-verify"
	ruleRevoked      = "revocation-list"
	ruleSignerName   = "signer-name"
	ruleKeyring      = "key-in-keyring"
	rulePlatform     = "platform-keyring"
	ruleSignature    = "signature-value"
	ruleFileHash     = "file-hash-block-list"
	ruleNoSignatures = "no-signature-check"
	ruleTolerated    = "not-enforced"
	ruleELF          = "elf"
	ruleArch         = "elf-machine"
	ruleModuleSize   = "this-module-size"
	ruleLayout       = "module-layout"
	ruleVermagic     = "vermagic"
	ruleExportCRC    = "export-version"
	ruleSymbol       = "symbol"
	ruleSymbolCRC    = "symbol-version"
	ruleNamespace    = "symbol-namespace"
	ruleDepends      = "depends"
	ruleRelocation   = "relocation"
	ruleDuplicate    = "duplicate-symbol"
)

// Rules lists every rule that a Verdict can name.
func Rules() []Rule {
	return []Rule{
		{ruleEmpty, "fs/kernel_read_file.c", "an empty file is refused before anything looks at it"},
		{ruleKmodCodec, "kmod: libkmod/libkmod-file*.c", "kmod decompresses what the kernel does not"},
		{ruleDecompress, "kernel/module/decompress.c", "the kernel decompresses one codec, the one it was built for"},
		{ruleNoSignatures, "kernel/module/internal.h", "a kernel without MODULE_SIG looks at no signature"},
		{ruleMarker, "kernel/module/signing.c", "a signed module ends in the marker, to the byte"},
		{ruleTrailer, "kernel/module_signature.c", "the trailer says PKCS#7, its length fits, all else is zero"},
		{ruleMessage, "crypto/asymmetric_keys/pkcs7_parser.c", "the signature is a PKCS#7 message that the kernel can read"},
		{ruleDetached, "certs/system_keyring.c", "the message has no content of its own"},
		{ruleAttributes, "crypto/asymmetric_keys/pkcs7_verify.c", "module signatures have no signed attributes"},
		{ruleDigest, "crypto/asymmetric_keys/pkcs7_verify.c", "the kernel has the digest and the kind of signature"},
		{ruleInternal, "crypto/asymmetric_keys/pkcs7_verify.c", "the signature fits the certificates that the message carries"},
		{ruleRevoked, "certs/blacklist.c", "with SYSTEM_REVOCATION_LIST no signer may be in dbx or MokListX"},
		{ruleSignerName, "crypto/asymmetric_keys/asymmetric_type.c", "a signer is named by at least one byte; else the search for its key is refused"},
		{ruleKeyring, "crypto/asymmetric_keys/pkcs7_trust.c", "the signer, or a certificate above it in the message, is in a trusted keyring"},
		{rulePlatform, "kernel/module/signing.c (Debian)", "Debian asks the .platform keyring (db) a second time"},
		{ruleSignature, "crypto/asymmetric_keys/public_key.c", "the signature fits the module and the trusted key"},
		{ruleFileHash, "kernel/module/signing.c (Debian up to 6.12)", "the SHA-256 of the whole file is not in dbx or MokListX"},
		{ruleTolerated, "kernel/module/signing.c", "nothing enforces signatures: unsigned, unknown key and unsupported crypto pass and taint"},
		{ruleELF, "kernel/module/main.c (elf_validity_check)", "the file is a relocatable ELF file, whose sections lie inside it, with a symbol table"},
		{ruleArch, "kernel/module/main.c", "the ELF machine is the kernel's"},
		{ruleModuleSize, "kernel/module/main.c", "since 6.4 struct module has the kernel's own size"},
		{ruleLayout, "kernel/module/version.c", "the CRC of module_layout is the kernel's"},
		{ruleVermagic, "kernel/module/main.c", "vermagic is the kernel's; with symbol versions its release does not count"},
		{ruleExportCRC, "kernel/module/main.c", "symbols are exported with their versions"},
		{ruleSymbolCRC, "kernel/module/version.c", "each symbol has the CRC that the module was built with"},
		{ruleNamespace, "kernel/module/main.c", "a symbol of a namespace needs import_ns, or since 6.16 a namespace that names the module"},
		{ruleSymbol, "kernel/module/main.c", "each undefined symbol is exported by the kernel or a loaded module"},
		{ruleRelocation, "arch/arm64/kernel/module.c", "the loader knows the relocations of the module's code"},
		{ruleDuplicate, "kernel/module/main.c", "no export has the name of one of the kernel's"},
		{ruleDepends, "kmod: depmod, modprobe", "each module named in depends is there"},
	}
}

// profile is what a family of kernels does that no config option tells.
type profile struct {
	name    string
	pattern string            // releases (or CONFIG_BUILD_SALT) that are told by it
	config  map[string]string // what is taken where no config is known
	guessed bool              // config is not measured
	codecs  []kmod.Codec      // of its kmod

	// Additions to the kernel's source, with the version that dropped them; the
	// zero version: none did.
	platformRetry, mokAlwaysTrusted, fileBlockList addition
}

// addition is a change of the kernel's source. Between last and gone it is not
// known (nothing was measured); it is taken as still there.
type addition struct {
	has        bool
	last, gone version
}

// in reports whether v has a; sure is false where nobody measured.
func (a addition) in(v version) (has, sure bool) {
	if !a.has {
		return false, true
	}
	if a.gone.known() && !v.before(a.gone) {
		return false, true
	}
	return true, !a.last.known() || !a.last.before(v)
}

// profiles are the families. Debian: measured on 6.1, 6.12 and 7.3; upstream:
// read in kernel.org's source and measured on 6.12 without Debian's changes.
func profiles() []profile {
	measured := addition{has: true, last: version{6, 12}, gone: version{7, 3}}
	return []profile{
		{
			name: "debian",
			pattern: `\+deb\d+|^\d+\.\d+\.\d+-\d+-(cloud-|rt-)?` +
				`(amd64|arm64|arm64-16k|armmp|armmp-lpae|rpi|marvell|686|686-pae|powerpc64le|riscv64|s390x|loong64|loongson-3|[45]kc-malta|octeon)$`,
			config: map[string]string{
				"IMA_ARCH_POLICY": "y", "LOCK_DOWN_IN_EFI_SECURE_BOOT": "y", "MODULE_FORCE_LOAD": "y",
				"INTEGRITY_PLATFORM_KEYRING": "y", "INTEGRITY_MACHINE_KEYRING": "y",
			},
			codecs:        []kmod.Codec{kmod.XZ, kmod.Zstd},
			platformRetry: addition{has: true}, mokAlwaysTrusted: measured, fileBlockList: measured,
		},
		{
			name:    "upstream",
			guessed: true,
			config: map[string]string{
				"IMA_ARCH_POLICY": "y", "INTEGRITY_PLATFORM_KEYRING": "y", "INTEGRITY_MACHINE_KEYRING": "y",
			},
			codecs: []kmod.Codec{kmod.Gzip, kmod.XZ, kmod.Zstd},
		},
	}
}

// findProfile gives the profile by name, or the first one that the release or
// the config tells.
func findProfile(name, release string, c KernelConfig) (profile, error) {
	all := profiles()
	for _, p := range all {
		switch {
		case name != "" && p.name == name:
			return p, nil
		case name == "" && p.told(release, c):
			return p, nil
		}
	}
	if name != "" {
		return profile{}, profileError(name)
	}
	return all[len(all)-1], nil
}

func (p profile) told(release string, c KernelConfig) bool {
	if release == "" {
		release = c["BUILD_SALT"]
	}
	return p.pattern != "" && regexp.MustCompile(p.pattern).MatchString(release)
}

// rules are the profile's and the config's rules for one target.
type rules struct {
	checksSignatures bool
	enforce          bool
	lockdown         bool

	machine, machineCA, machineCAMax bool
	noMOK                            string // why MOK certificates get nowhere
	noPlatform                       string // why there is no .platform keyring
	platformRetry                    bool
	fileBlockList                    bool
	revocation                       bool
	waivesAttributes                 bool
	readsKeyUsage                    bool
	certHashSHA256                   bool
	moduleSize                       bool
	symbolNames                      bool

	doubts []string // what the profile does not tell for sure
}

// is reports whether a config option is y: as the config says, without one as
// the profile takes it.
func (k *kernel) is(symbol string) bool {
	if k.facts.Config != nil {
		return k.facts.Config[symbol] == "y"
	}
	return k.profile.config[symbol] == "y"
}

func (k *kernel) resolve(c *Config) rules {
	secure := c.SecureBoot != Off
	r := rules{
		checksSignatures: k.facts.Config == nil || k.is("MODULE_SIG"),
		machineCA:        k.is("INTEGRITY_CA_MACHINE_KEYRING"),
		machineCAMax:     k.is("INTEGRITY_CA_MACHINE_KEYRING_MAX"),
		revocation:       k.is("SYSTEM_REVOCATION_LIST"),
		waivesAttributes: k.is("PKCS7_WAIVE_AUTHATTRS_REJECTION_FOR_MLDSA"),
		readsKeyUsage:    !k.version.before(version{6, 4}),
		certHashSHA256:   !k.version.before(version{7, 0}),
		moduleSize:       !k.version.before(version{6, 4}),
		symbolNames:      !k.version.before(version{6, 14}),
	}
	r.enforce = c.SigEnforce == On || k.is("MODULE_SIG_FORCE") ||
		c.SigEnforce == Auto && secure && k.is("IMA_ARCH_POLICY")
	r.lockdown = c.Lockdown == On || k.is("LOCK_DOWN_KERNEL_FORCE_INTEGRITY") || k.is("LOCK_DOWN_KERNEL_FORCE_CONFIDENTIALITY") ||
		c.Lockdown == Auto && secure && k.is("LOCK_DOWN_IN_EFI_SECURE_BOOT")
	if !secure {
		r.noMOK = "without Secure Boot the kernel does not read the MOK list"
	}
	if !k.is("INTEGRITY_PLATFORM_KEYRING") {
		r.noPlatform = "the kernel has no .platform keyring (INTEGRITY_PLATFORM_KEYRING)"
	}
	always := k.addition(&r, k.profile.mokAlwaysTrusted, "whether a MOK list that is not trusted counts all the same")
	r.machine = k.is("INTEGRITY_MACHINE_KEYRING") && (always || c.MokListTrusted != Off)
	r.platformRetry = k.addition(&r, k.profile.platformRetry, "") && r.noPlatform == ""
	r.fileBlockList = k.addition(&r, k.profile.fileBlockList, "whether the kernel looks for the file's hash in dbx and MokListX")
	return r
}

func (k *kernel) addition(r *rules, a addition, doubt string) bool {
	has, sure := a.in(k.version)
	if !sure {
		r.doubts = append(r.doubts, doubt+": not measured on this version")
	}
	return has
}
