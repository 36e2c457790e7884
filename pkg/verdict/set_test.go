package verdict_test

import (
	"bytes"
	"crypto/x509"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/kmodtest"
	"github.com/kmodseal/kmodseal/pkg/modsig"
	"github.com/kmodseal/kmodseal/pkg/verdict"
)

const rel = "6.12.117+deb12-amd64"

// layout is what every module of a kernel with MODVERSIONS carries.
var layout = kmodtest.Symbol{Name: "module_layout", CRC: 0xabc} //nolint:gochecknoglobals // constant of a test

func kernelWith(extra map[string]verdict.Export) *verdict.Kernel {
	symbols := map[string]verdict.Export{
		"module_layout": {CRC: 0xabc, Module: "vmlinux"},
		"_printk":       {CRC: 1, Module: "vmlinux"},
		"gpl_only":      {CRC: 2, Module: "vmlinux", GPL: true},
		"in_space":      {CRC: 3, Module: "vmlinux", Namespace: "SPACE"},
		"mc_register":   {CRC: 4, Module: "drivers/media/mc/mc"},
	}
	for k, v := range extra {
		symbols[k] = v
	}
	return &verdict.Kernel{
		Release: rel, Machine: "amd64", Symvers: &verdict.Symvers{Symbols: symbols},
		Config: verdict.KernelConfig{
			"MODULE_SIG": "y", "MODVERSIONS": "y", "IMA_ARCH_POLICY": "y", "INTEGRITY_PLATFORM_KEYRING": "y",
			"INTEGRITY_MACHINE_KEYRING": "y", "CRYPTO_RSA": "y", "CRYPTO_SHA256": "y",
		},
	}
}

func TestSet(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "mok")
	spec := func(name string, want []kmodtest.Symbol, give ...kmodtest.Symbol) kmodtest.Spec {
		return kmodtest.Spec{Name: name, Release: rel, Machine: "amd64", Undefined: append([]kmodtest.Symbol{layout}, want...), Exports: give}
	}
	module := func(sp kmodtest.Spec) verdict.Module {
		return verdict.Module{Path: sp.Name + ".ko", Stored: s.sign(t, kmodtest.Build(sp), modsig.Options{})}
	}
	unsigned := func(sp kmodtest.Spec) verdict.Module {
		return verdict.Module{Path: sp.Name + ".ko", Stored: kmodtest.Build(sp)}
	}
	depends := func(sp kmodtest.Spec, on ...string) kmodtest.Spec { sp.Depends = on; return sp }
	sym := func(name string, crc uint32) []kmodtest.Symbol { return []kmodtest.Symbol{{Name: name, CRC: crc}} }
	give := spec("give", sym("_printk", 1), kmodtest.Symbol{Name: "given", CRC: 9})
	take := depends(spec("take", sym("given", 9)), "give")
	proprietary := bytes.Replace(kmodtest.Build(spec("prop", sym("gpl_only", 2))), []byte("license=GPL"), []byte("license=BSD"), 1)
	giveGPL := spec("givegpl", nil, kmodtest.Symbol{Name: "given_gpl", CRC: 9, GPL: true})
	takeGPL := depends(spec("takegpl", sym("given_gpl", 9)), "givegpl")
	notGPL := func(sp kmodtest.Spec) verdict.Module {
		b := bytes.Replace(kmodtest.Build(sp), []byte("license=GPL"), []byte("license=BSD"), 1)
		return verdict.Module{Path: sp.Name + ".ko", Stored: s.sign(t, b, modsig.Options{})}
	}
	flagged := giveGPL
	flagged.ExportFlags = true
	space := spec("space", sym("in_space", 3))
	space.ImportNS = []string{"SPACE"}

	type want struct {
		state verdict.State
		errno string
		dmesg string
		rule  string
		order int
	}
	ok := func(n int) want { return want{verdict.Loads, "", "", "key-in-keyring", n} }
	for name, c := range map[string]struct {
		set  []verdict.Module
		load verdict.LoadMethod
		want []want
	}{
		"kernel symbol":      {set: []verdict.Module{module(give)}, want: []want{ok(1)}},
		"from the set":       {set: []verdict.Module{module(take), module(give)}, want: []want{ok(2), ok(1)}},
		"from the kernel's":  {set: []verdict.Module{module(depends(spec("m", sym("mc_register", 4)), "mc"))}, want: []want{ok(1)}},
		"namespace imported": {set: []verdict.Module{module(space)}, want: []want{ok(1)}},
		"weak":               {set: []verdict.Module{module(spec("w", []kmodtest.Symbol{{Name: "nowhere", Weak: true}}))}, want: []want{ok(1)}},
		"nowhere": {
			set:  []verdict.Module{module(spec("n", sym("nowhere", 5)))},
			want: []want{{verdict.MissingSymbol, "ENOENT", "n: Unknown symbol nowhere (err -2)", "symbol", 0}},
		},
		"insmod loads no dependency": {
			set: []verdict.Module{module(depends(spec("m", sym("mc_register", 4)), "mc"))}, load: verdict.LoadAsIs,
			want: []want{{verdict.MissingSymbol, "ENOENT", "m: Unknown symbol mc_register (err -2)", "symbol", 0}},
		},
		"wrong CRC": {
			set:  []verdict.Module{module(spec("c", sym("_printk", 7)))},
			want: []want{{verdict.MissingSymbol, "EINVAL", "c: disagrees about version of symbol _printk", "symbol-version", 0}},
		},
		"wrong CRC in the set": {
			set:  []verdict.Module{module(give), module(spec("c", sym("given", 8)))},
			want: []want{ok(1), {verdict.MissingSymbol, "EINVAL", "c: disagrees about version of symbol given", "symbol-version", 0}},
		},
		"no version": {
			set:  []verdict.Module{module(spec("v", []kmodtest.Symbol{{Name: "_printk"}}))},
			want: []want{{verdict.MissingSymbol, "EINVAL", "v: no symbol version for _printk", "symbol-version", 0}},
		},
		"another layout": {
			set:  []verdict.Module{module(kmodtest.Spec{Name: "l", Release: rel, Machine: "amd64", Undefined: sym("module_layout", 1)})},
			want: []want{{verdict.WrongKernel, "ENOEXEC", "l: disagrees about version of symbol module_layout", "module-layout", 0}},
		},
		"another release, same symbols": {
			set:  []verdict.Module{module(kmodtest.Spec{Name: "r", Release: "6.12.1", Machine: "amd64", Undefined: []kmodtest.Symbol{layout}})},
			want: []want{ok(1)},
		},
		"GPL only": {
			set:  []verdict.Module{{Path: "prop.ko", Stored: s.sign(t, proprietary, modsig.Options{})}},
			want: []want{{verdict.MissingSymbol, "ENOENT", "prop: Unknown symbol gpl_only (err -2)", "symbol", 0}},
		},
		"GPL only from the set": {
			set:  []verdict.Module{module(giveGPL), notGPL(takeGPL)},
			want: []want{ok(1), {verdict.MissingSymbol, "ENOENT", "takegpl: Unknown symbol given_gpl (err -2)", "symbol", 0}},
		},
		"GPL only from the set, as Linux 7 writes it": {
			set:  []verdict.Module{module(flagged), notGPL(takeGPL)},
			want: []want{ok(1), {verdict.MissingSymbol, "ENOENT", "takegpl: Unknown symbol given_gpl (err -2)", "symbol", 0}},
		},
		"GPL only, both under the GPL":    {set: []verdict.Module{module(giveGPL), module(takeGPL)}, want: []want{ok(1), ok(2)}},
		"GPL only from a proprietary one": {set: []verdict.Module{notGPL(giveGPL), module(takeGPL)}, want: []want{ok(1), {verdict.MissingSymbol, "ENOENT", "takegpl: Unknown symbol given_gpl (err -2)", "symbol", 0}}},
		"from a proprietary one":          {set: []verdict.Module{notGPL(give), module(take)}, want: []want{ok(1), ok(2)}},
		"GPL only behind a proprietary one's": {
			set:  []verdict.Module{notGPL(give), module(depends(spec("mix", append(sym("given", 9), sym("gpl_only", 2)...)), "give"))},
			want: []want{ok(1), {verdict.MissingSymbol, "ENOENT", "mix: Unknown symbol gpl_only (err -2)", "symbol", 0}},
		},
		"GPL only before a proprietary one's": {
			set:  []verdict.Module{notGPL(give), module(depends(spec("mix", append(sym("gpl_only", 2), sym("given", 9)...)), "give"))},
			want: []want{ok(1), {verdict.MissingSymbol, "ENOENT", "mix: Unknown symbol given (err -2)", "symbol", 0}},
		},
		"a symbol that the kernel exports": {
			set:  []verdict.Module{module(spec("dup", nil, kmodtest.Symbol{Name: "_printk", CRC: 1}))},
			want: []want{{verdict.WrongKernel, "ENOEXEC", "dup: exports duplicate symbol _printk (owned by kernel)", "duplicate-symbol", 0}},
		},
		"a symbol that a module of the kernel exports": {
			set:  []verdict.Module{module(spec("dup", nil, kmodtest.Symbol{Name: "mc_register", CRC: 4}))},
			want: []want{ok(1)},
		},
		"license that only begins like the GPL": {
			set:  []verdict.Module{{Path: "prop.ko", Stored: s.sign(t, bytes.Replace(kmodtest.Build(spec("prop", sym("gpl_only", 2))), []byte("license=GPL\x00author=k"), []byte("license=GPL v3\x00autho"), 1), modsig.Options{})}},
			want: []want{{verdict.MissingSymbol, "ENOENT", "prop: Unknown symbol gpl_only (err -2)", "symbol", 0}},
		},
		"namespace not imported": {
			set:  []verdict.Module{module(spec("s", sym("in_space", 3)))},
			want: []want{{verdict.MissingSymbol, "EINVAL", "s: module uses symbol (in_space) from namespace SPACE, but does not import it.", "symbol-namespace", 0}},
		},
		"dependency absent": {
			set:  []verdict.Module{module(take)},
			want: []want{{verdict.MissingDependency, "ENOENT", "", "depends", 0}},
		},
		"dependency unsigned": {
			set: []verdict.Module{module(take), unsigned(give)},
			want: []want{
				{verdict.MissingDependency, "EKEYREJECTED", "", "depends", 0},
				{verdict.Unsigned, "EKEYREJECTED", "Loading of unsigned module is rejected", "marker", 0},
			},
		},
		"two that need each other": {
			set:  []verdict.Module{module(depends(spec("a", nil), "b")), module(depends(spec("b", nil), "a"))},
			want: []want{{verdict.MissingDependency, "ENOENT", "", "depends", 0}, {verdict.MissingDependency, "ENOENT", "", "depends", 0}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j, err := verdict.New(verdict.Config{Trust: []*x509.Certificate{s.cert}, Kernel: kernelWith(nil), Load: c.load})
			require.NoError(t, err)
			var got []want
			for _, v := range j.Set(c.set) {
				got = append(got, want{v.State, v.Errno, v.Dmesg, v.Rule, v.Order})
				if v.State != verdict.Loads {
					assert.NotEmpty(t, v.Reason)
					assert.NotEmpty(t, v.Hint)
				}
			}
			assert.Equal(t, c.want, got)
		})
	}
}

// TestModuleNamespace: a namespace that lists modules is theirs, by name,
// since 6.16; nobody can import it (verify_module_namespace, setup_modinfo).
func TestModuleNamespace(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "mok")
	const since, before = "6.16.1-amd64", "6.15.9-amd64"
	refused := func(module, space string) answer {
		return answer{verdict.MissingSymbol, "EINVAL", module + ": module uses symbol (sym) from namespace " + space + ", but does not import it.", "symbol-namespace"}
	}
	loads := answer{verdict.Loads, "", "", "key-in-keyring"}
	for name, c := range map[string]struct {
		release, space, module string
		imports                []string
		want                   answer
	}{
		"named":                      {since, "module:kvm", "kvm", nil, loads},
		"among others":               {since, "module:a,kvm,b", "kvm", nil, loads},
		"last":                       {since, "module:a,kvm", "kvm", nil, loads},
		"dash for underscore":        {since, "module:kvm-amd", "kvm_amd", nil, loads},
		"underscore for dash":        {since, "module:kvm_amd", "kvm-amd", nil, loads},
		"glob":                       {since, "module:kvm-*", "kvm_amd", nil, loads},
		"glob of all":                {since, "module:*", "kvm", nil, loads},
		"another":                    {since, "module:kvm", "foo", nil, refused("foo", "module:kvm")},
		"shorter":                    {since, "module:kvm-amd", "kvm", nil, refused("kvm", "module:kvm-amd")},
		"longer":                     {since, "module:kvm", "kvm_amd", nil, refused("kvm_amd", "module:kvm")},
		"glob inside is a character": {since, "module:k*m", "kvm", nil, refused("kvm", "module:k*m")},
		"glob of another":            {since, "module:kvm-*", "kvm", nil, refused("kvm", "module:kvm-*")},
		"no list of modules":         {since, "kvm", "kvm", nil, refused("kvm", "kvm")},
		"capital":                    {since, "Module:kvm", "kvm", nil, refused("kvm", "Module:kvm")},
		"before 6.16":                {before, "module:kvm", "kvm", nil, refused("kvm", "module:kvm")},
		"imported before 6.16":       {before, "module:kvm", "foo", []string{"module:kvm"}, loads},
		"imported": {
			since, "module:kvm", "kvm",
			[]string{"X", "module:kvm"},
			answer{verdict.MissingSymbol, "EPERM", "kvm: module tries to import module namespace: module:kvm", "symbol-namespace"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := kernelWith(map[string]verdict.Export{"sym": {CRC: 3, Module: "vmlinux", Namespace: c.space}})
			k.Release = c.release
			j, err := verdict.New(verdict.Config{Trust: []*x509.Certificate{s.cert}, Kernel: k})
			require.NoError(t, err)
			body := kmodtest.Build(kmodtest.Spec{Name: c.module, Release: c.release, ImportNS: c.imports, Undefined: []kmodtest.Symbol{layout, {Name: "sym", CRC: 3}}})
			assert.Equal(t, c.want, answerOf(j.One(verdict.Module{Path: "m.ko", Stored: s.sign(t, body, modsig.Options{})})))
		})
	}
}

func TestSetIsDeterministic(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "mok")
	var set []verdict.Module
	for _, n := range []string{"c", "a", "b"} {
		body := kmodtest.Build(kmodtest.Spec{Name: n, Release: rel, Machine: "amd64", Undefined: []kmodtest.Symbol{layout, {Name: "x", CRC: 3}, {Name: "y", CRC: 4}}})
		set = append(set, verdict.Module{Path: n, Stored: s.sign(t, body, modsig.Options{})})
	}
	j, err := verdict.New(verdict.Config{Trust: []*x509.Certificate{s.cert}, Kernel: kernelWith(nil)})
	require.NoError(t, err)
	one := j.Set(set)
	for range 20 {
		assert.Equal(t, one, j.Set(set))
	}
}

// TestUnknownKernel: what is not known is said, and nothing else is refused.
func TestUnknownKernel(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "mok")
	body := kmodtest.Build(kmodtest.Spec{Name: "m", Release: rel, Machine: "amd64", Depends: []string{"mc"}, Undefined: []kmodtest.Symbol{layout, {Name: "mc_register", CRC: 4}}})
	j, err := verdict.New(verdict.Config{Trust: []*x509.Certificate{s.cert}})
	require.NoError(t, err)
	v := j.One(verdict.Module{Stored: s.sign(t, body, modsig.Options{Hash: 7})}) // crypto.SHA512
	assert.Equal(t, verdict.Loads, v.State, v.Reason)
	for _, want := range []string{"hash sha512", "release", "architecture", "Module.symvers", "module mc"} {
		assert.Contains(t, join(v.Unchecked), want)
	}
}

func join(list []string) string {
	out := ""
	for _, s := range list {
		out += s + "\n"
	}
	return out
}
