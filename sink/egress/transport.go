package egress

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

const (
	tlsTimeout    = 2 * time.Second
	maxHeaderRead = 32 << 10 // bytes of an answer's headers
	idleTimeout   = 30 * time.Second
	maxIdle       = 4096
	quietTimeout  = 100 * time.Millisecond
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
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := g.dial(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &watched{Conn: conn, changed: make(chan struct{}, 1)}, nil
		},
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

// watched is a connection that knows whether its reader waits for bytes. A receiver may send more than one answer at a
// time; the transport drops such a connection, but a request that comes between the pool and that look would be given
// the surplus answer:
//
//	reader: answer 1 complete, connection into the pool
//	sender: connection out of the pool, one answer expected
//	reader: finds answer 2 in its buffer, hands it to the sender
//
// A reader that waits for bytes has an empty buffer.
type watched struct {
	net.Conn
	reading atomic.Bool
	closed  atomic.Bool
	changed chan struct{} // one of the two may have become true; holds 1
}

// Read implements net.Conn.
func (c *watched) Read(b []byte) (int, error) {
	c.reading.Store(true)
	c.signal()
	n, err := c.Conn.Read(b)
	c.reading.Store(false)
	return n, err
}

// Close implements net.Conn.
func (c *watched) Close() error {
	c.closed.Store(true)
	c.signal()
	return c.Conn.Close()
}

func (c *watched) signal() {
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

// quiet waits until the reader has nothing left; false where it has, or the connection is closed.
func (c *watched) quiet() bool {
	for !c.reading.Load() {
		select {
		case <-c.changed:
		case <-time.After(quietTimeout):
			return false
		}
		if c.closed.Load() {
			return false
		}
	}
	return !c.closed.Load()
}

// tainted tells whether a connection from the pool must not be used, and closes it then.
func tainted(conn net.Conn) bool {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	c, ok := conn.(*watched)
	if !ok || c.quiet() {
		return false
	}
	_ = c.Close()
	return true
}
