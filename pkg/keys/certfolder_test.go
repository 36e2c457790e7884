package keys

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kmodseal/kmodseal/pkg/fault"
)

func TestCertificateIn(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files []string
		want  string
	}{
		"KMM certSecret":    {[]string{"cert"}, "cert"},
		"kubernetes.io/tls": {[]string{"tls.crt", "other"}, "tls.crt"},
		"kernel":            {[]string{"signing_key.x509"}, "signing_key.x509"},
		"none":              {[]string{"ca.pem"}, ""},
		"empty":             {nil, ""},
		"two":               {[]string{"cert", "tls.crt"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for _, f := range c.files {
				require.NoError(t, os.WriteFile(filepath.Join(dir, f), []byte("x"), 0o600))
			}
			got, err := certificateIn(dir)
			if c.want == "" {
				assert.Equal(t, fault.Key, fault.ClassOf(err))
				return
			}
			require.NoError(t, err)
			assert.Equal(t, filepath.Join(dir, c.want), got)
		})
	}
	_, err := certificateIn(filepath.Join(t.TempDir(), "absent"))
	assert.Equal(t, fault.Key, fault.ClassOf(err))
}
