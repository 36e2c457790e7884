package keys

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/kmodseal/kmodseal/pkg/fault"
)

// maxFile bounds what is read as a key or certificate, in bytes.
const maxFile = 4 << 20

// material is bytes with the name that messages use for them.
type material struct {
	name string
	data []byte
}

// source is the key's material, and the certificate's where it is apart.
type source struct {
	key      material
	cert     *material
	warnings []string
}

// locate reads what the request names.
func locate(r Request) (*source, error) {
	src, err := locateKey(r)
	if err != nil {
		return nil, err
	}
	if r.Cert != "" {
		cert, err := locateCertificate(r)
		if err != nil {
			return nil, err
		}
		src.cert = &cert
	}
	return src, nil
}

func locateCertificate(r Request) (material, error) {
	if name, ok := strings.CutPrefix(r.Cert, envScheme); ok {
		return fromVariable("certificate", name, r.Getenv)
	}
	path, err := certificateIn(r.Cert)
	if err != nil {
		return material{}, err
	}
	return readFile(path, "certificate")
}

func locateKey(r Request) (*source, error) {
	if r.Key == "" {
		return nil, fault.New(fault.Key, "key: no file, folder or env:NAME given").Hint("give --key")
	}
	if isKeyText(strings.TrimPrefix(r.Key, envScheme)) {
		return nil, fault.New(fault.Key, "key: the key itself is given where its place is wanted").
			Hint("leave it in the variable that holds it, say SIGNING_KEY, and name that: --key env:SIGNING_KEY").
			Hint("a key that stood on a command line may be known to others: think of making a new one")
	}
	if err := refuseService(r.Key); err != nil {
		return nil, err
	}
	if name, ok := strings.CutPrefix(r.Key, envScheme); ok {
		key, err := fromVariable("key", name, r.Getenv)
		if err == nil {
			text, _ := r.Getenv(name)
			err = tell(r.Found, text, key.data)
		}
		return &source{key: key}, err
	}
	info, err := os.Stat(r.Key)
	if err != nil {
		return nil, unreadable("key", err)
	}
	if info.IsDir() {
		return fromFolder(r.Key, r.Cert)
	}
	key, err := readFile(r.Key, "key")
	if err != nil {
		return nil, err
	}
	return &source{key: key, warnings: permissionWarnings(r.Key)}, nil
}

// isKeyText tells a key from the name of one: a message would quote the name.
func isKeyText(s string) bool {
	raw, ok := decodeBase64([]byte(s))
	return isPEM([]byte(s)) || ok && (isPEM(raw) || isKeyDER(raw) || encryption(raw) != nil || isPFX(raw))
}

// envScheme begins the name of an environment variable.
const envScheme = "env:"

// refuseService names the key services that other signers take and this binary
// does not.
func refuseService(key string) error {
	scheme, _, ok := strings.Cut(key, ":")
	known := []string{"pkcs11", "awskms", "gcpkms", "cloudkms", "azurekms", "hashivault", "openbao", "k8s", "tpmkms", "yubikey"}
	if !ok || !slices.Contains(known, scheme) && !strings.Contains(key, "://") {
		return nil
	}
	return fault.New(fault.Key, "key: %s keys are not built into this binary", scheme).Hint(places)
}

const places = "give a file, a folder mounted from a Secret, or env:NAME"

func unreadable(what string, err error) error {
	return fault.New(fault.Key, "%s: %w", what, err).Hint(places)
}

// tell hands on the text of a variable, and the PEM that it is base64 of.
func tell(found func([]byte) error, text string, data []byte) error {
	err := found([]byte(text))
	if string(data) != text && isPEM(data) {
		err = errors.Join(err, found(data))
	}
	return err
}

// fromVariable reads PEM, or base64 of PEM, DER or PKCS#12.
func fromVariable(what, name string, getenv func(string) (string, bool)) (material, error) {
	text, ok := getenv(name)
	if !ok {
		return material{}, fault.New(fault.Key, "%s env:%s: the variable is not set", what, name).
			Hint("pass the CI secret on to this step as environment variable %s", name)
	}
	m := material{name: envScheme + name, data: []byte(text)}
	if !isPEM(m.data) {
		if raw, ok := decodeBase64(m.data); ok {
			m.data = raw
		}
	}
	return m, nil
}

// decodeBase64 takes standard base64 with or without line ends and padding.
func decodeBase64(text []byte) ([]byte, bool) {
	joined := strings.TrimRight(strings.Join(strings.Fields(string(text)), ""), "=")
	raw, err := base64.RawStdEncoding.DecodeString(joined)
	return raw, err == nil && len(raw) > 0
}

// readFile reads a file or pipe of at most maxFile bytes.
func readFile(path, what string) (material, error) {
	f, err := os.Open(path)
	if err != nil {
		return material{}, unreadable(what, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return material{}, unreadable(what, err)
	}
	if len(data) > maxFile {
		return material{}, fault.New(fault.Key, "%s %s: larger than %d bytes", what, path, maxFile).
			Hint("is it the right file?")
	}
	return material{name: path, data: data}, nil
}

// permissionWarnings speaks up where others on this machine can read the key; the
// mode says nothing of that on Windows.
func permissionWarnings(path string) []string {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() || info.Mode().Perm()&0o077 == 0 || runtime.GOOS == "windows" {
		return nil
	}
	return []string{fmt.Sprintf("key %s: mode %04o lets others read it; chmod 600", path, info.Mode().Perm())}
}

// isSecretMount tells a folder that Kubernetes made from a Secret: its files
// are links through ..data, and 0644 by default, in a mount of the pod's own.
func isSecretMount(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, "..data"))
	return !errors.Is(err, os.ErrNotExist)
}
