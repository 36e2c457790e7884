package repack

import (
	"bytes"
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/keys"
	"github.com/kmodseal/kmodseal/pkg/kmod"
	"github.com/kmodseal/kmodseal/pkg/manifest"
	"github.com/kmodseal/kmodseal/pkg/modsig"
	"github.com/kmodseal/kmodseal/pkg/verdict"
)

// gate lets a module of the kmods folder into the image only if it is the
// source's module plus exactly one good signature, or the source's own file
// with a good one. It believes neither the folder nor who signed.
type gate struct {
	root  *os.Root // the kmods folder
	judge *verdict.Judge
	trust []*x509.Certificate
}

// passed is a module that may go into the image.
type passed struct {
	module  *manifest.Module
	now     module            // the copy in the source
	changed bool              // the bytes differ from the source's
	signer  *x509.Certificate // whose key made the signature
	anchor  *x509.Certificate // the trusted one that vouches for it; may be the same
	machine string            // a GOARCH word
}

// all checks every pair, in parallel. The worst refusal decides.
func (g *gate) all(ctx context.Context, ms []*manifest.Module, now []module) ([]passed, error) {
	out, errs := make([]passed, len(ms)), make([]error, len(ms))
	eg, ctx := errgroup.WithContext(ctx)
	eg.SetLimit(runtime.GOMAXPROCS(0))
	for i := range ms {
		eg.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			out[i], errs[i] = g.one(ms[i], now[i])
			return nil
		})
	}
	if err := eg.Wait(); err != nil {
		return nil, err
	}
	return out, worst(errs)
}

// worst picks the refusal of the highest class, the first of equals.
func worst(errs []error) error {
	errs = slices.DeleteFunc(slices.Clone(errs), func(err error) bool { return err == nil })
	if len(errs) == 0 {
		return nil
	}
	err := slices.MaxFunc(errs, func(a, b error) int { return cmp.Compare(fault.ClassOf(a), fault.ClassOf(b)) })
	if len(errs) == 1 {
		return err
	}
	return fault.New(fault.ClassOf(err), "%d modules are refused; the worst: %w", len(errs), err)
}

// one checks m, which is to replace now.
func (g *gate) one(m *manifest.Module, now module) (passed, error) {
	p := passed{module: m, now: now}
	err := foreign(m, now)
	if err != nil {
		return p, err
	}
	if m.Signed == nil {
		return p, fault.New(fault.Unsigned, "module %s (%s) has not been signed", m.Path, m.Platform).
			Hint("run sign-kmods on the kmods folder first")
	}
	stored, err := g.read(m)
	if err != nil {
		return p, err
	}
	plain, codec, err := kmod.Decode(stored, 0)
	if err != nil || string(codec) != m.Codec {
		return p, damaged(m, "not a module stored as %s: %w", m.Codec, cmp.Or(err, fmt.Errorf("it is %s", codec)))
	}
	if err := secret(m.Path, plain); err != nil {
		return p, err
	}
	cut, sig, err := signature(m, plain)
	if err != nil {
		return p, err
	}
	if p.changed = sum(stored) != now.stored; p.changed {
		if body := sum(cut.Body); body != now.bare && body != now.plain || len(sig.Signers) != 1 {
			return p, damaged(m, "not the source's module with one signature behind it").Hint(extractAgain)
		}
	}
	// Without the platform: an image may carry modules of several machines.
	v := g.judge.One(verdict.Module{Path: m.Path, Stored: stored})
	p.anchor, p.machine = v.Anchor, v.Machine
	if v.State == verdict.Loads { // what loads is short; a longer message can name thousands of signers
		p.signer = g.signer(cut.Body, sig)
	}
	return p, refusal(m, &v, p.signer)
}

func damaged(m *manifest.Module, format string, args ...any) *fault.Error {
	return fault.New(fault.Damaged, "module %s (%s): "+format, append([]any{m.Path, m.Platform}, args...)...)
}

// signature is the outermost one of plain.
func signature(m *manifest.Module, plain []byte) (modsig.Appended, *modsig.Signature, error) {
	cut, err := modsig.Split(plain)
	if errors.Is(err, modsig.ErrUnsigned) {
		return cut, nil, fault.New(fault.Unsigned, "module %s (%s) has no signature", m.Path, m.Platform).
			Hint("run sign-kmods on the kmods folder again")
	}
	if err != nil {
		return cut, nil, damaged(m, "%w", err)
	}
	sig, err := modsig.Parse(cut.PKCS7)
	if err != nil {
		return cut, nil, damaged(m, "%w", err)
	}
	return cut, sig, nil
}

// signer is the certificate, trusted or embedded, whose key made the signature.
func (g *gate) signer(body []byte, sig *modsig.Signature) *x509.Certificate {
	for _, c := range slices.Concat(g.trust, sig.Certificates) {
		for i := range sig.Signers {
			if s := &sig.Signers[i]; s.Names(c) && s.Check(body, c) == nil {
				return c
			}
		}
	}
	return nil
}

// foreign refuses facts of the kmods folder that are not those of the source.
func foreign(m *manifest.Module, now module) error {
	if now.err != nil {
		return fault.New(fault.Input, "decompress %s of the source: %w", m.Path, now.err).Hint("leave it out with --exclude when extracting")
	}
	if m.Layer == now.digest && m.Stored.SHA256 == now.stored && m.Plain.SHA256 == now.plain && m.Codec == string(now.codec) {
		return nil
	}
	return fault.New(fault.Input, "module %s (%s): the kmods folder does not describe the file of the source", m.Path, m.Platform).
		Hint(extractAgain)
}

const extractAgain = "extract and sign again: the kmods folder is of another source or was changed by hand"

// read gives the bytes of m's file, which have to be the ones sign-kmods wrote.
func (g *gate) read(m *manifest.Module) ([]byte, error) {
	f, err := g.root.Open(filepath.FromSlash(m.File))
	if err != nil {
		return nil, fmt.Errorf("open module: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, m.Signed.Stored.Size+1))
	if err != nil {
		return nil, fmt.Errorf("read module: %w", err)
	}
	if sum(b) != m.Signed.Stored.SHA256 {
		return nil, fault.New(fault.Damaged, "module %s (%s) was changed after it was signed", m.Path, m.Platform).
			Hint(extractAgain)
	}
	return b, nil
}

// secret refuses to publish what looks like a private key.
func secret(path string, data []byte) error {
	if !bytes.Contains(data, []byte(keyMark)) {
		return nil
	}
	return fault.New(fault.Internal, "%s contains a private key in PEM: not published", path).
		Hint("find out how the key got there, and consider it known to others")
}

// keyMark is in the first line of every PEM private key (RFC 7468 section 10 and on).
const keyMark = "PRIVATE KEY-----"

// refusal turns any verdict but "loads" into a fault, and a signer other than
// the one whom kmods.json names.
func refusal(m *manifest.Module, v *verdict.Verdict, signer *x509.Certificate) error {
	switch {
	case v.State != verdict.Loads:
		f := fault.New(v.State.Class(), "module %s (%s): %s: %s", m.Path, m.Platform, v.State, v.Reason)
		if v.Hint != "" {
			return f.Hint("%s", v.Hint)
		}
		return f
	case signer == nil || v.Anchor == nil:
		return fault.New(fault.Untrusted, "module %s (%s): no certificate at hand made its signature", m.Path, m.Platform)
	case m.Signed.Fingerprint != "" && m.Signed.Fingerprint != keys.Fingerprint(signer):
		return fault.New(fault.Input, "module %s (%s): signed by another certificate than kmods.json says", m.Path, m.Platform).
			Hint(extractAgain)
	}
	return nil
}

// content opens the checked bytes again, and checks that they are still the same.
func (g *gate) content(p *passed) content {
	return content{size: p.module.Signed.Stored.Size, open: func() ([]byte, error) { return g.read(p.module) }}
}
