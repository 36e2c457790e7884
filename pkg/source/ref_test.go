package source

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/fault"
)

func testHex() string { return strings.Repeat("ab", 32) }

func TestParse(t *testing.T) {
	t.Parallel()
	digest := "sha256:" + testHex()
	for in, want := range map[string]Ref{
		"ghcr.io/acme/driver:1":                      {Kind: Docker, Name: "ghcr.io/acme/driver:1"},
		"docker://ghcr.io/acme/driver:1":             {Kind: Docker, Name: "ghcr.io/acme/driver:1"},
		"host:5000/driver":                           {Kind: Docker, Name: "host:5000/driver"},
		"alpine":                                     {Kind: Docker, Name: "alpine"},
		"docker://alpine@" + digest:                  {Kind: Docker, Name: "alpine@" + digest},
		"alpine:3@" + digest:                         {Kind: Docker, Name: "alpine:3@" + digest},
		"oci:out":                                    {Kind: OCI, Name: "out"},
		"oci:./out/:6.12":                            {Kind: OCI, Name: "out", Tag: "6.12"},
		"oci:/x:ghcr.io/a/b:1":                       {Kind: OCI, Name: "/x", Tag: "ghcr.io/a/b:1"},
		"oci:out@" + digest:                          {Kind: OCI, Name: "out", Tag: digest},
		"oci-archive:a.tar":                          {Kind: OCIArchive, Name: "a.tar"},
		"oci-archive:a.tar:1":                        {Kind: OCIArchive, Name: "a.tar", Tag: "1"},
		"docker-archive:a.tar":                       {Kind: DockerArchive, Name: "a.tar"},
		"docker-archive:a.tar:driver:1":              {Kind: DockerArchive, Name: "a.tar", Tag: "driver:1"},
		"docker-archive:/t/a.tar:localhost:5000/d:1": {Kind: DockerArchive, Name: "/t/a.tar", Tag: "localhost:5000/d:1"},
		"dir:/lib/a:b":                               {Kind: Dir, Name: "/lib/a:b"},
		"dir:.":                                      {Kind: Dir, Name: "."},
	} {
		got, err := Parse(in)
		require.NoError(t, err, in)
		assert.Equal(t, want, got, in)
		again, err := Parse(got.String())
		require.NoError(t, err, got.String())
		assert.Equal(t, got, again)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "image.tar")
	require.NoError(t, os.WriteFile(file, []byte("x"), 0o600))
	for in, want := range map[string]struct{ text, hint string }{
		"":                              {"empty image name", "docker://REF"},
		"  ":                            {"empty image name", "docker://REF"},
		"a\nb":                          {"control characters", ""},
		"oci:a\x00b":                    {"control characters", ""},
		"docker:alpine":                 {"two slashes", "docker://alpine"},
		"docker://":                     {"image reference", "docker://REF"},
		"docker-daemon:alpine:1":        {`unknown transport "docker-daemon"`, "oci:DIR"},
		"containers-storage:alpine":     {"unknown transport", "oci:DIR"},
		"https://ghcr.io/a/b:1":         {`unknown transport "https"`, "docker://REF"},
		"s3://bucket/x":                 {`unknown transport "s3"`, "docker://REF"},
		"oci-layout:x":                  {"unknown transport", "oci:DIR"},
		dir:                             {"is a folder", "dir:" + dir},
		file:                            {"is a file", "docker-archive:" + file},
		"/no/such/path":                 {"does not exist", "dir:PATH"},
		"./no-such":                     {"does not exist", "dir:PATH"},
		"~/x":                           {"does not exist", "dir:PATH"},
		"UPPER/case:1":                  {"image reference", "docker://REF"},
		"a/b:tag with blank":            {"image reference", ""},
		"a/b@sha256:123":                {"image reference", ""},
		"oci:":                          {"lacks a path", "oci:DIR"},
		"oci::1":                        {"lacks a path", "oci:DIR"},
		"dir:":                          {"lacks a path", "dir:PATH"},
		"oci:x:":                        {"nothing after the last colon", "leave the colon out"},
		"oci://x":                       {"only docker: takes slashes", "oci:x"},
		"dir:///tmp":                    {"only docker: takes slashes", "dir:/tmp"},
		"oci:x@sha256:12":               {"bad digest", ""},
		"oci:x:sha256:" + testHex():     {"a digest is no tag", "oci:x@sha256:"},
		"docker-archive:a.tar:UP:1":     {"UP", "docker-archive:FILE:NAME:TAG"},
		"docker-archive:a@sha256:12":    {"bad digest", ""},
		"docker-archive:a.tar:driver@1": {"driver@1", ""},
	} {
		_, err := Parse(in)
		require.Error(t, err, in)
		assert.Equal(t, fault.Usage, fault.ClassOf(err), in)
		assert.Contains(t, err.Error(), want.text, in)
		assert.NotContains(t, err.Error(), "\n")
		assert.Contains(t, strings.Join(fault.HintsOf(err), "\n"), want.hint, in)
	}
}

func TestSame(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mustPut(t, "oci:"+dir+"/one:v1", testImage(t, "", "linux", "amd64"), nil)
	require.NoError(t, os.Symlink("one", dir+"/link"))
	d := "@sha256:" + testHex()
	for _, c := range []struct {
		src, dst string
		want     bool
	}{
		{"a/b:1", "docker://a/b:1", true},
		{"a/b", "a/b:latest", true},
		{"docker.io/library/alpine:1", "alpine:1", true},
		{"a/b:1" + d, "a/b:1", true},
		{"a/b" + d, "a/b:latest", false},
		{"a/b:1", "a/b:2", false},
		{"a/b:1", "a/c:1", false},
		{"a/b:1", "x.io/a/b:1", false},
		{"oci:" + dir + "/one:v1", "oci:" + dir + "/link:v1", true},
		{"oci:" + dir + "/one", "oci:" + dir + "/one:v1", true},
		{"oci:" + dir + "/one", "oci:" + dir + "/one:v2", false},
		{"oci:" + dir + "/one:v1", "oci:" + dir + "/one:v2", false},
		{"oci:" + dir + "/one:v1", "oci:" + dir + "/one", false},
		{"oci:" + dir + "/two:1", "oci:" + dir + "/x/../two:1", true},
		{"oci-archive:x.tar:1", "oci-archive:./x.tar:2", true},
		{"oci-archive:x.tar", "docker-archive:x.tar", false},
		{"dir:x", "dir:x", false},
	} {
		assert.Equal(t, c.want, Same(mustParse(t, c.src), mustParse(t, c.dst)), "%s %s", c.src, c.dst)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"alpine", "docker://a/b:1", "oci:x:1", "oci:x@sha256:" + testHex(), "docker-archive:a.tar:b:1", "dir:a:b", ":", "oci::", "docker:////"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := Parse(s)
		if err != nil {
			if fault.ClassOf(err) != fault.Usage {
				t.Fatalf("%q: class %d: %v", s, fault.ClassOf(err), err)
			}
			return
		}
		again, err := Parse(r.String())
		if err != nil || again != r {
			t.Fatalf("%q: %#v became %#v, %v", s, r, again, err)
		}
	})
}
