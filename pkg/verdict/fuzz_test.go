package verdict

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kmodseal/kmodseal/pkg/efisig"
)

func seed(f *testing.F, pattern string) {
	f.Helper()
	names, err := filepath.Glob("../../testdata/kernels/" + pattern)
	if err != nil || len(names) == 0 {
		f.Fatalf("no %s: %v", pattern, err)
	}
	for _, n := range names {
		b, err := os.ReadFile(n)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
}

func fuzzKernel(release string) kernel {
	k, err := newKernel(&Config{Release: release})
	if err != nil {
		panic(err)
	}
	return *k
}

// FuzzPKCS7: no input panics, and what is read can be verified.
func FuzzPKCS7(f *testing.F) {
	seed(f, "sig/*.p7s")
	k := fuzzKernel("7.3.4+deb13-amd64")
	f.Fuzz(func(t *testing.T, data []byte) {
		k := k
		m, e := k.parseMessage(data)
		if e != noError {
			return
		}
		if len(m.signers) == 0 {
			t.Fatal("accepted without a signer")
		}
		if k.verify(m, data) == noError {
			_, _ = k.validate(m, &k.rings.secondary)
		}
	})
}

func FuzzCertificate(f *testing.F) {
	seed(f, "cert/*.der")
	k := fuzzKernel("7.3.4+deb13-amd64")
	f.Fuzz(func(t *testing.T, data []byte) {
		k := k
		c, e := k.parseCertificate(data)
		if e == noError && (c.id == nil || c.key.data == nil) {
			t.Fatal("accepted without serial or key")
		}
	})
}

func FuzzEFISigList(f *testing.F) {
	f.Add(efiList(efisig.X509, []byte("certificate")))
	f.Add(append([]byte{7, 0, 0, 0}, efiList(efisig.SHA256, bytes.Repeat([]byte{1}, 32))...))
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, err := efisig.Parse(data)
		size := 0
		for _, e := range entries {
			size += len(e.Data)
		}
		if err == nil && size > len(data) {
			t.Fatal("more data than there is")
		}
		_, _ = ParseTrust("x", data, MOK)
		_, _ = ParseRevoked("x", data, DB)
	})
}

func FuzzSymvers(f *testing.F) {
	f.Add([]byte("0x12345678\tprintk\tvmlinux\tEXPORT_SYMBOL\t\n"))
	f.Add([]byte("0x00000001\tx\tdrivers/x\tEXPORT_SYMBOL_GPL\tNS\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := ParseSymvers(bytes.NewReader(data))
		if err == nil && len(s.Symbols) == 0 {
			t.Fatal("accepted without a symbol")
		}
	})
}

func FuzzConfig(f *testing.F) {
	f.Add([]byte("CONFIG_MODULE_SIG=y\n# CONFIG_IMA is not set\nCONFIG_LSM=\"a,b\"\n"))
	f.Add([]byte("\x1f\x8b"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseConfig(bytes.NewReader(data))
		for name := range c {
			if err != nil || strings.ContainsAny(name, "=\n") {
				t.Fatalf("option %q with error %v", name, err)
			}
		}
	})
}
