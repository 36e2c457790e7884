package verdict_test

import (
	"bytes"
	"compress/gzip"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/kmod"
	"github.com/kmodseal/kmodseal/pkg/kmodtest"
	"github.com/kmodseal/kmodseal/pkg/verdict"
)

const (
	configText = "# comment\nCONFIG_MODULE_SIG=y\n# CONFIG_IMA_ARCH_POLICY is not set\nCONFIG_CRYPTO_SHA512=m\nCONFIG_BUILD_SALT=\"6.1.0-56-amd64\"\n"
	symvers    = "0x12345678\tprintk\tvmlinux\tEXPORT_SYMBOL\t\n0x00000007\tmedia_x\tdrivers/media/mc/mc\tEXPORT_SYMBOL_GPL\tMEDIA\n"
)

func gz(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write([]byte(text))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

func pack(t *testing.T, text string, c kmod.Codec) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, kmod.Encode(&b, []byte(text), c))
	return b.Bytes()
}

func TestParseConfig(t *testing.T) {
	t.Parallel()
	for name, data := range map[string][]byte{"plain": []byte(configText), "gzip": gz(t, configText), "CRLF": []byte(strings.ReplaceAll(configText, "\n", "\r\n"))} {
		c, err := verdict.ParseConfig(bytes.NewReader(data))
		require.NoError(t, err, name)
		assert.Equal(t, verdict.KernelConfig{
			"MODULE_SIG": "y", "IMA_ARCH_POLICY": "n", "CRYPTO_SHA512": "m", "BUILD_SALT": "6.1.0-56-amd64",
		}, c, name)
	}
	for name, data := range map[string][]byte{"empty": nil, "text": []byte("hello\n"), "cut gzip": gz(t, configText)[:20]} {
		_, err := verdict.ParseConfig(bytes.NewReader(data))
		assert.Equal(t, fault.Input, fault.ClassOf(err), name)
	}
}

func TestParseSymvers(t *testing.T) {
	t.Parallel()
	for name, data := range map[string][]byte{"plain": []byte(symvers), "gzip": gz(t, symvers), "xz": pack(t, symvers, kmod.XZ), "zstd": pack(t, symvers, kmod.Zstd)} {
		s, err := verdict.ParseSymvers(bytes.NewReader(data))
		require.NoError(t, err, name)
		assert.Equal(t, map[string]verdict.Export{
			"printk":  {CRC: 0x12345678, Module: "vmlinux"},
			"media_x": {CRC: 7, Module: "drivers/media/mc/mc", GPL: true, Namespace: "MEDIA"},
		}, s.Symbols, name)
	}
	for name, text := range map[string]string{
		"empty": "", "no tabs": "0x1 a vmlinux EXPORT_SYMBOL\n", "no 0x": "1\ta\tvmlinux\tEXPORT_SYMBOL\n",
		"CRC too long": "0x123456789\ta\tvmlinux\tEXPORT_SYMBOL\n", "no kind": "0x1\ta\tvmlinux\tx\n", "no name": "0x1\t\tvmlinux\tEXPORT_SYMBOL\n",
		"too many fields": "0x1\ta\tvmlinux\tEXPORT_SYMBOL\tNS\tx\n",
	} {
		_, err := verdict.ParseSymvers(strings.NewReader(text))
		assert.Equal(t, fault.Input, fault.ClassOf(err), name)
	}
}

func TestLoadKernel(t *testing.T) {
	t.Parallel()
	const r = "6.1.0-56-amd64"
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	module := &fstest.MapFile{Data: kmodtest.Build(kmodtest.Spec{Name: "dummy", Release: r, Machine: "amd64"})}
	image := fstest.MapFS{
		"boot/config-" + r: file(configText), "lib/modules/" + r + "/kernel/drivers/net/dummy.ko": module,
		"usr/share/doc/x": file(""),
	}
	k, err := verdict.LoadKernel(image, "")
	require.NoError(t, err)
	assert.Equal(t, r, k.Release)
	assert.Equal(t, "amd64", k.Machine)
	assert.Equal(t, 128, k.ModuleSize)
	assert.Contains(t, k.Vermagic, r)
	assert.Equal(t, "y", k.Config["MODULE_SIG"])
	assert.Nil(t, k.Symvers)

	headers := fstest.MapFS{
		"usr/src/linux-headers-" + r + "/.config": file(configText), "usr/src/linux-headers-" + r + "/Module.symvers": file(symvers),
		"usr/src/linux-headers-6.1.0-56-common/Makefile": file(""),
	}
	k, err = verdict.LoadKernel(headers, "")
	require.NoError(t, err)
	assert.Equal(t, r, k.Release)
	assert.Len(t, k.Symvers.Symbols, 2)

	build := fstest.MapFS{".config": file(configText), "Module.symvers": file(symvers), "include/config/kernel.release": file("6.12.117-small\n")}
	k, err = verdict.LoadKernel(build, "")
	require.NoError(t, err)
	assert.Equal(t, "6.12.117-small", k.Release)
	assert.NotNil(t, k.Config)

	fedora := fstest.MapFS{"lib/modules/6.11.4-301.fc41.x86_64/config": file(configText), "lib/modules/6.11.4-301.fc41.x86_64/symvers.xz": {Data: pack(t, symvers, kmod.XZ)}}
	k, err = verdict.LoadKernel(fedora, "")
	require.NoError(t, err)
	assert.Equal(t, "6.11.4-301.fc41.x86_64", k.Release)
	assert.NotNil(t, k.Symvers)

	two := fstest.MapFS{"boot/config-" + r: file(configText), "boot/config-6.12.1-2-amd64": file(configText)}
	_, err = verdict.LoadKernel(two, "")
	assert.Equal(t, fault.Usage, fault.ClassOf(err))
	k, err = verdict.LoadKernel(two, "6.12.1-2-amd64")
	require.NoError(t, err)
	assert.Equal(t, "6.12.1-2-amd64", k.Release)
	_, err = verdict.LoadKernel(two, "5.10.0-1-amd64")
	assert.Equal(t, fault.Usage, fault.ClassOf(err))

	for name, dir := range map[string]fstest.MapFS{
		"empty":          {},
		"no kernel":      {"usr/bin/x": file("")},
		"broken config":  {"boot/config-" + r: file("hello")},
		"broken symvers": {"boot/config-" + r: file(configText), "usr/src/linux-headers-" + r + "/Module.symvers": file("hello")},
		"broken module":  {"lib/modules/" + r + "/kernel/x.ko": file("hello")},
	} {
		_, err := verdict.LoadKernel(dir, "")
		assert.Equal(t, fault.Input, fault.ClassOf(err), name)
	}
}

// TestMachineIsTold: by the config, or by the end of a distribution's release.
func TestMachineIsTold(t *testing.T) {
	t.Parallel()
	module := kmodtest.Build(kmodtest.Spec{Name: "m", Machine: "arm64", Release: "6.1.0-56-amd64"})
	for name, c := range map[string]struct {
		kernel verdict.Kernel
		state  verdict.State
	}{
		"Debian":      {verdict.Kernel{Release: "6.1.0-56-amd64"}, verdict.WrongKernel},
		"Fedora":      {verdict.Kernel{Release: "6.11.4-301.fc41.x86_64"}, verdict.WrongKernel},
		"config":      {verdict.Kernel{Release: "6.1.0-custom", Config: verdict.KernelConfig{"X86_64": "y"}}, verdict.WrongKernel},
		"neither":     {verdict.Kernel{}, verdict.Loads},
		"the machine": {verdict.Kernel{Release: "6.1.0-56-amd64", Machine: "arm64"}, verdict.Loads},
	} {
		j, err := verdict.New(verdict.Config{Kernel: &c.kernel, SecureBoot: verdict.Off, SigEnforce: verdict.Off, Lockdown: verdict.Off})
		require.NoError(t, err)
		v := j.One(verdict.Module{Path: "m.ko", Stored: module})
		assert.Equal(t, c.state, v.State, "%s: %s", name, v.Reason)
		if c.state == verdict.WrongKernel {
			assert.Contains(t, v.Reason, "for arm64, the kernel for amd64", name)
		}
	}
}
