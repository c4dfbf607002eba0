package guard

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"
)

const maxProxyHead = 8 << 10 // bytes of a proxy's answer to CONNECT

// proxy is the hop that all webhooks leave through. The guard has judged the target before; the proxy is told an address,
// never a name, so that what it connects to is what was judged.
type proxy struct {
	address  string // host:port
	secure   *tls.Config
	greeting string // headers of CONNECT, each with its line end
}

// newProxy reads a proxy's URL, http or https, and its credentials; nil where there is none.
func newProxy(s *Settings) (*proxy, error) {
	if s.Proxy == "" {
		return nil, nil
	}
	u, err := url.Parse(s.Proxy)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("egress proxy: its url must be http://HOST:PORT or https://HOST:PORT, without a password")
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	hop := &proxy{address: net.JoinHostPort(u.Hostname(), port), greeting: "User-Agent: " + s.Agent + "\r\n"}
	if u.Scheme == "https" {
		hop.secure = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: u.Hostname(), RootCAs: s.RootCAs}
	}
	if s.Credentials != "" {
		hop.greeting += "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(s.Credentials)) + "\r\n"
	}
	return hop, nil
}

// ProxyError says that the hop failed, not what is behind it: no attempt is spent.
type ProxyError struct{ err error }

// Error implements error.
func (e *ProxyError) Error() string { return "egress proxy: " + e.err.Error() }

// Unwrap gives the cause.
func (e *ProxyError) Unwrap() error { return e.err }

// TunnelError says that the proxy could not reach the target.
type TunnelError struct{ status int }

// Error implements error.
func (e *TunnelError) Error() string {
	return fmt.Sprintf("the egress proxy answers %d for this address", e.status)
}

// connect opens a tunnel to an address that the guard has judged.
func (p *proxy) connect(ctx context.Context, target netip.AddrPort) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", p.address)
	if err != nil {
		return nil, &ProxyError{err}
	}
	if p.secure != nil {
		conn = tls.Client(conn, p.secure)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	err = p.ask(conn, target)
	if !stop() && err == nil {
		err = &ProxyError{ctx.Err()}
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return &tunnel{conn, net.TCPAddrFromAddrPort(target)}, nil
}

// ask sends CONNECT and reads the answer, no byte beyond it.
func (p *proxy) ask(conn net.Conn, target netip.AddrPort) error {
	if _, err := fmt.Fprintf(conn, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", target, target, p.greeting); err != nil {
		return &ProxyError{err}
	}
	r := bufio.NewReader(io.LimitReader(conn, maxProxyHead))
	resp, err := http.ReadResponse(r, &http.Request{Method: http.MethodConnect})
	switch {
	case timedOut(err): // it is up and waits for the target
		return err
	case err != nil:
		return &ProxyError{err}
	}
	switch status := resp.StatusCode; {
	case status >= 200 && status <= 299 && r.Buffered() == 0:
		return nil
	case status >= 200 && status <= 299:
		return &ProxyError{errors.New("bytes follow its answer before anything was asked")}
	case status == http.StatusForbidden:
		return &BlockedError{"proxy"}
	case status == http.StatusBadGateway, status == http.StatusServiceUnavailable, status == http.StatusGatewayTimeout:
		return &TunnelError{status}
	default:
		return &ProxyError{fmt.Errorf("it answers %d", status)}
	}
}

// tunnel is a connection through the proxy: its other end is the target.
type tunnel struct {
	net.Conn
	target net.Addr
}

// RemoteAddr implements net.Conn.
func (t *tunnel) RemoteAddr() net.Addr { return t.target }

func timedOut(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}
