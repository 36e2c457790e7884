package report_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/fault"
	"github.com/kmodseal/kmodseal/pkg/manifest"
	"github.com/kmodseal/kmodseal/pkg/report"
)

// hostile is what an image could put into a name.
const hostile = "::error::lib/##[add-mask]a|b`c<script>alert(1)</script>\n::set-output name=x::y\x1b[31m[l](http://e.example)\u202e*_&.ko"

func sample() *report.Report {
	r := &report.Report{
		Schema: report.Schema, Step: "verify-kmods", Source: "registry.example.com/driver:1", SourceDigest: "sha256:abc",
		Modules: []report.Module{
			{Path: "lib/good.ko", Platform: "linux/amd64", Kernel: "6.1.0-1-amd64", Signer: "Test key", Verdict: "loads", Algorithm: "RSA-2048 with sha256"},
			{
				Path: "lib/bare.ko.xz", Platform: "linux/amd64", Kernel: "6.1.0-1-amd64", Verdict: "unsigned", Errno: "EKEYREJECTED",
				Dmesg: "Loading of unsigned module is rejected", Reason: "it carries no signature", Hint: "sign it with sign-kmods",
				Warnings: []string{"certificate expired"},
			},
			{Path: hostile, Platform: "linux/arm64", Kernel: hostile, Signer: hostile, Verdict: "tampered", Reason: hostile, Hint: hostile, Dmesg: hostile, Warnings: []string{hostile}},
		},
	}
	return r.Count()
}

func render(t *testing.T, w report.Writer, r *report.Report) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, w(&b, r))
	return b.String()
}

func TestCountTakesTheWorst(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		states []string
		want   string
		exit   fault.Class
	}{
		"all load":                           {[]string{"loads", "loads"}, "loads", fault.None},
		"damaged before unsigned":            {[]string{"unsigned", "tampered"}, "tampered", fault.Damaged},
		"not a module before unsigned":       {[]string{"unsigned", "not-a-module"}, "not-a-module", fault.Input},
		"unsigned before unknown key":        {[]string{"unavailable-key", "unsigned", "loads"}, "unsigned", fault.Unsigned},
		"unknown key before other kernel":    {[]string{"wrong-kernel", "unavailable-key"}, "unavailable-key", fault.Untrusted},
		"other kernel before loads":          {[]string{"loads", "wrong-kernel"}, "wrong-kernel", fault.WrongKernel},
		"same class: the first in the ABC":   {[]string{"tampered", "malformed"}, "malformed", fault.Damaged},
		"order of the modules has no say":    {[]string{"tampered", "unsigned", "loads"}, "tampered", fault.Damaged},
		"signed after compression is damage": {[]string{"unsigned", "bad-compression"}, "bad-compression", fault.Damaged},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &report.Report{}
			for _, s := range c.states {
				r.Modules = append(r.Modules, report.Module{Verdict: s})
			}
			r.Count()
			assert.Equal(t, c.want, r.Verdict)
			assert.Equal(t, int(c.exit), r.ExitCode)
		})
	}
}

func TestRefusal(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "2 of 3 modules would not load: 1 tampered, 1 unsigned", report.Refusal(sample()))
	one := &report.Report{Modules: []report.Module{{Verdict: "unsigned"}}}
	assert.Equal(t, "1 of 1 module would not load: 1 unsigned", report.Refusal(one.Count()))
}

func TestPlain(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain ü 漢":         "plain ü 漢",
		"a\nb\r\x00\x1b[0m": `a\x0ab\x0d\x00\x1b[0m`,
		"\xff\xfe":          `\xff\xfe`,
		"a\u202eb\u2028":    `a\u202eb\u2028`,
		"\u009b31m":         `\x9b31m`,
		"##[x]###[":         `#\x23[x]##\x23[`,
		"stat -----BEGIN PRIVATE KEY-----\nMII\n-----END PRIVATE KEY-----\n: none": `stat (private key left out)\x0a: none`,
		`got "-----BEGIN RSA PRIVATE KEY-----\nMII`:                                `got "(private key left out)`,
		"a -----BEGIN CERTIFICATE----- b":                                          "a -----BEGIN CERTIFICATE----- b",
		"":                                                                         "",
	} {
		assert.Equal(t, want, report.Plain(in))
	}
}

// TestPlainLeavesKeysOut: a key in any form that CI variables hold, and nothing else.
func TestPlainLeavesKeysOut(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	sec1, err := x509.MarshalECPrivateKey(key)
	require.NoError(t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	big, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	public, err := x509.MarshalPKIXPublicKey(&big.PublicKey)
	require.NoError(t, err)
	b64 := base64.StdEncoding.EncodeToString
	wrapped := func(b []byte) string { return regexp.MustCompile(`.{76}`).ReplaceAllString(b64(b), "$0\n") }
	for name, secret := range map[string]string{
		"SEC 1": b64(sec1), "PKCS#8": b64(pkcs8), "PKCS#1": b64(x509.MarshalPKCS1PrivateKey(big)),
		"wrapped":           wrapped(x509.MarshalPKCS1PrivateKey(big)),
		"PEM":               b64(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})),
		"without its end":   b64(pkcs8)[:150],
		"wrapped PEM":       wrapped(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: sec1})),
		"PEM on Windows":    strings.ReplaceAll(wrapped(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: sec1})), "\n", "\r\n"),
		"RSA PEM, one line": b64(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(big)})),
	} {
		got := report.Plain("stat " + secret + ": file name too long")
		assert.Regexp(t, `^stat \(private key left out\)(\\x0d)?(\\x0a)?: file name too long$`, got, name)
		got = report.Plain(fmt.Sprintf("bad value %q here", secret))
		assert.Regexp(t, `^bad value "\(private key left out\)(\\r)?(\\n)?" here$`, got, name)
	}
	for _, s := range []string{b64(public), "/srv/" + strings.Repeat("abcd/", 40) + "driver.ko", strings.Repeat("0123456789abcdef", 8)} {
		assert.Equal(t, s, report.Plain(s))
	}
}

func FuzzPlain(f *testing.F) {
	f.Add(hostile)
	f.Add("x PRIVATE KEY----- y -----BEGIN PRIVATE KEY----- z PRIVATE KEY-----\n")
	f.Fuzz(func(t *testing.T, s string) {
		p := report.Plain(s)
		assert.False(t, strings.ContainsFunc(p, unicode.IsControl))
		assert.NotContains(t, p, "PRIVATE KEY-----")
		assert.Equal(t, p, report.Plain(p))
	})
}

func TestNoFormatPassesHostileNamesOn(t *testing.T) {
	t.Parallel()
	table := func(w io.Writer, r *report.Report) error { return report.Table(w, r, report.Style{}) }
	for name, w := range map[string]report.Writer{
		"table": table, "markdown": report.Markdown, "junit": report.JUnit, "sarif": report.SARIF, "html": report.HTML, "json": report.JSON,
		"code quality": report.CodeQuality,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := render(t, w, sample())
			assert.NotContains(t, out, "\x1b")
			assert.NotContains(t, out, "\n::")
			if name != "html" && name != "junit" && name != "sarif" && name != "code quality" { // those go to files alone
				assert.NotContains(t, out, "##[")
			}
			if name == "json" || name == "table" {
				return // data and plain text: markup means nothing there
			}
			assert.NotContains(t, out, "<script")
			assert.NotContains(t, out, "\u202e")
		})
	}
}

func TestMarkdownShowsNamesAsText(t *testing.T) {
	t.Parallel()
	out := render(t, report.Markdown, sample())
	var row string
	for _, line := range strings.Split(out, "\n") {
		if strings.HasPrefix(line, "|") && strings.Contains(line, "set-output") {
			assert.Empty(t, row, "the name spans one line")
			row = line
		}
	}
	assert.Equal(t, strings.Count(strings.Split(out, "\n")[len(strings.Split(out, "\n"))-3], " | "), strings.Count(row, " | "))
	for _, bad := range []string{"`", "](", "<", "http://", "*", "::"} {
		assert.NotContains(t, row, bad)
	}
}

func TestJUnitIsWellFormed(t *testing.T) {
	t.Parallel()
	var doc struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Suite    struct {
			Cases []struct {
				Name    string    `xml:"name,attr"`
				Failure *struct{} `xml:"failure"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	require.NoError(t, xml.Unmarshal([]byte(render(t, report.JUnit, sample())), &doc))
	assert.Equal(t, 3, doc.Tests)
	assert.Equal(t, 2, doc.Failures)
	require.Len(t, doc.Suite.Cases, 3)
	assert.Nil(t, doc.Suite.Cases[0].Failure)
	assert.NotNil(t, doc.Suite.Cases[1].Failure)
}

func TestSARIF(t *testing.T) {
	t.Parallel()
	var doc struct {
		Version string
		Runs    []struct {
			Tool struct {
				Driver struct{ Rules []struct{ ID string } }
			}
			Results []struct {
				RuleID, Level string
				Message       struct{ Text string }
				Locations     []struct {
					PhysicalLocation struct{ ArtifactLocation struct{ URI string } }
				}
			}
		}
	}
	require.NoError(t, json.Unmarshal([]byte(render(t, report.SARIF, sample())), &doc))
	require.Len(t, doc.Runs, 1)
	run := doc.Runs[0]
	require.Len(t, run.Results, 4)
	assert.Equal(t, "unsigned", run.Results[0].RuleID)
	assert.Equal(t, "warning", run.Results[1].Level)
	uri := run.Results[2].Locations[0].PhysicalLocation.ArtifactLocation.URI
	assert.NotContains(t, uri, ":")
	assert.NotContains(t, uri, " ")
	rules := map[string]bool{}
	for _, r := range run.Tool.Driver.Rules {
		rules[r.ID] = true
	}
	for _, r := range run.Results {
		assert.True(t, rules[r.RuleID], "rule %s is declared", r.RuleID)
	}
}

func TestHTMLNeedsNothingElse(t *testing.T) {
	t.Parallel()
	out := render(t, report.HTML, sample())
	for _, bad := range []string{"<script", "<link", "src=", "href=", "url(", "@import"} {
		assert.NotContains(t, out, bad)
	}
	assert.Contains(t, out, "prefers-color-scheme:dark")
	assert.Contains(t, out, "Loading of unsigned module is rejected")
	assert.Contains(t, out, "What to do:</strong> sign it with sign-kmods")
	assert.Contains(t, out, "<h1>2 of 3 modules would not load</h1>")
	assert.Less(t, strings.Index(out, "lib/bare.ko.xz</h3>"), strings.Index(out, "lib/good.ko</h3>"), "what does not load comes first")
}

// TestWhatWasNotCheckedIsSaidOnce: most of it is the same for every module.
func TestWhatWasNotCheckedIsSaidOnce(t *testing.T) {
	t.Parallel()
	r := &report.Report{Modules: []report.Module{
		{Path: "a.ko", Verdict: "loads", Unchecked: []string{"the release", "the hash"}},
		{Path: "b.ko", Verdict: "loads", Unchecked: []string{"the release"}, Warnings: []string{"old"}},
		{Path: "c.ko", Verdict: "tampered", Errno: "EKEYREJECTED", Unchecked: []string{"the release"}, Warnings: []string{"old"}, Hint: "run `sign <x>`"},
	}}
	r.Count()
	table := func(w io.Writer, r *report.Report) error { return report.Table(w, r, report.Style{}) }
	out := render(t, table, r)
	assert.Contains(t, out, "\nwarning (2 of 3 modules): old\nnot checked: the release\nnot checked (a.ko): the hash\n")
	assert.Contains(t, out, "  kernel: no line in its log (EKEYREJECTED)\n")
	for name, w := range map[string]report.Writer{"markdown": report.Markdown, "html": report.HTML, "junit": report.JUnit} {
		out := strings.ReplaceAll(render(t, w, r), "&#58;", ":")
		assert.Contains(t, out, "not checked: the release", name)
	}
	assert.Contains(t, render(t, report.HTML, r), "run <code>sign &lt;x&gt;</code>")
	r.Modules = r.Modules[:2]
	assert.Contains(t, render(t, report.HTML, r.Count()), "<h1>All 2 modules load</h1>")
}

func TestTableFitsTheTerminal(t *testing.T) {
	t.Parallel()
	r := &report.Report{Modules: []report.Module{{Path: strings.Repeat("long/", 40) + "name.ko", Kernel: "6.1", Verdict: "loads"}}}
	var b bytes.Buffer
	require.NoError(t, report.Table(&b, r, report.Style{Width: 60}))
	for _, line := range strings.Split(b.String(), "\n") {
		assert.LessOrEqual(t, len([]rune(line)), 60)
	}
	assert.Contains(t, b.String(), "/name.ko")
	assert.NotContains(t, b.String(), "\x1b")
	require.NoError(t, report.Table(&b, r, report.Style{Color: true}))
	assert.Contains(t, b.String(), "\x1b[32mloads")
}

func TestTableExplainsACauseOnce(t *testing.T) {
	t.Parallel()
	bad := func(path, reason string) report.Module {
		return report.Module{Path: path, Verdict: "unsigned", Reason: reason, Hint: "sign it", Dmesg: path + ": no"}
	}
	r := &report.Report{Modules: []report.Module{
		bad("a.ko", "no signature"), bad("b.ko", "no signature"), {Path: "c.ko", Verdict: "loads"}, bad("d.ko", "cut off"), bad("e.ko", "no signature"),
	}}
	var b bytes.Buffer
	require.NoError(t, report.Table(&b, r, report.Style{}))
	_, causes, _ := strings.Cut(b.String(), "\n\n")
	assert.Equal(t, "a.ko: unsigned: no signature\n  the same with 2 more\n  kernel: a.ko: no\n  hint:   sign it\n\n"+
		"d.ko: unsigned: cut off\n  kernel: d.ko: no\n  hint:   sign it\n", causes)
}

func TestTableNamesTheImage(t *testing.T) {
	t.Parallel()
	r := &report.Report{Image: "registry.example.com/driver:1", Digest: "sha256:12"}
	assert.Contains(t, render(t, func(w io.Writer, r *report.Report) error { return report.Table(w, r, report.Style{}) }, r),
		"\n\nimage: registry.example.com/driver:1@sha256:12\n")
	r.Image, r.Digest = "dir:out", ""
	assert.Equal(t, "dir:out", r.Pinned())
}

func TestTableEndsWithTheNotes(t *testing.T) {
	t.Parallel()
	r := &report.Report{Modules: []report.Module{{Path: "a.ko", Verdict: "loads"}}, Notes: []string{"nothing was pushed", "two\nlines \x1b[31m"}}
	var b bytes.Buffer
	require.NoError(t, report.Table(&b, r, report.Style{}))
	_, notes, _ := strings.Cut(b.String(), "\n\n")
	assert.Equal(t, "note: nothing was pushed\n\nnote: "+report.Plain(r.Notes[1])+"\n", notes)
	assert.NotContains(t, report.Plain(r.Notes[1]), "\x1b")
	b.Reset()
	require.NoError(t, report.HTML(&b, r))
	assert.Contains(t, b.String(), "<p>Note: nothing was pushed</p>")
}

func TestTableOfHostileNamesHasALineEach(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	r := sample()
	require.NoError(t, report.Table(&b, r, report.Style{}))
	table, _, _ := strings.Cut(b.String(), "\n\n")
	assert.Len(t, strings.Split(table, "\n"), 1+len(r.Modules))
}

func TestWriteFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"r.json", "r.xml", "r.md", "r.sarif", "r.html", "R.HTML"} {
		require.NoError(t, report.WriteFile(filepath.Join(dir, name), sample()))
	}
	for _, name := range []string{"r.txt", "report", ".pdf"} {
		err := report.WriteFile(filepath.Join(dir, name), sample())
		assert.Equal(t, fault.Usage, fault.ClassOf(err), name)
	}
	require.Error(t, report.WriteFile(filepath.Join(dir, "none", "r.json"), sample()))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, entries, 6, "no temporary file stays")
}

func TestFromManifest(t *testing.T) {
	t.Parallel()
	m := &manifest.Manifest{Source: manifest.Source{Name: "x", Digest: "sha256:1"}, Modules: []manifest.Module{
		{Path: "a.ko", Vermagic: "6.2 SMP", Stored: manifest.Blob{SHA256: "old"}, Signed: &manifest.Signed{Action: "signed", Signer: "me", Stored: manifest.Blob{SHA256: "new"}}},
		{Path: "b.ko", Vermagic: "6.1", Stored: manifest.Blob{SHA256: "old"}, Signatures: []manifest.Signature{{Signer: "outer"}, {Signer: "inner"}}},
	}}
	r := report.FromManifest("extract-kmods", m)
	assert.Equal(t, "new", r.Modules[0].SHA256)
	assert.Equal(t, "outer", r.Modules[1].Signer)
	assert.Equal(t, []string{"6.1", "6.2"}, r.Kernels())
	assert.Equal(t, "2 modules: 1 signed", report.Summary(r))
	assert.Empty(t, r.Verdict)
}
