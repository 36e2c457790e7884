package suite

import (
	"bytes"
	"context"
	"crypto"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/kmodseal/kmodseal/e2e/secureboot/cases"
	"github.com/kmodseal/kmodseal/e2e/secureboot/fetch"
	"github.com/kmodseal/kmodseal/e2e/secureboot/probe"
	"github.com/kmodseal/kmodseal/e2e/secureboot/product"
	"github.com/kmodseal/kmodseal/e2e/secureboot/wire"
	"github.com/kmodseal/kmodseal/pkg/kmod"
	"github.com/kmodseal/kmodseal/pkg/modsig"
	"github.com/kmodseal/kmodseal/pkg/repack"
	"github.com/kmodseal/kmodseal/pkg/sign"
)

// productCases are modules that the project's own steps signed.
func (o Options) productCases(ctx context.Context, t *Target, trust *cases.Trust) ([]cases.Case, error) {
	dir := filepath.Join(o.Cache, "product", t.Kernel.Release)
	in := product.Modules{"sbprobe.ko": t.Probes["sbprobe"]}
	for _, c := range []kmod.Codec{kmod.XZ, kmod.Zstd, kmod.Gzip} {
		var b bytes.Buffer
		if err := kmod.Encode(&b, t.Probes["sbprobe"], c); err != nil {
			return nil, err
		}
		in["sbprobe.ko"+extension(c)] = b.Bytes()
	}
	var out []cases.Case
	for _, v := range []struct {
		name, cert string
		o          sign.Options
	}{
		{"good", "good", sign.Options{}},
		{"skid", "good", sign.Options{ID: modsig.SubjectKeyID}},
		{"sha384", "good", sign.Options{Hash: crypto.SHA384}},
		{"sha512", "rsa4096", sign.Options{Hash: crypto.SHA512}},
		{"p256", "p256", sign.Options{}},
		{"p384", "p384", sign.Options{Hash: crypto.SHA384}},
		{"leaf-auto", "leaf", sign.Options{Embed: sign.Auto}},
		{"leaf-never", "leaf", sign.Options{Embed: sign.Never}},
		{"good-always", "good", sign.Options{Embed: sign.Always}},
		{"stranger", "stranger", sign.Options{}},
	} {
		signed, err := product.Files(ctx, filepath.Join(dir, v.name), trust.Cert(v.cert), in, v.o)
		if err != nil {
			return nil, fmt.Errorf("sign-kmods, %s: %w", v.name, err)
		}
		out = append(out, loads("sign-kmods-"+v.name, signed)...)
	}
	for _, mode := range []string{repack.Append, repack.Rewrite} {
		sealed, err := product.Image(ctx, filepath.Join(dir, mode), t.Kernel.Arch, trust.Cert("good"), in, mode)
		if err != nil {
			return nil, fmt.Errorf("seal an image, %s: %w", mode, err)
		}
		out = append(out, loads("image-"+mode, sealed)...)
	}
	return out, nil
}

func extension(c kmod.Codec) string {
	return map[kmod.Codec]string{kmod.XZ: ".xz", kmod.Zstd: ".zst", kmod.Gzip: ".gz"}[c]
}

// loads makes a case of each file: the plain one as it is, the others for the kernel to unpack.
func loads(name string, modules product.Modules) []cases.Case {
	var out []cases.Case
	for _, ext := range []string{".ko", ".ko.xz", ".ko.zst", ".ko.gz"} {
		c := cases.Case{Group: "product", Name: name + strings.TrimPrefix(ext, ".ko"), Method: wire.FinitZ, Module: "sbprobe", Ext: ext, Bytes: modules["sbprobe"+ext]}
		if ext == ".ko" {
			c.Method = wire.Finit
		}
		out = append(out, c)
	}
	return out
}

// driverCases are a real driver with what it depends on.
func (o Options) driverCases(ctx context.Context, t *Target, trust *cases.Trust) ([]cases.Case, error) {
	src, err := fetch.Cache{Dir: o.Cache}.Driver(ctx, t.Kernel, "v4l2loopback-dkms", "usr/src/v4l2loopback-*")
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(o.Cache, "driver", t.Kernel.Release)
	file := filepath.Join(dir, "v4l2loopback.ko")
	if _, err := os.Stat(file); err != nil {
		if err := os.CopyFS(dir, os.DirFS(src)); err != nil {
			return nil, err
		}
		flags := []string{}
		if t.Kernel.Series == "6.12" { // which has no strlcpy any more
			flags = append(flags, "KCFLAGS=-Dstrlcpy=strscpy")
		}
		if err := probe.Make(ctx, t.Kernel, dir, flags...); err != nil {
			return nil, fmt.Errorf("driver: %w", err)
		}
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	sealed, err := product.Image(ctx, filepath.Join(dir, "sealed"), t.Kernel.Arch, trust.Cert("good"), product.Modules{"v4l2loopback.ko": b}, repack.Append)
	if err != nil {
		return nil, err
	}
	one := func(name, module string, b []byte, before ...string) cases.Case {
		return cases.Case{Group: "driver", Name: name, Method: wire.Finit, Module: module, Ext: ".ko", Bytes: b, Before: before}
	}
	out := []cases.Case{}
	for _, need := range []string{"mc", "videodev"} {
		if t.Distro[need], err = t.module(need); err != nil {
			return nil, err
		}
	}
	return append(out,
		one("driver-mc", "mc", t.Distro["mc"]),
		one("driver-videodev", "videodev", t.Distro["videodev"], "driver-mc"),
		one("driver-v4l2loopback", "v4l2loopback", sealed["v4l2loopback.ko"], "driver-mc", "driver-videodev"),
		one("driver-v4l2loopback-alone", "v4l2loopback", sealed["v4l2loopback.ko"]),
		one("driver-v4l2loopback-unsigned", "v4l2loopback", b, "driver-mc", "driver-videodev"),
	), nil
}
