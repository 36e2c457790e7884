// Command release makes what a release consists of, but for the images: an
// archive of the static binaries for each platform, a list of their parts
// (CycloneDX), SHA256SUMS and the notes out of CHANGELOG.md. The same sources,
// version and Go give the same bytes.
//
//	go run ./e2e/release -version v1.0.0 -out dist/snapshot
//	go run ./e2e/release -version v1.0.0 -out dist/snapshot -stamp .     and checksums into actions and templates
package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// everywhere is where the steps run: images are signed on Linux, folders also elsewhere.
const everywhere = "linux/amd64,linux/arm64,linux/ppc64le,linux/s390x,darwin/amd64,darwin/arm64,windows/amd64,windows/arm64"

// steps are those that are released for an operating system, as far as they build
// for it and make sense without an image.
func steps(goos string) []string {
	switch goos {
	case "linux":
		return []string{"plan-kmods", "extract-kmods", "sign-kmods", "verify-kmods", "repack-image"}
	case "darwin":
		return []string{"plan-kmods", "sign-kmods", "verify-kmods"}
	}
	return []string{"plan-kmods", "sign-kmods"}
}

type options struct {
	version, out, stamp string
	platforms           []string
}

func main() {
	var o options
	var platforms string
	flag.StringVar(&o.version, "version", "v0.0.0-snapshot", "version of the release")
	flag.StringVar(&o.out, "out", "dist/snapshot", "folder to write to")
	flag.StringVar(&o.stamp, "stamp", "", "folder whose actions and templates get version and checksums")
	flag.StringVar(&platforms, "platforms", everywhere, "platforms, comma-separated")
	flag.Parse()
	o.platforms = strings.Split(platforms, ",")
	if err := run(context.Background(), &o); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o *options) error {
	if !regexp.MustCompile(`^v[0-9]+\.[0-9]+\.[0-9]+[\w.+-]*$`).MatchString(o.version) {
		return fmt.Errorf("version %q is not vX.Y.Z", o.version)
	}
	work, err := os.MkdirTemp("", "kmodseal-release-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work) //nolint:errcheck // a temporary folder
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return err
	}
	if err := notes("CHANGELOG.md", filepath.Join(o.out, "NOTES.md"), o.version); err != nil {
		return err
	}
	var files []string
	for _, p := range o.platforms {
		made, err := platform(ctx, o, work, p)
		if err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
		files = append(files, made...)
	}
	return sums(o, files)
}

// platform makes the archive and the list of parts of one platform.
func platform(ctx context.Context, o *options, work, name string) ([]string, error) {
	goos, goarch, ok := strings.Cut(name, "/")
	if !ok {
		return nil, fmt.Errorf("platform is not OS/ARCH")
	}
	bin := filepath.Join(work, goos+"_"+goarch)
	if err := compile(ctx, o.version, bin, goos, goarch); err != nil {
		return nil, err
	}
	stem := "kmodseal_" + goos + "_" + goarch
	if err := pack(filepath.Join(o.out, stem+".tar.gz"), bin); err != nil {
		return nil, err
	}
	if err := inventory(filepath.Join(o.out, stem+".cdx.json"), bin, o.version); err != nil {
		return nil, err
	}
	return []string{stem + ".tar.gz", stem + ".cdx.json"}, nil
}

func compile(ctx context.Context, version, bin, goos, goarch string) error {
	args := []string{
		"build", "-trimpath", "-buildvcs=false",
		"-ldflags", "-s -w -buildid= -X github.com/kmodseal/kmodseal/pkg/step.version=" + version,
		"-o", bin + string(filepath.Separator),
	}
	for _, s := range steps(goos) {
		args = append(args, "github.com/kmodseal/kmodseal/steps/"+s)
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOOS="+goos, "GOARCH="+goarch, "GOAMD64=v1")
	cmd.Stderr = os.Stderr
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return err
	}
	return cmd.Run()
}

// sums writes SHA256SUMS, and where it is wanted stamps version and checksums.
func sums(o *options, files []string) error {
	slices.Sort(files)
	var all strings.Builder
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(o.out, f))
		if err != nil {
			return err
		}
		sum := sha256.Sum256(b)
		all.WriteString(hex.EncodeToString(sum[:]) + "  " + f + "\n")
	}
	if err := os.WriteFile(filepath.Join(o.out, "SHA256SUMS"), []byte(all.String()), 0o644); err != nil { //nolint:gosec // published
		return err
	}
	if o.stamp == "" {
		return nil
	}
	return stamp(o.stamp, o.version, all.String())
}

// notes are the section of the version in the changelog; of a version with a suffix,
// which is none yet, the first one.
func notes(changelog, file, version string) error {
	b, err := os.ReadFile(changelog)
	if err != nil {
		return err
	}
	heading := regexp.QuoteMeta(version)
	if strings.ContainsAny(version, "-+") {
		heading = ".*"
	}
	at := regexp.MustCompile(`(?m)^## ` + heading + `$`).FindIndex(b)
	if at == nil {
		return fmt.Errorf("%s has no section %q", changelog, "## "+version)
	}
	text, _, _ := strings.Cut(string(b[at[1]:]), "\n## ")
	return os.WriteFile(file, []byte(strings.TrimSpace(text)+"\n"), 0o644) //nolint:gosec // published
}
