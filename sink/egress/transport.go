package egress

import (
	"crypto/tls"
	"net/http"
	"time"
)

const (
	tlsTimeout    = 2 * time.Second
	maxHeaderRead = 32 << 10 // bytes of an answer's headers
	idleTimeout   = 30 * time.Second
	maxIdle       = 4096
)

// client is the pair of transports for one policy: connections are never shared between policies, for one that was
// vetted under allow_private must not serve a URL without it.
type client struct {
	pooled http.RoundTripper
	fresh  http.RoundTripper // opens a new connection each time: the free redial
}

// newClient makes the transports as delivery 6 wants them: no proxy from the environment, no redirects (transports
// follow none), no cookies, no decompression, bounded headers, HTTP/1.1.
func newClient(g guard, maxInFlight int) client {
	t := &http.Transport{
		DialContext:            g.dial,
		TLSHandshakeTimeout:    tlsTimeout,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHeaderRead,
		MaxIdleConns:           maxIdle,
		MaxIdleConnsPerHost:    maxInFlight,
		IdleConnTimeout:        idleTimeout,
		TLSNextProto:           map[string]func(string, *tls.Conn) http.RoundTripper{},
	}
	fresh := t.Clone()
	fresh.MaxIdleConnsPerHost = -1
	return client{pooled: t, fresh: fresh}
}

func (c client) close() {
	for _, rt := range [...]http.RoundTripper{c.pooled, c.fresh} {
		if t, ok := rt.(*http.Transport); ok {
			t.CloseIdleConnections()
		}
	}
}
