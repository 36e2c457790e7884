package source

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"

	"github.com/kmodseal/kmodseal/pkg/fault"
)

// keychain finds credentials and remembers where there were none, so that the
// hint after a refusal can tell.
type keychain struct {
	file  string // empty: the usual keychain
	inner authn.Keychain

	mu        sync.Mutex
	anonymous bool
}

// newKeychain reads file now, so that a bad one is found before any work.
func newKeychain(file string) (*keychain, error) {
	if file == "" {
		return &keychain{inner: authn.DefaultKeychain}, nil
	}
	auths, err := readAuths(file)
	if err != nil {
		return nil, err
	}
	return &keychain{file: file, inner: auths}, nil
}

// Resolve gives the credentials for r, or the anonymous ones.
func (k *keychain) Resolve(r authn.Resource) (authn.Authenticator, error) {
	a, err := k.inner.Resolve(r)
	if err != nil {
		return nil, fault.New(fault.Registry, "credentials for %s: %w", r.RegistryStr(), err).
			Hint("check docker's configuration, or name a config.json with --registry-auth")
	}
	k.mu.Lock()
	k.anonymous = a == authn.Anonymous
	k.mu.Unlock()
	return a, nil
}

func (k *keychain) hint(host string) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.anonymous && k.file != "":
		return k.file + " has no credentials for " + host
	case k.anonymous:
		return "no credentials for " + host + " were found: log in with docker, podman or skopeo, or give --registry-auth FILE"
	}
	return "credentials for " + host + " were sent and refused: check that they are current and allow this repository"
}

// authFile is the auths section of a docker config.json: normalized key to
// credentials. Credential helpers named in the file are not run.
type authFile map[string]authn.AuthConfig

// readAuths reads a config.json or dockerconfigjson, or the one in a folder that
// a Secret is mounted to.
func readAuths(path string) (authFile, error) {
	data, err := readAuthFile(path)
	if err != nil {
		return nil, fault.New(fault.Usage, "read registry credentials: %w", err)
	}
	var conf struct {
		Auths map[string]authn.AuthConfig `json:"auths"`
	}
	// The decoder's message could quote the file, which holds passwords.
	if json.Unmarshal(data, &conf) != nil {
		return nil, fault.New(fault.Usage, "registry credentials %s: not a docker config.json", path)
	}
	if conf.Auths == nil {
		return nil, fault.New(fault.Usage, "registry credentials %s: no \"auths\"", path).
			Hint("credential helpers are not run; the file has to hold the credentials, as a Kubernetes dockerconfigjson does")
	}
	auths := make(authFile, len(conf.Auths))
	for key, a := range conf.Auths {
		if a != (authn.AuthConfig{}) {
			auths[authKey(key)] = a
		}
	}
	return auths, nil
}

func readAuthFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return os.ReadFile(path)
	}
	data, err := os.ReadFile(filepath.Join(path, ".dockerconfigjson"))
	if errors.Is(err, fs.ErrNotExist) {
		return os.ReadFile(filepath.Join(path, "config.json"))
	}
	return data, err
}

// authKey strips what docker login writes around a host: https://HOST/v1/.
func authKey(key string) string {
	key = strings.TrimPrefix(strings.TrimPrefix(key, "https://"), "http://")
	key = strings.TrimSuffix(key, "/")
	key = strings.TrimSuffix(strings.TrimSuffix(key, "/v1"), "/v2")
	host, path, _ := strings.Cut(key, "/")
	if host == "docker.io" || host == "registry-1.docker.io" {
		host = name.DefaultRegistry
	}
	return strings.TrimSuffix(host+"/"+path, "/")
}

// Resolve takes the longest key that r is below, as the kubelet does.
func (a authFile) Resolve(r authn.Resource) (authn.Authenticator, error) {
	for key := r.String(); key != ""; {
		if conf, ok := a[key]; ok {
			return authn.FromConfig(conf), nil
		}
		i := strings.LastIndexByte(key, '/')
		if i < 0 {
			break
		}
		key = key[:i]
	}
	return authn.Anonymous, nil
}
