package verdict

import (
	"errors"
	"slices"

	"github.com/kmodseal/kmodseal/pkg/kmod"
)

// unpack gets the plain module out of a stored one the way the target would;
// ok: go on with it.
func (g *judging) unpack(stored []byte) (o outcome, ok bool) {
	if len(stored) == 0 {
		return outcome{state: NotModule, errno: eINVAL, rule: ruleEmpty, why: "the file is empty"}, false
	}
	codec := kmod.Sniff(stored)
	g.plain = stored
	switch g.method(codec) {
	case LoadCompressed:
		return g.inKernel(stored)
	case LoadUserSpace:
		return g.userSpace(stored, codec)
	}
	return o, true
}

// method is what kmod would do: the kernel decompresses what it was built for.
func (g *judging) method(codec kmod.Codec) LoadMethod {
	m := g.config.Load
	if m != LoadAuto {
		return m
	}
	if codec == kmod.None {
		return LoadAsIs
	}
	if g.is("MODULE_DECOMPRESS") && g.codec() == codec {
		return LoadCompressed
	}
	return LoadUserSpace
}

// codec is the one that the kernel was built for, None without one; where
// several are set, the first of these counts (kernel/module/decompress.c).
func (k *kernel) codec() kmod.Codec {
	switch {
	case k.is("MODULE_COMPRESS_GZIP"):
		return kmod.Gzip
	case k.is("MODULE_COMPRESS_XZ"):
		return kmod.XZ
	case k.is("MODULE_COMPRESS_ZSTD"):
		return kmod.Zstd
	}
	return kmod.None
}

// inKernel is finit_module with MODULE_INIT_COMPRESSED_FILE.
func (g *judging) inKernel(stored []byte) (outcome, bool) {
	own := g.codec()
	if !g.is("MODULE_DECOMPRESS") || own == kmod.None {
		if g.facts.Config == nil {
			g.note("whether the kernel decompresses modules (MODULE_DECOMPRESS): no kernel config")
		}
		return outcome{state: BadCompression, errno: eOPNOTSUPP, rule: ruleDecompress, why: "the kernel does not decompress modules"}, false
	}
	bad := outcome{state: BadCompression, errno: eINVAL, rule: ruleDecompress}
	var refused *kmod.KernelError
	plain, err := kmod.DecodeInKernel(stored, own, 0)
	switch {
	case errors.As(err, &refused):
		bad.line, bad.why = g.sayLine("%s", refused.Dmesg), refused.Reason
		return bad, false
	case err != nil:
		bad.why = err.Error()
		return bad, false
	}
	g.plain = plain
	return outcome{}, true
}

// userSpace is kmod without the kernel's help. A codec that it was built
// without goes to the kernel as it is, and so does what it does not know.
func (g *judging) userSpace(stored []byte, codec kmod.Codec) (outcome, bool) {
	if codec == kmod.None {
		return outcome{}, true
	}
	known := g.config.Codecs
	if known == nil {
		known = g.profile.codecs
	}
	if !slices.Contains(known, codec) {
		g.describe()
		o := g.signatureStage()
		if o.state == Loads {
			o = g.fileStage()
		}
		o.state, o.rule = BadCompression, ruleKmodCodec
		o.why = "kmod is built without " + string(codec) + " and hands the file to the kernel as it is"
		return o, false
	}
	plain, _, err := kmod.Decode(stored, 0)
	if err == nil || codec == kmod.Gzip && errors.Is(err, kmod.ErrTrailing) {
		g.plain = plain
		return outcome{}, true
	}
	why := err.Error()
	if errors.Is(err, kmod.ErrTrailing) {
		why = "bytes behind the compressed data: the module was signed after it was compressed"
	}
	return outcome{state: BadCompression, errno: eINVAL, rule: ruleKmodCodec, why: why}, false
}
