package kmm

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/fault"
)

// expected is a row of what KMM's own mapper gave.
type expected struct {
	File, Name, Kernel, MapErr string
	Image, Unsigned, DirName   string
	Key, Cert, RepoSecret      string
	Files                      []string
	Build, Sign                bool
	TLS, UnsignedTLS           TLS
}

func TestJobsAreKMMs(t *testing.T) {
	t.Parallel()
	const dir = "../../testdata/kmm"
	b, err := os.ReadFile(filepath.Join(dir, "expected-kmm-behaviour.json"))
	require.NoError(t, err)
	var rows []expected
	require.NoError(t, json.Unmarshal(b, &rows))
	require.Len(t, rows, 18)
	for _, want := range rows {
		t.Run(want.File+"/"+want.Kernel, func(t *testing.T) {
			t.Parallel()
			j, err := load(t, filepath.Join(dir, want.File)).Job(want.Kernel)
			switch {
			case strings.Contains(want.MapErr, "mapping not found"):
				require.NoError(t, err)
				assert.Nil(t, j)
				return
			case strings.Contains(want.MapErr, "at least three components"):
				require.ErrorContains(t, err, "fewer than three parts")
				return
			case strings.Contains(strings.Join(want.Files, " "), "/.ko"):
				// KMM puts nothing for a variable that it does not know; here that is refused.
				require.ErrorContains(t, err, "${MOD_NAME} not set")
				assert.Equal(t, fault.Input, fault.ClassOf(err))
				return
			}
			require.NoError(t, err)
			require.NotNil(t, j)
			assert.Equal(t, want.Image, j.Destination)
			assert.Equal(t, want.Build, j.InPlace)
			if !want.Build {
				assert.Equal(t, want.Unsigned, j.Source)
				assert.Equal(t, want.UnsignedTLS, j.SourceTLS)
			}
			assert.Equal(t, want.Key, j.KeySecret)
			assert.Equal(t, want.Cert, j.CertSecret)
			assert.Equal(t, want.RepoSecret, j.RepoSecret)
			assert.Equal(t, want.DirName, j.DirName)
			assert.Equal(t, want.TLS, j.TLS)
			// The real release in paths: KMM's are those with '+' made '_'.
			for i, f := range j.Include {
				assert.Equal(t, want.Files[i], strings.ReplaceAll(f, want.Kernel, Normalize(want.Kernel)))
			}
			assert.Len(t, j.Include, len(want.Files))
		})
	}
}

func load(t *testing.T, file string) *Module {
	t.Helper()
	f, err := os.Open(file)
	require.NoError(t, err)
	defer f.Close()
	ms, err := Load(f, file)
	require.NoError(t, err)
	require.Len(t, ms, 1)
	return &ms[0]
}

// module is a resource with a hole for the sign section's parent fields.
func module(t *testing.T, body string) (*Module, error) {
	t.Helper()
	ms, err := Load(strings.NewReader("apiVersion: kmm.sigs.x-k8s.io/v1beta1\nkind: Module\nmetadata: {name: m, namespace: n}\n"+
		"spec:\n  moduleLoader:\n    container:\n      modprobe: {moduleName: a, dirName: /opt, modulesLoadingOrder: [a, b]}\n"+body), "cr.yaml")
	if err != nil {
		return nil, err
	}
	return &ms[0], nil
}

const signSection = `sign: {keySecret: {name: k}, certSecret: {name: c}, unsignedImage: "r/u:1", filesToSign: [/opt/a.ko]}`

func TestJobRefusals(t *testing.T) {
	t.Parallel()
	mapping := func(m string) string { return "      kernelMappings:\n        - " + m + "\n" }
	for name, c := range map[string]struct{ body, message string }{
		"unknown variable":     {mapping(`{regexp: '.*', containerImage: "r/d:${KERNEL}", ` + signSection + `}`), "${KERNEL} not set"},
		"image without tag":    {mapping(`{regexp: '.*', containerImage: "host:5000/d", ` + signSection + `}`), "neither tag nor digest"},
		"placeholder":          {mapping(`{regexp: '.*', containerImage: "r/<name>:1", ` + signSection + `}`), "placeholder"},
		"literal and regexp":   {mapping(`{literal: x, regexp: '.*', containerImage: "r/d:1"}`), "exactly one of literal and regexp"},
		"second is bad":        {mapping(`{literal: 6.1.0-56-amd64, containerImage: "r/d:1", `+signSection+`}`) + "        - {literal: a, regexp: b}\n", "exactly one of literal and regexp"},
		"plus at the end":      {mapping(`{literal: 6.1.0-56+, containerImage: "r/d:1", ` + signSection + `}`), "never matches this literal"},
		"half a variable":      {mapping(`{regexp: '.*', containerImage: "r/d:$KERNEL_Xfoo", ` + signSection + `}`), "KERNEL_Xfoo"},
		"open brace":           {mapping(`{regexp: '.*', containerImage: "r/d:${KERNEL_X", ` + signSection + `}`), "closing brace expected"},
		"bad regexp":           {mapping(`{regexp: '(', containerImage: "r/d:1", ` + signSection + `}`), "missing closing"},
		"misspelt field":       {mapping(`{regexp: '.*', containerImage: "r/d:1", sign: {fileToSign: [/opt/a.ko]}}`), `no field "fileToSign"`},
		"no unsigned image":    {mapping(`{regexp: '.*', containerImage: "r/d:1", sign: {filesToSign: [/opt/a.ko]}}`), "no unsignedImage"},
		"climbs out":           {mapping(`{regexp: '.*', containerImage: "r/d:1", sign: {unsignedImage: "r/u:1", filesToSign: [/opt/../etc/a.ko]}}`), "not below dirName"},
		"no image":             {mapping(`{regexp: '.*', ` + signSection + `}`), "cr.yaml, line 9: module m: no containerImage"},
		"a number for a text":  {mapping(`{literal: 6.10, containerImage: "r/d:1", ` + signSection + `}`), "line 9: 6.10 is no text"},
		"a yes for a text":     {mapping(`{literal: true, containerImage: "r/d:1", ` + signSection + `}`), "line 9: true is no text"},
		"shell in a file name": {mapping(`{regexp: '.*', containerImage: "r/d:1", sign: {unsignedImage: "r/u:1", filesToSign: ["/opt/a.ko; id"]}}`), "shell syntax"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := module(t, c.body)
			if err == nil {
				kernel := "6.1.0-56-amd64"
				if name == "plus at the end" {
					kernel = "6.1.0-56+"
				}
				_, err = m.Job(kernel)
			}
			require.ErrorContains(t, err, c.message)
			require.ErrorContains(t, err, "line ")
			assert.Equal(t, fault.Input, fault.ClassOf(err))
		})
	}
}

func TestJobWarnings(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ mapping, kernel, warning string }{
		"unanchored":                   {`{regexp: '6\.1', containerImage: "r/d:1", ` + signSection + `}`, "16.1.3-x", "not anchored"},
		"plus in a path":               {`{regexp: '^.*$', containerImage: "r/d:$KERNEL_VERSION", sign: {unsignedImage: "r/u:1", filesToSign: ["/opt/lib/modules/$KERNEL_VERSION/a.ko"]}}`, "6.12.1+deb12-amd64", "6.12.1_deb12-amd64"},
		"literal with plus at its end": {"{literal: 6.12.1-x+, containerImage: 'r/d:1', " + signSection + "}\n        - {regexp: '^6', containerImage: 'r/d:$KERNEL_XYZ', " + signSection + "}", "6.12.1-x+", "never matches this literal"},
		"literal in a glob":            {`{regexp: '^.*$', containerImage: "r/d:$KERNEL_VERSION", sign: {unsignedImage: "r/u:1", filesToSign: ["/opt/lib/modules/5.10.0-1/*.ko"]}}`, "6.1.0-56-amd64", "another kernel"},
		"this kernel's literal":        {`{regexp: '^.*$', containerImage: "r/d:$KERNEL_VERSION", sign: {unsignedImage: "r/u:1", filesToSign: ["/opt/lib/modules/6.1.0-56-amd64/a.ko"]}}`, "6.1.0-56-amd64", "where regexp"},
		"no secrets":                   {`{regexp: '^6', containerImage: "r/d:$KERNEL_XYZ", sign: {unsignedImage: "r/u:1", filesToSign: [/opt/a.ko]}}`, "6.12.3-x", "wants keySecret and certSecret"},
		"webhook wants files":          {`{regexp: '^6', containerImage: "r/d:$KERNEL_XYZ", sign: {unsignedImage: "r/u:1"}}`, "6.12.3-x", "webhook refuses"},
		"misspelt mapping":             {`{regexp: '^6', image: x, containerImage: "r/d:$KERNEL_XYZ", ` + signSection + `}`, "6.12.3-x", `no field "image"`},
		"misspelt TLS":                 {`{regexp: '^6', registryTLS: {insecureSkipTlsVerify: true}, containerImage: "r/d:$KERNEL_XYZ", ` + signSection + `}`, "6.12.3-x", `no field "insecureSkipTlsVerify"`},
		"plus in a part of a path":     {`{regexp: '^.*$', containerImage: "r/d:$KERNEL_VERSION", sign: {unsignedImage: "r/u:1", filesToSign: ["/opt/$KERNEL_Z.ko"]}}`, "6.12.1+deb12-amd64", "cr.yaml, line 9: KMM itself would look for /opt/1_deb12.ko"},
		"file outside elsewhere":       {"{literal: 6.12.3-x, containerImage: 'r/d:1', " + signSection + "}\n        - {regexp: '^5', containerImage: 'r/d:1', sign: {filesToSign: [/lib/a.ko]}}", "6.12.3-x", `cr.yaml, line 10: KMM's webhook refuses file "/lib/a.ko"`},
		"no tag elsewhere":             {"{literal: 6.12.3-x, containerImage: 'r/d:1', " + signSection + "}\n        - {regexp: '^5', containerImage: 'r/d'}", "6.12.3-x", "line 10: KMM's webhook refuses a mapping"},
		"both in-tree forms":           {`{regexp: '^6', inTreeModuleToRemove: x, inTreeModulesToRemove: [y], containerImage: "r/d:$KERNEL_XYZ", ` + signSection + `}`, "6.12.3-x", "exclude each other"},
		"half a number":                {`{regexp: '^6\.1', containerImage: "r/d:$KERNEL_XYZ", ` + signSection + `}`, "6.12.3-x", "ends inside a number"},
		"one tag for all":              {`{regexp: '^6', containerImage: "r/d:1", ` + signSection + `}`, "6.12.3-x", "the same for every kernel"},
		"no files":                     {`{regexp: '^6', containerImage: "r/d:$KERNEL_XYZ", sign: {unsignedImage: "r/u:1"}}`, "6.12.3-x", "every module is signed"},
		"literal in path":              {`{regexp: '^.*$', containerImage: "r/d:$KERNEL_VERSION", sign: {unsignedImage: "r/u:1", filesToSign: ["/opt/lib/modules/5.10.0/a.ko"]}}`, "6.1.0-56-amd64", "another kernel"},
		"build in the way":             {`{regexp: '^.*$', containerImage: "r/d:1", build: {}, ` + signSection + `}`, "6.1.0-56-amd64", "unsignedImage is ignored"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := module(t, "      kernelMappings:\n        - "+c.mapping+"\n")
			require.NoError(t, err)
			j, err := m.Job(c.kernel)
			require.NoError(t, err)
			assert.Contains(t, strings.Join(j.Warnings, "\n"), c.warning)
			assert.Equal(t, []string{"a", "b"}, j.Require)
		})
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	const other = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n---\n"
	const managed = "apiVersion: hub.kmm.sigs.x-k8s.io/v1beta1\nkind: ManagedClusterModule\nmetadata: {name: mm}\n" +
		"spec:\n  spokeNamespace: edge\n  moduleSpec:\n    imageRepoSecret: {name: pull}\n    moduleLoader:\n      container:\n" +
		"        modprobe: {moduleName: a}\n        kernelMappings: [{literal: 6.1.0-1, containerImage: 'r/d:1', " + signSection + "}]\n"
	ms, err := Load(strings.NewReader(other+managed), "x")
	require.NoError(t, err)
	require.Len(t, ms, 1)
	list := "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n- " + strings.ReplaceAll(strings.TrimSpace(managed), "\n", "\n  ")
	again, err := Load(strings.NewReader(list), "x")
	require.NoError(t, err)
	require.Len(t, again, 1)
	assert.Equal(t, "mm", again[0].Name)
	assert.Equal(t, "edge", ms[0].Namespace)
	own, err := Load(strings.NewReader(strings.Replace(managed, "r/d:1", "r/$MOD_NAMESPACE:1", 1)), "x")
	require.NoError(t, err)
	hubs, err := own[0].Job("6.1.0-1")
	require.NoError(t, err)
	assert.Equal(t, "r/edge:1", hubs.Destination)
	assert.Contains(t, strings.Join(hubs.Warnings, "\n"), "x, line 11: KMM's hub signs under its own namespace")
	j, err := ms[0].Job("6.1.0-1")
	require.NoError(t, err)
	assert.Equal(t, "pull", j.RepoSecret)

	for name, text := range map[string]string{
		"empty": "", "other kinds only": other, "not yaml": "a: [", "a list in a list": "kind: List\nitems: [{kind: List, items: [" + oneLine + "]}]\n",
		"another group": strings.Replace(oneLine, "kmm.sigs", "evil.kmm.sigs", 1), "beginning like it": strings.Replace(oneLine, "x-k8s.io/", "x-k8s.io.evil/", 1),
	} {
		_, err := Load(strings.NewReader(text), "x")
		assert.Equal(t, fault.Input, fault.ClassOf(err), name)
	}
}

// TestSubstitute: the results that KMM's engine gives, but for names that it does not know.
func TestSubstitute(t *testing.T) {
	t.Parallel()
	vars, err := variables("6.1.0-56-amd64")
	require.NoError(t, err)
	for template, want := range map[string]string{
		"$KERNEL_FULL_VERSION":    "6.1.0-56-amd64",
		"${KERNEL_VERSION}":       "6.1.0-56-amd64",
		"a$KERNEL_X.$KERNEL_Y":    "a6.1",
		"${KERNEL_XYZ}":           "6.1.0",
		"${UNSET:-def}":           "def",
		"${UNSET-def}":            "def",
		"${KERNEL_X:+yes}":        "yes",
		"$$KERNEL_X":              "$KERNEL_X",
		"$(KERNEL_X)":             "$(KERNEL_X)",
		"%KERNEL_X%{{.KERNEL_X}}": "%KERNEL_X%{{.KERNEL_X}}",
		"${UNSET:-$KERNEL_X}":     "6",
	} {
		got, err := substitute(template, vars)
		require.NoError(t, err, template)
		assert.Equal(t, want, got, template)
	}
	for _, template := range []string{"${UNSET}", "$kernel_x", "${MOD_NAME}", "$KERNEL_Xfoo", "${KERNEL_X"} {
		_, err := substitute(template, vars)
		require.Error(t, err, template)
	}
	_, err = substitute("$KERNEL_X", nil)
	require.ErrorContains(t, err, "no kernel is given")
}

func FuzzLoad(f *testing.F) {
	for _, s := range []string{"amd-openshift-shape", "amd-ubuntu-shape", "merge-both-levels"} {
		b, err := os.ReadFile("../../testdata/kmm/" + s + ".yaml")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(b))
	}
	f.Fuzz(func(_ *testing.T, s string) {
		ms, _ := Load(strings.NewReader(s), "fuzz")
		for i := range ms {
			_, _ = ms[i].Job("6.1.0-56-amd64")
		}
	})
}
