package source

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/kmodseal/kmodseal/pkg/fault"
)

// status is the HTTP status in err, 0 for an error of another kind.
func status(err error) int {
	var te *transport.Error
	if errors.As(err, &te) {
		return te.StatusCode
	}
	return 0
}

// fault makes err one of class Registry with the reference, the status and what
// to do; without verb, for a caller that names the reference. A fault that already
// is one, and the end of ctx, stay what they are.
func (g *registry) fault(ctx context.Context, verb string, err error) error {
	var f *fault.Error
	prefix := ""
	if verb != "" {
		prefix = verb + " " + g.text + ": "
	}
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%s%w", prefix, ctx.Err())
	case errors.As(err, &f):
		return fmt.Errorf("%s%w", prefix, err)
	}
	host := g.ref.Context().RegistryStr()
	// The chain is cut on purpose: the text of a registry's answer is hostile and
	// may run to 64 KiB.
	f = fault.New(fault.Registry, "%s%s", prefix, reason(err))
	return f.Hint("%s", g.hint(host, err))
}

// reason is err in one line.
func reason(err error) string {
	var te *transport.Error
	if !errors.As(err, &te) {
		return clean(err.Error())
	}
	s := fmt.Sprintf("the registry answered %d %s", te.StatusCode, http.StatusText(te.StatusCode))
	if te.Request != nil {
		s += " to " + te.Request.Method
	}
	for _, d := range te.Errors {
		s += "; " + string(d.Code)
		if d.Message != "" {
			s += ": " + d.Message
		}
	}
	return clean(s)
}

func (g *registry) hint(host string, err error) string {
	if h := statusHint(g, host, status(err)); h != "" {
		return h
	}
	var (
		unknown x509.UnknownAuthorityError
		names   x509.HostnameError
		invalid x509.CertificateInvalidError
		dns     *net.DNSError
		timeout net.Error
	)
	switch {
	case errors.As(err, &unknown):
		return "the certificate of " + host + " is of an unknown authority: give its CA with --ca-file"
	case errors.As(err, &names):
		return "the certificate is not for " + host + ": use the name it is for"
	case errors.As(err, &invalid):
		return "the certificate of " + host + " is not valid now: check its dates and this machine's clock"
	case errors.Is(err, errInClear), g.ref.Context().Scheme() == "https" && plainHTTP(err):
		return host + " speaks plain HTTP: allow it with --insecure"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens at " + host + ": check host and port"
	case errors.As(err, &dns):
		return "the name of " + host + " could not be resolved: check it"
	case errors.As(err, &timeout) && timeout.Timeout():
		return host + " did not answer in time: check the network and the proxy settings"
	case status(err) != 0:
		return "what " + host + " has against it stands in its own log"
	}
	return "if it is so again, check the network, the proxy settings and that a registry runs at " + host
}

// plainHTTP: the first of the two ways to ask failed as it has to. Where the
// second was allowed, it is its error that needs a hint.
func plainHTTP(err error) bool {
	return errors.Is(err, http.ErrSchemeMismatch) || strings.Contains(err.Error(), "gave HTTP response to HTTPS")
}

func statusHint(g *registry, host string, code int) string {
	switch code {
	case http.StatusUnauthorized:
		return g.keys.hint(host)
	case http.StatusForbidden:
		return g.keys.hint(host) + " (reading a source needs pull, writing a destination push rights)"
	case http.StatusNotFound:
		return "check the name and the tag; some registries answer so when credentials are missing"
	case http.StatusTooManyRequests:
		return host + " limits the rate: log in, or try again later"
	case http.StatusRequestEntityTooLarge:
		return host + ", or a proxy before it, refuses uploads of this size"
	}
	if code >= http.StatusInternalServerError {
		return host + " has a fault of its own: try again later"
	}
	return ""
}
