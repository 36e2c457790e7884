package verdict_test

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/kmod"
	"github.com/kmodseal/kmodseal/pkg/verdict"
)

// lab judges one of the lab's cases with some of its certificates enrolled.
type lab struct {
	enrol, builtin, db, revoke []string
	change                     func(*verdict.Config)
}

func (l lab) judge(t *testing.T, name string) verdict.Verdict {
	t.Helper()
	b := newBuilder(t)
	c := verdict.Config{Now: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC), Codecs: []kmod.Codec{kmod.XZ}}
	for _, n := range l.enrol {
		c.Anchors = append(c.Anchors, b.anchor(t, n, verdict.MOK))
	}
	for _, n := range l.builtin {
		c.Anchors = append(c.Anchors, b.anchor(t, n, verdict.Builtin))
	}
	for _, n := range l.db {
		c.Anchors = append(c.Anchors, b.anchor(t, n, verdict.DB))
	}
	for _, n := range l.revoke {
		c.Revoked = append(c.Revoked, verdict.Revocation{DER: b.anchor(t, n, verdict.MOK).DER})
	}
	if l.change != nil {
		l.change(&c)
	}
	j, err := verdict.New(c)
	require.NoError(t, err)
	return j.One(verdict.Module{Path: "x.ko", Stored: b.make(t, name)})
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	later := func(c *verdict.Config) { c.Now = c.Now.AddDate(40, 0, 0) }
	for name, c := range map[string]struct {
		lab
		module string
		state  verdict.State
		want   string
	}{
		"expired":         {lab{enrol: []string{"expired"}}, "mok-expired", verdict.Loads, "expired on 2021-01-01"},
		"sha1":            {lab{enrol: []string{"good2048"}}, "mok-rsa2048-sha1", verdict.Loads, "signed with SHA-1"},
		"extended usage":  {lab{enrol: []string{"serverauth"}}, "mok-serverauth-eku", verdict.Loads, "does not have codeSigning"},
		"key usage":       {lab{enrol: []string{"serverauth"}}, "mok-serverauth-eku", verdict.Loads, "neither digitalSignature"},
		"shim":            {lab{enrol: []string{"good2048"}}, "mok-rsa2048-sha256", verdict.Loads, "1.3.6.1.4.1.2312.16.1.2"},
		"revoked":         {lab{enrol: []string{"revoked"}, revoke: []string{"revoked"}}, "mok-revoked-mokx", verdict.Loads, "does not look at"},
		"signed twice":    {lab{enrol: []string{"good2048"}}, "resigned-outer-good", verdict.Loads, "1 more signature"},
		"expired leaf":    {lab{enrol: []string{"ca"}, change: later}, "cms-leaf-embedded", verdict.Loads, "the signer's certificate expired on"},
		"tolerated":       {lab{change: secureBootOff}, "unsigned", verdict.Loads, "taints the kernel"},
		"destroyed trust": {lab{builtin: []string{"distro"}}, "distro-resigned-stranger", verdict.UnavailableKey, "destroyed trust"},
	} {
		v := c.judge(t, c.module)
		assert.Equal(t, c.state, v.State, "%s: %s", name, v.Reason)
		assert.Contains(t, join(v.Warnings), c.want, name)
	}
	v := lab{enrol: []string{"modonly"}}.judge(t, "mok-modsign-eku")
	assert.Empty(t, v.Warnings)
	v = lab{builtin: []string{"good2048"}}.judge(t, "mok-rsa2048-sha256")
	assert.Empty(t, v.Warnings, "shim has nothing to do with a built-in key")
}

func TestHints(t *testing.T) {
	t.Parallel()
	upstream := func(option string) func(*verdict.Config) {
		return func(c *verdict.Config) {
			c.Profile = "upstream"
			c.Kernel = &verdict.Kernel{Release: "6.12.1", Config: verdict.KernelConfig{
				"MODULE_SIG": "y", "CRYPTO_RSA": "y", "CRYPTO_SHA256": "y", "IMA_ARCH_POLICY": "y", "INTEGRITY_PLATFORM_KEYRING": "y",
				"INTEGRITY_MACHINE_KEYRING": "y", option: "y",
			}}
		}
	}
	untrusted := func(c *verdict.Config) { upstream("X")(c); c.MokListTrusted = verdict.Off }
	without := func(c *verdict.Config) { upstream("X")(c); delete(c.Kernel.Config, "INTEGRITY_MACHINE_KEYRING") }
	off := func(c *verdict.Config) { c.SecureBoot, c.SigEnforce = verdict.Off, verdict.On }
	for name, c := range map[string]struct {
		lab
		module string
		state  verdict.State
		want   string
	}{
		"unsigned":          {lab{}, "unsigned", verdict.Unsigned, "sign-kmods --key"},
		"no trust":          {lab{}, "mok-rsa2048-sha256", verdict.UnavailableKey, "--trust"},
		"stranger":          {lab{enrol: []string{"good2048"}}, "stranger-key", verdict.UnavailableKey, "mokutil --import"},
		"leaf":              {lab{enrol: []string{"ca"}}, "leaf-of-enrolled-ca", verdict.UnavailableKey, "--embed-cert always"},
		"CA option":         {lab{enrol: []string{"good2048"}, change: upstream("INTEGRITY_CA_MACHINE_KEYRING")}, "mok-rsa2048-sha256", verdict.UnavailableKey, "enrol the issuing CA"},
		"db only":           {lab{db: []string{"good2048"}, change: upstream("X")}, "mok-rsa2048-sha256", verdict.UnavailableKey, "in the MOK list, too: `mokutil --import"},
		"untrusted list":    {lab{enrol: []string{"good2048"}, change: untrusted}, "mok-rsa2048-sha256", verdict.UnavailableKey, "mokutil --trust-mok"},
		"no .machine":       {lab{enrol: []string{"good2048"}, change: without}, "mok-rsa2048-sha256", verdict.UnavailableKey, "CONFIG_INTEGRITY_MACHINE_KEYRING=y"},
		"key in the kernel": {lab{enrol: []string{"stranger"}, change: known("A: sbtest good2048: 00")}, "mok-rsa2048-sha256", verdict.UnavailableKey, "--trust builtin:FILE"},
		"Secure Boot off":   {lab{enrol: []string{"good2048"}, change: off}, "mok-rsa2048-sha256", verdict.UnavailableKey, "turn Secure Boot on"},
		"digest":            {lab{enrol: []string{"good2048"}, change: upstream("X")}, "mok-rsa2048-sha512", verdict.UnsupportedCrypto, "--hash sha256"},
		"id type":           {lab{}, "bad-idtype", verdict.UnsupportedCrypto, "PKCS#7"},
		"tampered":          {lab{enrol: []string{"good2048"}}, "tampered-text", verdict.Tampered, "--on-signed replace"},
		"attributes":        {lab{}, "cms-signed-attrs", verdict.Malformed, "without signed attributes"},
		"after compress":    {lab{}, "signed-after-compress", verdict.BadCompression, "sign first"},
		"gzip without kmod": {lab{}, "gz-kmod-userspace", verdict.BadCompression, "codec that the target's kmod has"},
		"other release":     {lab{enrol: []string{"good2048"}, change: func(c *verdict.Config) { c.Release = "6.1.0" }}, "mok-rsa2048-sha256", verdict.WrongKernel, "headers package"},
		"other machine":     {lab{enrol: []string{"good2048"}, change: func(c *verdict.Config) { c.Machine = "arm64" }}, "mok-rsa2048-sha256", verdict.WrongKernel, "headers package"},
	} {
		v := c.judge(t, c.module)
		assert.Equal(t, c.state, v.State, "%s: %s", name, v.Reason)
		assert.Contains(t, v.Hint, c.want, name)
		assert.NotEmpty(t, v.Reason, name)
	}
}

func known(keys ...string) func(*verdict.Config) {
	return func(c *verdict.Config) { c.Keys = keys }
}

// TestUnchecked: what is not known of the kernel is said where a verdict depends on it.
func TestUnchecked(t *testing.T) {
	t.Parallel()
	release := func(r string) func(*verdict.Config) { return func(c *verdict.Config) { c.Release = r } }
	skid := func(id string) func(*verdict.Config) { return known("Another: "+id, "Somebody: "+id) }
	for name, c := range map[string]struct {
		lab
		module string
		state  verdict.State
		want   string // empty: nothing of the MOK list and of enforcement
	}{
		"plain certificate":    {lab{enrol: []string{"good2048"}}, "mok-rsa2048-sha256", verdict.Loads, "INTEGRITY_CA_MACHINE_KEYRING"},
		"CA over the leaf":     {lab{enrol: []string{"ca"}}, "cms-leaf-embedded", verdict.Loads, "INTEGRITY_MACHINE_KEYRING): no"},
		"before 5.18":          {lab{enrol: []string{"good2048"}, change: release("5.15.0-91-generic")}, "mok-rsa2048-sha256", verdict.WrongKernel, "before Linux 5.18"},
		"Debian":               {lab{enrol: []string{"good2048"}, change: release("6.12.117+deb12-amd64")}, "unsigned", verdict.Unsigned, ""},
		"built in":             {lab{builtin: []string{"good2048"}}, "mok-rsa2048-sha256", verdict.Loads, ""},
		"enforcement":          {lab{enrol: []string{"good2048"}}, "unsigned", verdict.Unsigned, "enforces signatures"},
		"enforcement is named": {lab{change: func(c *verdict.Config) { c.SigEnforce = verdict.On }}, "unsigned", verdict.Unsigned, ""},
		"built-in keys":        {lab{enrol: []string{"stranger"}}, "mok-rsa2048-sha256", verdict.UnavailableKey, "built with: --trust builtin:FILE names none"},
		"db elsewhere":         {lab{db: []string{"good2048"}}, "mok-rsa2048-sha256", verdict.UnavailableKey, "asks .platform, too"},
		"key in the kernel":    {lab{enrol: []string{"stranger"}, change: known("x", "Lab: sbtest good2048: 0123")}, "mok-rsa2048-sha256", verdict.UnavailableKey, "named Lab: sbtest good2048"},
		"key id in the kernel": {lab{enrol: []string{"stranger"}, change: skid(hexKeyID(t, "good2048"))}, "mok-keyid", verdict.UnavailableKey, "named Another"},
	} {
		v := c.judge(t, c.module)
		assert.Equal(t, c.state, v.State, "%s: %s", name, v.Reason)
		if c.want != "" {
			assert.Contains(t, join(v.Unchecked), c.want, name)
			continue
		}
		assert.NotContains(t, join(v.Unchecked), "MOK list", name)
		assert.NotContains(t, join(v.Unchecked), "enforces", name)
	}
}

func hexKeyID(t *testing.T, cert string) string {
	t.Helper()
	c, err := x509.ParseCertificate([]byte(read(t, "cert/"+cert+".der")))
	require.NoError(t, err)
	return hex.EncodeToString(c.SubjectKeyId)
}

// TestAnchor: the certificate that vouches, and where the kernel has it.
func TestAnchor(t *testing.T) {
	t.Parallel()
	b := newBuilder(t)
	for name, c := range map[string]struct {
		lab
		module, cert, ring string
	}{
		"mok":              {lab{enrol: []string{"stranger", "good2048"}}, "mok-rsa2048-sha256", "good2048", ".machine"},
		"db":               {lab{db: []string{"good2048"}, change: func(c *verdict.Config) { c.Profile = "debian" }}, "mok-rsa2048-sha256", "good2048", ".platform"},
		"built in":         {lab{builtin: []string{"distro"}}, "distro-signed", "distro", ".builtin_trusted_keys"},
		"CA over the leaf": {lab{enrol: []string{"ca"}}, "cms-leaf-embedded", "ca", ".machine"},
	} {
		v := c.judge(t, c.module)
		require.Equal(t, verdict.Loads, v.State, "%s: %s", name, v.Reason)
		want, err := x509.ParseCertificate(b.anchor(t, c.cert, verdict.MOK).DER)
		require.NoError(t, err)
		assert.True(t, bytes.Equal(want.Raw, v.Anchor.Raw), name)
		assert.Equal(t, c.ring, v.Keyring, name)
		if name == "CA over the leaf" {
			assert.Equal(t, "sbtest leaf", v.Signer, "the embedded certificate's own name")
		}
	}
}

func TestProfile(t *testing.T) {
	t.Parallel()
	db := lab{db: []string{"good2048"}}
	for release, want := range map[string]verdict.State{
		"6.1.0-56-amd64": verdict.Loads, "6.12.117+deb12-arm64": verdict.Loads, "6.1.0-56-cloud-amd64": verdict.Loads,
		"7.3.4+deb13-amd64": verdict.Loads, "6.11.4-301.fc41.x86_64": verdict.UnavailableKey,
		"6.8.0-45-generic": verdict.UnavailableKey, "6.12.9": verdict.UnavailableKey, "": verdict.UnavailableKey,
	} {
		db.change = func(c *verdict.Config) {
			c.Kernel = &verdict.Kernel{Release: release, Vermagic: vermagic, Machine: "amd64"}
		}
		v := db.judge(t, "mok-rsa2048-sha256")
		assert.Equal(t, want, v.State, "%s: %s", release, v.Reason)
	}
	_, err := verdict.New(verdict.Config{Profile: "redhat"})
	assert.ErrorContains(t, err, `kernel profile "redhat"`)
}
