// Package sign signs the modules of a kmods folder, or any files and folders.
package sign

import (
	"context"
	"crypto"
	_ "crypto/sha256" // the digests of Options.Hash
	_ "crypto/sha512"
	"runtime"
	"slices"
	"sync"

	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/keys"
	"github.com/kmodseal/kmodseal/pkg/manifest"
	"github.com/kmodseal/kmodseal/pkg/modsig"
)

// Policies for a module that is signed already (--on-signed).
const (
	Replace  = "replace" // take every signature off, then sign
	Keep     = "keep"    // leave it alone
	AppendTo = "append"  // sign on top
	Fail     = "fail"    // refuse all modules
)

// Policies for certificates in the signature (--embed-cert).
const (
	Auto   = "auto"   // unless the signer's is self-signed
	Always = "always" // the signer's and its intermediates
	Never  = "never"  // none, as sign-file does
)

// Options of Folder and Files.
type Options struct {
	Pair     *keys.Pair
	Hash     crypto.Hash     // 0: SHA256
	ID       modsig.SignerID // how the signature names the certificate
	Embed    string          // Auto, Always or Never; empty: Auto
	OnSigned string          // Replace, Keep, AppendTo or Fail; empty: Replace
	Jobs     int             // modules at a time, each held in memory; 0: GOMAXPROCS
	Progress func(phase string, done, total int64)
	Warn     func(format string, args ...any)
}

// Result is what happened to one file.
type Result struct {
	Path   string          // as the user named it, or as found below a folder of theirs
	Module manifest.Module // facts; of a bare file without platform, layer and header
}

// withDefaults fills in what is empty and refuses what is unknown (fault class Usage).
func (o Options) withDefaults() (Options, error) {
	if o.Pair == nil || o.Pair.Signer == nil || o.Pair.Cert == nil {
		return o, fault.New(fault.Key, "no signing key with certificate")
	}
	if o.Hash == 0 {
		o.Hash = crypto.SHA256
	}
	if o.Jobs <= 0 {
		o.Jobs = runtime.GOMAXPROCS(0)
	}
	for _, w := range []struct {
		flag  string
		value *string
		known []string // the first is the default
	}{
		{"--embed-cert", &o.Embed, []string{Auto, Always, Never}},
		{"--on-signed", &o.OnSigned, []string{Replace, Keep, AppendTo, Fail}},
	} {
		if *w.value == "" {
			*w.value = w.known[0]
		}
		if !slices.Contains(w.known, *w.value) {
			return o, fault.New(fault.Usage, "%s %q: want one of %v", w.flag, *w.value, w.known)
		}
	}
	if o.Warn == nil {
		o.Warn = func(string, ...any) {}
	}
	if o.Progress == nil {
		o.Progress = func(string, int64, int64) {}
	}
	return o, nil
}

// each calls do for 0 to n-1, jobs at a time. Numbers are given out in order
// and what has begun is finished, so that the error returned is that of the
// lowest number that fails, however fast the others are.
func (o Options) each(ctx context.Context, n int, do func(i int) error) error {
	var mu sync.Mutex
	next, done, failed := 0, 0, n
	var failure error
	take := func() (int, bool) {
		mu.Lock()
		defer mu.Unlock()
		if next >= n || failure != nil || ctx.Err() != nil {
			return 0, false
		}
		next++
		return next - 1, true
	}
	finish := func(i int, err error) {
		mu.Lock()
		defer mu.Unlock()
		if err != nil && i < failed {
			failed, failure = i, err
		}
		if err == nil {
			done++
			o.Progress("sign", int64(done), int64(n))
		}
	}
	var workers sync.WaitGroup
	for range min(o.Jobs, n) {
		workers.Go(func() {
			for i, ok := take(); ok; i, ok = take() {
				finish(i, do(i))
			}
		})
	}
	workers.Wait()
	if failure != nil {
		return failure
	}
	return ctx.Err()
}
