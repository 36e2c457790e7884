package cli_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/youmark/pkcs8"
)

const passphrase = "correct horse battery"

// keyring holds throw-away keys, made once a run.
type keyring struct {
	key, other *rsa.PrivateKey
	ec         *ecdsa.PrivateKey
	cert       map[string]*x509.Certificate
}

//nolint:gochecknoglobals // made once
var keysOnce = sync.OnceValue(func() *keyring {
	k := &keyring{cert: map[string]*x509.Certificate{}}
	var err error
	if k.key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		panic(err)
	}
	if k.other, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		panic(err)
	}
	if k.ec, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		panic(err)
	}
	tomorrow := time.Now().Add(24 * time.Hour)
	k.cert["cert"] = selfSigned(k.key, "Test signer", tomorrow)
	k.cert["expired"] = selfSigned(k.key, "Test signer of old", time.Now().Add(-time.Minute))
	k.cert["other"] = selfSigned(k.other, "Test stranger", tomorrow)
	k.cert["ec"] = selfSigned(k.ec, "Test EC signer", tomorrow)
	return k
})

// selfSigned is a certificate as kbuild makes them.
func selfSigned(key crypto.Signer, name string, until time.Time) *x509.Certificate {
	t := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: until,
		KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true, SubjectKeyId: []byte(name),
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		panic(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return c
}

// setup gives a script keys below $WORK/keys and three registries: $REGISTRY
// (plain HTTP), $TLSREGISTRY (TLS by $WORK/keys/ca.pem, user and password in
// $WORK/keys/auth.json), $DEADREGISTRY (nobody listens).
func setup(env *testscript.Env) error {
	k := keysOnce()
	dir := filepath.Join(env.WorkDir, "keys")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	blobDir := filepath.Join(env.WorkDir, ".registry")
	if err := os.Mkdir(blobDir, 0o700); err != nil {
		return err
	}
	blobs := registry.NewDiskBlobHandler(blobDir)
	reg := registry.New(registry.WithBlobHandler(blobs), registry.Logger(log.New(io.Discard, "", 0)))
	plain := httptest.NewServer(reg)
	env.Defer(plain.Close)
	secure := httptest.NewTLSServer(guarded(reg))
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	env.Defer(secure.Close)
	dead := httptest.NewServer(reg)
	dead.Close()
	env.Setenv("REGISTRY", strings.TrimPrefix(plain.URL, "http://"))
	env.Setenv("TLSREGISTRY", strings.TrimPrefix(secure.URL, "https://"))
	env.Setenv("DEADREGISTRY", strings.TrimPrefix(dead.URL, "http://"))
	env.Setenv("HOME", env.WorkDir)
	env.Setenv("DOCKER_CONFIG", env.WorkDir)
	auth := `{"auths":{"` + env.Getenv("TLSREGISTRY") + `":{"username":"user","password":"pass"}}}`
	return writeAll(dir, map[string][]byte{
		"key.pem":       pemOf("PRIVATE KEY", pkcs8Of(k.key)),
		"key.pkcs1.pem": pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(k.key)),
		"encrypted.pem": pemOf("ENCRYPTED PRIVATE KEY", encrypted(k.key)),
		"passphrase":    []byte(passphrase + "\n"),
		"wrong":         []byte("wrong\n"),
		"other.key.pem": pemOf("PRIVATE KEY", pkcs8Of(k.other)),
		"ec.key.pem":    pemOf("PRIVATE KEY", pkcs8Of(k.ec)),
		"cert.pem":      pemOf("CERTIFICATE", k.cert["cert"].Raw),
		"cert.der":      k.cert["cert"].Raw,
		"expired.pem":   pemOf("CERTIFICATE", k.cert["expired"].Raw),
		"key.der":       pkcs8Of(k.key),
		"other.pem":     pemOf("CERTIFICATE", k.cert["other"].Raw),
		"ec.pem":        pemOf("CERTIFICATE", k.cert["ec"].Raw),
		"ca.pem":        pemOf("CERTIFICATE", secure.Certificate().Raw),
		"auth.json":     []byte(auth),
		"secret/key":    pemOf("PRIVATE KEY", pkcs8Of(k.key)),
		"secret/cert":   k.cert["cert"].Raw,
	})
}

func guarded(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, pass, _ := r.BasicAuth(); user != "user" || pass != "pass" {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		h.ServeHTTP(w, r)
	})
}

func writeAll(dir string, files map[string][]byte) error {
	for name, data := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(file, data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func pkcs8Of(key any) []byte {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	return der
}

func encrypted(key any) []byte {
	der, err := pkcs8.MarshalPrivateKey(key, []byte(passphrase), nil)
	if err != nil {
		panic(err)
	}
	return der
}
