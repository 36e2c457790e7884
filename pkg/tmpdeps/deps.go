// Package tmpdeps holds the dependencies in go.mod while the packages are being written.
package tmpdeps

import (
	_ "github.com/alecthomas/kong"
	_ "github.com/bmatcuk/doublestar/v4"
	_ "github.com/google/go-containerregistry/pkg/v1/remote"
	_ "github.com/klauspost/compress/zstd"
	_ "github.com/rhysd/actionlint"
	_ "github.com/rogpeppe/go-internal/testscript"
	_ "github.com/schollz/progressbar/v3"
	_ "github.com/sethvargo/go-githubactions"
	_ "github.com/smallstep/pkcs7"
	_ "github.com/stretchr/testify/require"
	_ "github.com/ulikunitz/xz"
	_ "github.com/youmark/pkcs8"
	_ "golang.org/x/sync/errgroup"
	_ "golang.org/x/sys/unix"
	_ "golang.org/x/term"
	_ "sigs.k8s.io/yaml"
	_ "github.com/a8m/envsubst"
	_ "github.com/jedib0t/go-pretty/v6/table"
	_ "github.com/google/go-containerregistry/pkg/registry"
	_ "software.sslmate.com/src/go-pkcs12"
)
