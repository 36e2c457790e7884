package kmm

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestMatch: KMM holds mappings to the release as the node gives it, less one
// '+' at its end; only images get the form with '_'.
func TestMatch(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ mapping, kernel, image string }{
		"literal":                        {"literal: 6.1.0-56-amd64", "6.1.0-56-amd64", "r/d:6.1.0-56-amd64"},
		"literal is not a prefix":        {"literal: 6.1.0-56", "6.1.0-56-amd64", ""},
		"literal is no expression":       {"literal: '6.1.0-..-amd64'", "6.1.0-56-amd64", ""},
		"literal is exact on case":       {"literal: 6.1.0-56-AMD64", "6.1.0-56-amd64", ""},
		"literal with a plus":            {"literal: 6.12.1+deb12-amd64", "6.12.1+deb12-amd64", "r/d:6.12.1_deb12-amd64"},
		"literal with the underscore":    {"literal: 6.12.1_deb12-amd64", "6.12.1+deb12-amd64", ""},
		"literal without the last plus":  {"literal: 6.8.0-rc1", "6.8.0-rc1+", "r/d:6.8.0-rc1"},
		"only one last plus":             {"literal: 6.8.0-rc1", "6.8.0-rc1++", ""},
		"regexp with a plus":             {`regexp: '^6\.12\.\d+\+deb12-amd64$'`, "6.12.1+deb12-amd64", "r/d:6.12.1_deb12-amd64"},
		"regexp with the underscore":     {`regexp: '^6\.12\.\d+_deb12-amd64$'`, "6.12.1+deb12-amd64", ""},
		"regexp anchored at both ends":   {`regexp: '^6\.1$'`, "6.1.0-56-amd64", ""},
		"regexp anywhere":                {`regexp: '\.el9'`, "5.14.0-427.el9.x86_64", "r/d:5.14.0-427.el9.x86_64"},
		"regexp minds case":              {`regexp: 'AMD64'`, "6.1.0-56-amd64", ""},
		"regexp told not to":             {`regexp: '(?i)AMD64'`, "6.1.0-56-amd64", "r/d:6.1.0-56-amd64"},
		"regexp that matches everything": {`regexp: '.*'`, "5.4.0-1", "r/d:5.4.0-1"},
		"a dot is any character":         {`regexp: '^6.1.0'`, "6a1b0.1.1", "r/d:6a1b0.1.1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := module(t, "      kernelMappings:\n        - {"+c.mapping+", containerImage: 'r/d:$KERNEL_FULL_VERSION', "+signSection+"}\n")
			require.NoError(t, err)
			j, err := m.Job(c.kernel)
			require.NoError(t, err)
			if c.image == "" {
				assert.Nil(t, j)
				return
			}
			require.NotNil(t, j)
			assert.Equal(t, c.image, j.Destination)
			assert.Equal(t, c.kernel, j.Kernel)
		})
	}
}

func TestFirstMappingWins(t *testing.T) {
	t.Parallel()
	const rest = ", " + signSection + "}\n"
	m, err := module(t, "      kernelMappings:\n"+
		"        - {regexp: '^6', containerImage: 'r/first:$KERNEL_X'"+rest+
		"        - {literal: 6.1.0-1, containerImage: 'r/second:$KERNEL_X'"+rest)
	require.NoError(t, err)
	j, err := m.Job("6.1.0-1")
	require.NoError(t, err)
	assert.Equal(t, "r/first:6", j.Destination)

	// Also where the first says nothing of signing: KMM does not look further.
	m, err = module(t, "      kernelMappings:\n        - {regexp: '^6', containerImage: 'r/first:1'}\n"+
		"        - {literal: 6.1.0-1, containerImage: 'r/second:1'"+rest)
	require.NoError(t, err)
	j, err = m.Job("6.1.0-1")
	require.NoError(t, err)
	assert.Nil(t, j)
}

// TestMerge: both sign sections, and what belongs to neither.
func TestMerge(t *testing.T) {
	t.Parallel()
	const both = `      containerImage: "r/c:$KERNEL_XYZ"
      registryTLS: {insecure: true}
      sign: {keySecret: {name: k0}, certSecret: {name: c0}, unsignedImage: "r/u0:1", unsignedImageRegistryTLS: {insecure: true}, filesToSign: [/opt/a.ko]}
      kernelMappings:
        - literal: 6.1.0-1
          sign: {keySecret: {name: k1}, certSecret: {name: c1}, filesToSign: [/opt/b.ko]}
        - literal: 6.1.0-2
          registryTLS: {}
          sign: {unsignedImage: "r/u2:1", unsignedImageRegistryTLS: {insecureSkipTLSVerify: true}, filesToSign: [/opt/a.ko]}
        - {literal: 6.1.0-3, containerImage: "r/m:1", build: {}}
        - {literal: 6.1.0-4, build: null}
        - {literal: 6.1.0-5, sign: null}
`
	m, err := module(t, both)
	require.NoError(t, err)
	job := func(kernel string) *Job {
		j, err := m.Job(kernel)
		require.NoError(t, err)
		require.NotNil(t, j)
		return j
	}
	j := job("6.1.0-1")
	assert.Equal(t, []string{"k1", "c1", "r/u0:1", "r/c:6.1.0"}, []string{j.KeySecret, j.CertSecret, j.Source, j.Destination})
	assert.Equal(t, []string{"/opt/a.ko", "/opt/b.ko"}, j.Include)
	assert.True(t, j.TLS.Insecure)
	j = job("6.1.0-2")
	assert.Equal(t, []string{"k0", "c0", "r/u2:1"}, []string{j.KeySecret, j.CertSecret, j.Source})
	assert.Equal(t, []string{"/opt/a.ko", "/opt/a.ko"}, j.Include)
	assert.Equal(t, TLS{}, j.TLS, "an empty registryTLS of the mapping counts")
	assert.Equal(t, TLS{Insecure: true}, j.SourceTLS, "KMM takes the container's")
	j = job("6.1.0-3")
	assert.Equal(t, []string{"r/m:1", "r/m:1"}, []string{j.Source, j.Destination})
	assert.True(t, j.InPlace)
	assert.False(t, job("6.1.0-4").InPlace, "null is no build")
	assert.Equal(t, "k0", job("6.1.0-5").KeySecret)
}
