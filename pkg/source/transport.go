package source

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/kmodseal/kmodseal/pkg/fault"
)

// Waits. A registry may hash a large blob before it answers to its upload.
const (
	dialWait   = 15 * time.Second
	answerWait = 5 * time.Minute
	stallWait  = answerWait + time.Minute
)

// newTransport bounds every wait: dialling, TLS, the answer to a request, and a
// connection on which nothing moves in either direction.
func newTransport(o Options) (http.RoundTripper, error) {
	conf := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: o.SkipTLSVerify, //nolint:gosec // the user asked for it by --insecure-skip-tls-verify
	}
	if o.CAFile != "" {
		pool, err := certPool(o.CAFile)
		if err != nil {
			return nil, err
		}
		conf.RootCAs = pool
	}
	dialer := &net.Dialer{Timeout: dialWait, KeepAlive: 30 * time.Second}
	tr := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           stalling(dialer, stallWait),
		TLSClientConfig:       conf,
		TLSHandshakeTimeout:   dialWait,
		ResponseHeaderTimeout: answerWait,
		ExpectContinueTimeout: time.Second,
		IdleConnTimeout:       90 * time.Second,
		MaxIdleConnsPerHost:   16,
		ForceAttemptHTTP2:     true,
	}
	if o.Insecure {
		return redirects{tr}, nil
	}
	return redirects{discreet{tr}}, nil
}

var errInClear = errors.New("credentials would go over plain HTTP")

// discreet sends no credentials to another machine in clear text.
// go-containerregistry falls back to plain HTTP by itself where a registry has a
// private address, so that whoever can hold up TLS could read them.
type discreet struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper. Credentials are in a header, or in the
// form by which a token is asked for.
func (d discreet) RoundTrip(r *http.Request) (*http.Response, error) {
	secret := r.Header.Get("Authorization") != "" || r.Header.Get("Content-Type") == "application/x-www-form-urlencoded"
	if r.URL.Scheme == "https" || !secret || loopback(r.URL.Hostname()) {
		return d.RoundTripper.RoundTrip(r)
	}
	if r.Body != nil {
		_ = r.Body.Close() // as RoundTrip has to
	}
	return nil, errInClear
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// maxRedirects is net/http's own bound, which go-containerregistry's check of
// redirects displaces.
const maxRedirects = 10

// redirects ends a chain of redirects that leads nowhere.
type redirects struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (t redirects) RoundTrip(r *http.Request) (*http.Response, error) {
	n := 0
	for from := r.Response; from != nil; from = from.Request.Response {
		if n++; n > maxRedirects {
			if r.Body != nil {
				_ = r.Body.Close() // as RoundTrip has to
			}
			return nil, fmt.Errorf("more than %d redirects", maxRedirects)
		}
	}
	return t.RoundTripper.RoundTrip(r)
}

// stalling dials connections that fail after wait without a byte read or written.
func stalling(d *net.Dialer, wait time.Duration) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := d.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &stallConn{Conn: c, wait: wait}, nil
	}
}

type stallConn struct {
	net.Conn
	wait time.Duration
}

// Read moves the deadline of both directions, as Write does: a long upload is
// silence on the other side.
func (c *stallConn) Read(p []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(c.wait)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c *stallConn) Write(p []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(c.wait)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// certPool is the system's pool with the PEM certificates of file.
func certPool(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fault.New(fault.Usage, "read CA file: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fault.New(fault.Usage, "CA file %s holds no PEM certificate", file).
			Hint("convert a DER file with: openssl x509 -inform der -in FILE")
	}
	return pool, nil
}
