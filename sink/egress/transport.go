package egress

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"vigil/sink/guard"
)

const (
	tlsTimeout    = 2 * time.Second
	pingAfter     = 5 * time.Second // of silence on an HTTP/2 connection; no answer within as long closes it
	http2Budget   = 256 << 10       // bytes that an HTTP/2 connection may read at first, and more with each attempt
	maxHeaderRead = 32 << 10        // bytes of an answer's headers
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
// follow none), no cookies, no decompression, bounded headers, HTTP/1.1, and HTTP/2 only where it is asked for.
func newClient(g guard.Guard, maxInFlight int, http2 bool, secure *tls.Config) client {
	t := &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := g.Dial(ctx, network, address)
			if err != nil {
				return nil, err
			}
			c := &watched{Conn: conn, remote: conn.RemoteAddr().String(), changed: make(chan struct{}, 1), metered: http2, most: int64(maxInFlight) * http2Budget}
			c.left.Store(http2Budget)
			return c, nil
		},
		TLSHandshakeTimeout:    tlsTimeout,
		TLSClientConfig:        secure,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHeaderRead,
		MaxIdleConns:           maxIdle,
		MaxIdleConnsPerHost:    maxInFlight,
		IdleConnTimeout:        idleTimeout,
		TLSNextProto:           map[string]func(string, *tls.Conn) http.RoundTripper{},
	}
	if http2 {
		t.TLSNextProto, t.Protocols, t.HTTP2 = nil, new(http.Protocols), &http2Limits
		t.Protocols.SetHTTP1(true)
		t.Protocols.SetHTTP2(true)
	}
	fresh := t.Clone()
	fresh.MaxIdleConnsPerHost = -1
	fresh.DisableKeepAlives = http2 // the line above is not for HTTP/2
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
	remote  string // its address
	reading atomic.Bool
	closed  atomic.Bool
	changed chan struct{} // one of the two may have become true; holds 1

	metered bool         // HTTP/2: what is read is counted, for frames beside an answer have no bound of their own
	left    atomic.Int64 // bytes that may still be read
	most    int64        // that left grows to: as many attempts as there can be at a time
}

var errFlood = errors.New("the receiver sends without end")

// Read implements net.Conn.
func (c *watched) Read(b []byte) (int, error) {
	c.reading.Store(true)
	c.signal()
	n, err := c.Conn.Read(b)
	c.reading.Store(false)
	if c.metered && c.left.Add(int64(-n)) < 0 {
		_ = c.Conn.Close()
		return 0, errFlood
	}
	return n, err
}

// Close implements net.Conn.
func (c *watched) Close() error {
	c.closed.Store(true)
	c.signal()
	return c.Conn.Close()
}

// allow lets one more attempt read its share, whatever those that are under way still have to read.
func (c *watched) allow() {
	for left := c.left.Load(); !c.left.CompareAndSwap(left, min(left+http2Budget, c.most)); left = c.left.Load() {
	}
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

// tainted tells whether a connection from the pool must not be used, and closes it then. HTTP/2 names the stream that
// an answer belongs to: there the connection only gets its budget for another attempt.
func tainted(conn net.Conn) bool {
	two := false
	if t, ok := conn.(*tls.Conn); ok {
		two = t.ConnectionState().NegotiatedProtocol == "h2"
		conn = t.NetConn()
	}
	c, ok := conn.(*watched)
	if ok && two {
		c.allow()
	}
	if !ok || two || c.quiet() {
		return false
	}
	_ = c.Close()
	return true
}
