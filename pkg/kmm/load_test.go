package kmm

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/fault"
)

const oneLine = `{"apiVersion": "kmm.sigs.x-k8s.io/v1beta1", "kind": "Module", "metadata": {"name": "m"}, ` +
	`"spec": {"moduleLoader": {"container": {"modprobe": {"moduleName": "a"}, "kernelMappings": [{"regexp": "^6", "containerImage": "r/d:$KERNEL_XYZ", ` +
	`"sign": {"keySecret": {"name": "k"}, "certSecret": {"name": "c"}, "unsignedImage": "r/u:1", "filesToSign": ["/opt/a.ko"]}}]}}}}`

const block = `apiVersion: kmm.sigs.x-k8s.io/v1beta1
kind: Module
metadata: {name: m}
spec:
  moduleLoader:
    container:
      modprobe: {moduleName: a}
      kernelMappings:
        - regexp: '^6'
          containerImage: r/d:$KERNEL_XYZ
          sign:
            keySecret: {name: k}
            certSecret: {name: c}
            unsignedImage: r/u:1
            filesToSign:
              - /opt/a.ko
`

// TestForms: one Module, written in every way that the API server's clients take.
func TestForms(t *testing.T) {
	t.Parallel()
	pretty := "{\n\t\"apiVersion\"" + strings.TrimPrefix(oneLine, `{"apiVersion"`)
	for name, c := range map[string]struct {
		text string
		n    int
	}{
		"YAML":               {block, 1},
		"CRLF":               {strings.ReplaceAll(block, "\n", "\r\n"), 1},
		"byte order mark":    {"\ufeff" + block, 1},
		"JSON":               {oneLine, 1},
		"JSON with tabs":     {pretty, 1},
		"JSON with a BOM":    {"\ufeff" + oneLine, 1},
		"JSON values":        {oneLine + "\n" + pretty + oneLine, 3},
		"JSON in a document": {"# one\n---\n" + oneLine + "\n---\n" + block, 2},
		"empty documents":    {"---\n---\n# nothing\n---\n" + block + "...\n---\n", 1},
		"other shapes":       {"- a\n---\njust text\n---\n42\n---\n" + block, 1},
		"List":               {"kind: List\nitems:\n- " + strings.ReplaceAll(strings.TrimSpace(block), "\n", "\n  ") + "\n- {kind: Pod}\n", 1},
		"ModuleList":         {"apiVersion: kmm.sigs.x-k8s.io/v1beta1\nkind: ModuleList\nitems: [" + oneLine + "]\n", 1},
		"items of an alias":  {"kind: List\nx: &m " + oneLine + "\nitems: [*m, *m]\n", 2},
		"a list of itself":   {"&l {kind: List, items: [*l]}\n---\n" + block, 1},
		"anchor and alias":   {strings.NewReplacer("name: k}", "name: &n k}", "certSecret: {name: c}", "certSecret: {name: *n}").Replace(block), 1},
		"merge key":          {strings.Replace(block, "            keySecret: {name: k}\n", "            <<: &d {keySecret: {name: k}}\n", 1), 1},
		"merge keys":         {strings.Replace(block, "            keySecret: {name: k}\n", "            <<: [{keySecret: {name: k}}, {certSecret: {name: z}}]\n", 1), 1},
		"tags":               {strings.Replace(block, "r/u:1", "!!str r/u:1", 1), 1},
		"folded":             {strings.Replace(block, "unsignedImage: r/u:1", "unsignedImage: >-\n              r/u:1", 1), 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ms, err := Load(strings.NewReader(c.text), "x")
			require.NoError(t, err)
			require.Len(t, ms, c.n)
			for i := range ms {
				j, err := ms[i].Job("6.1.0-1")
				require.NoError(t, err)
				assert.Equal(t, []string{"r/d:6.1.0", "r/u:1", "k", "/opt"}, []string{j.Destination, j.Source, j.KeySecret, j.DirName})
				assert.Empty(t, j.Warnings)
			}
		})
	}
}

func TestLoadRefusals(t *testing.T) {
	t.Parallel()
	change := func(old, text string) string { return strings.Replace(block, old, text, 1) }
	for name, c := range map[string]struct{ text, message string }{
		"spec twice":              {block + "spec: {}\n", `line 17: mapping key "spec" already defined at line 4`},
		"metadata twice":          {block + "metadata: {name: x}\n", "already defined"},
		"files twice":             {change("keySecret: {name: k}\n", "filesToSign: [/opt/b.ko]\n"+"            keySecret: {name: k}\n"), "already defined"},
		"module name twice":       {change("moduleName: a", "moduleName: a, moduleName: b"), "line 7"},
		"tab for a blank":         {change("  moduleLoader", "\tmoduleLoader"), "line 5"},
		"a text for a list":       {change("\n              - /opt/a.ko", " /opt/a.ko"), "into a list"},
		"a text for a yes":        {change("          sign:", "          registryTLS: {insecure: 'true'}\n          sign:"), "into bool"},
		"a list for a text":       {change("r/u:1", "[r/u:1]"), "line 14"},
		"not UTF-8":               {change("name: m", "name: m\xe9"), "UTF-8"},
		"merges itself":           {change("          sign:\n", "          sign: &s\n            <<: *s\n"), "contains itself"},
		"misspelt in a merge":     {change("            keySecret: {name: k}\n", "            <<: {fileToSign: [/opt/b.ko]}\n"), `no field "fileToSign"`},
		"wrong case":              {change("filesToSign", "FilesToSign"), `no field "FilesToSign"`},
		"half JSON":               {oneLine[:len(oneLine)-1], "read x"},
		"too large":               {block + "#" + strings.Repeat(" ", maxInput), "more than 16 MiB"},
		"a list too long":         {"kind: List\nx: &m " + oneLine + "\nitems: [" + strings.Repeat("*m,", maxModules+1) + "]\n", "more than 10000"},
		"no name to load":         {change("moduleName: a", "dirName: /opt"), "neither moduleName nor rawArgs"},
		"half of rawArgs":         {change("moduleName: a", "rawArgs: {load: [a]}"), "load and unload"},
		"name and rawArgs":        {change("moduleName: a", "moduleName: a, rawArgs: {load: [a], unload: [a]}"), "both moduleName and rawArgs"},
		"order of one":            {change("moduleName: a", "moduleName: a, modulesLoadingOrder: [a]"), "at least two"},
		"empty order":             {change("moduleName: a", "moduleName: a, modulesLoadingOrder: []"), "at least two"},
		"order of others":         {change("moduleName: a", "moduleName: a, modulesLoadingOrder: [b, a]"), `begins with "b"`},
		"order without a name":    {change("moduleName: a", "rawArgs: {load: [a], unload: [a]}, modulesLoadingOrder: [a, b]"), "begins with"},
		"order with one twice":    {change("moduleName: a", "moduleName: a, modulesLoadingOrder: [a, b, b]"), `"b" twice`},
		"placeholder to load":     {change("moduleName: a", "moduleName: '<your module name>'"), "not the name of a module"},
		"path to load":            {change("moduleName: a", "moduleName: kernel/a"), "not the name of a module"},
		"neither literal nor re":  {change("regexp: '^6'", "dummy: x"), "exactly one of literal and regexp"},
		"second mapping is wrong": {block + "        - {literal: a, regexp: '('}\n", "exactly one of literal and regexp"},
		"expression never used":   {block + "        - {regexp: '(', containerImage: 'r/x:1'}\n", "missing closing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Load(strings.NewReader(c.text), "x")
			require.ErrorContains(t, err, c.message)
			assert.NotContains(t, err.Error(), "\n")
			assert.NotContains(t, err.Error(), "kmm.text")
			assert.Equal(t, fault.Input, fault.ClassOf(err))
		})
	}
}

// TestNothingToLoad: a device plugin alone has no job, and is no mistake.
func TestNothingToLoad(t *testing.T) {
	t.Parallel()
	ms, err := Load(strings.NewReader("apiVersion: kmm.sigs.x-k8s.io/v1beta1\nkind: Module\nmetadata: {name: plugin}\nspec: {devicePlugin: {container: {image: x}}}\n---\n"+block), "x")
	require.NoError(t, err)
	p, err := Make(ms, []string{"6.1.0-1"})
	require.NoError(t, err)
	assert.Equal(t, []Pair{{"plugin", "6.1.0-1"}}, p.Idle)
	require.Len(t, p.Jobs, 1)
}

// TestFields that a job does not depend on, and those that it does.
func TestFields(t *testing.T) {
	t.Parallel()
	ms, err := Load(strings.NewReader(strings.NewReplacer(
		"      modprobe: {moduleName: a}", "      version: \"1\"\n      imagePullPolicy: Always\n      inTreeModulesToRemove: [x]\n      modprobe: {moduleName: a, dirName: /drv, "+
			"firmwarePath: /firmware, parameters: [p=1], args: {load: [-v], unload: [-v]}, modulesLoadingOrder: [a, b, c]}",
		"/opt/a.ko", "/drv/lib/modules/${KERNEL_FULL_VERSION}/a.ko").Replace(block)), "x")
	require.NoError(t, err)
	j, err := ms[0].Job("6.12.1+deb12-amd64")
	require.NoError(t, err)
	assert.Equal(t, []string{"/drv", "/firmware"}, []string{j.DirName, j.Firmware})
	assert.Equal(t, []string{"a", "b", "c"}, j.Require)
	assert.Equal(t, []string{"/drv/lib/modules/6.12.1+deb12-amd64/a.ko"}, j.Include)
	require.Len(t, j.Warnings, 1)
	assert.Contains(t, j.Warnings[0], "line 19: KMM itself would look for /drv/lib/modules/6.12.1_deb12-amd64/a.ko")
}
