package egress

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"vigil/config/endpoints"
	"vigil/sink/core"
	"vigil/webhook"
)

// TestFaults is the table of delivery 8.1 as a whole; `make faults` prints its last line.
func TestFaults(t *testing.T) {
	var rows []row
	for _, part := range [][]row{
		memoryRows(), answerRows(), poolRows(), redirectRows(), retryAfterRows(), connectionRows(), backlogRows(), tlsRows(), nameRows(), proxyRows(), http2Rows(),
	} {
		rows = append(rows, part...)
	}
	runTable(t, "fault table", rows)
}

// raw hands each connection to script as it is accepted.
func raw(t *testing.T, script func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	accept(t, l, func(conn net.Conn, _ int) { script(conn) })
	return "http://" + l.Addr().String() + "/"
}

// accept runs script for each connection, counted from 1, until the test ends; then all are closed.
func accept(t *testing.T, l net.Listener, script func(conn net.Conn, c int)) {
	var open sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	open.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, conn)
			c := len(conns)
			mu.Unlock()
			open.Go(func() {
				defer conn.Close()
				script(conn, c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range conns {
			c.Close()
		}
		mu.Unlock()
		open.Wait()
	})
}

// closedPort is an address where nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// large makes an attempt with a body of 1 MiB.
func large(t *testing.T, url string, timeout time.Duration) core.Answer {
	t.Helper()
	s := openSender(t)
	set, err := NewEndpoints(s.policy, nil)
	if err != nil {
		t.Fatal(err)
	}
	e := *set.Find("")
	e.timeout = timeout
	return s.Send(t.Context(), &e, &webhook.Delivery{FireID: "f1", Method: "POST", URL: url, Body: make([]byte, 1<<20), Attempt: 1})
}

func connectionRows() []row {
	return []row{
		{name: "refused", run: func(t *testing.T) {
			require(t, attempt(t, openSender(t), "http://"+closedPort(t)+"/"), "retryable refused")
		}},
		{name: "RST on accept", run: func(t *testing.T) {
			a := attempt(t, openSender(t), raw(t, func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0) }))
			if got := outcome(a); got != "retryable reset" && got != "retryable eof" {
				t.Errorf("got %s (%v)", got, a.Err)
			}
		}},
		{name: "close on accept", run: func(t *testing.T) {
			a := attempt(t, openSender(t), raw(t, func(net.Conn) {}))
			if got := outcome(a); got != "retryable eof" && got != "retryable reset" {
				t.Errorf("got %s (%v)", got, a.Err)
			}
		}},
		{name: "answer before the request", run: func(t *testing.T) {
			// Whoever answers before it was asked may be believed for this delivery only: the connection is not kept.
			f := raw(t, func(c net.Conn) {
				_, _ = io.WriteString(c, okHead+"Content-Length: 0\r\n\r\n")
				_, _ = io.Copy(io.Discard, c)
			})
			if got := outcome(attempt(t, openSender(t), f)); got != "success 200" && got != "retryable malformed" {
				t.Errorf("got %s", got)
			}
		}},
		{name: "1 MiB body that is never read", run: func(t *testing.T) {
			url := raw(t, func(c net.Conn) {
				_ = c.(*net.TCPConn).SetReadBuffer(1024)
				<-t.Context().Done()
			})
			require(t, large(t, url, testTimeout), "retryable timeout")
		}},
		{name: "early 413, body unread", run: func(t *testing.T) {
			url := raw(t, func(c net.Conn) {
				_, _ = c.Read(make([]byte, 512))
				_, _ = io.WriteString(c, "HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
				_ = c.(*net.TCPConn).CloseWrite()
				_ = c.SetReadDeadline(time.Now().Add(time.Second))
				_, _ = io.Copy(io.Discard, c)
			})
			require(t, large(t, url, patience), "permanent 413")
		}},
		{name: "early 200, body unread", run: func(t *testing.T) {
			url := raw(t, func(c net.Conn) {
				_, _ = c.Read(make([]byte, 512))
				_, _ = io.WriteString(c, okHead+"Content-Length: 0\r\n\r\n")
				<-time.After(time.Second)
			})
			require(t, large(t, url, patience), "success 200")
		}},
		{name: "slow accept", run: func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			done := make(chan struct{})
			go func() {
				defer close(done)
				<-time.After(testTimeout / 2)
				if c, err := l.Accept(); err == nil {
					_, _ = c.Read(make([]byte, 4096))
					_, _ = io.WriteString(c, okHead+"Connection: close\r\nContent-Length: 0\r\n\r\n")
					_ = c.Close()
				}
			}()
			require(t, attempt(t, openSender(t), "http://"+l.Addr().String()+"/"), "success 200")
			<-done
		}},
		{name: "no descriptors for the resolver", run: func(t *testing.T) {
			require(t, failed(&net.DNSError{Err: "dial udp: socket: too many open files"}), "ours no_descriptors")
		}},
	}
}

func listenTLS(t *testing.T, a *authority) net.Listener {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{a.issue(t, nil)}})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// secureAttempt makes one attempt with the authority's certificates trusted.
func secureAttempt(t *testing.T, a *authority, url string, timeout time.Duration) core.Answer {
	t.Helper()
	p := &Policy{MaxInFlight: 4, RootCAs: a.pool}
	e := compile(t, p, endpoints.Endpoint{URL: url, Timeout: timeout})
	return deliver(t, senderOf(t, p), e)
}

// tlsRows: every way in which a receiver's TLS may be wrong is retryable, with the reason in words.
func tlsRows() []row {
	var rows []row
	for name, c := range map[string]struct {
		change func(*tls.Config)
		cert   func(*x509.Certificate)
		says   string
	}{
		"expired":                            {cert: func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }, says: "expired"},
		"not yet valid":                      {cert: func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }, says: "not yet valid"},
		"wrong host":                         {cert: func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"other.example"} }, says: "127.0.0.1"},
		"wrong use":                          {cert: func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection} }, says: "usage"},
		"TLS 1.0 only":                       {change: func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS10 }, says: "version"},
		"TLS 1.1 only":                       {change: func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }, says: "version"},
		"client certificate wanted":          {change: func(c *tls.Config) { c.ClientAuth = tls.RequireAnyClientCert }, says: "certificate required"},
		"client certificate wanted, TLS 1.2": {change: func(c *tls.Config) { c.ClientAuth, c.MaxVersion = tls.RequireAnyClientCert, tls.VersionTLS12 }, says: "tls:"},
		"no common cipher": {change: func(c *tls.Config) {
			c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA}
		}, says: "handshake failure"},
	} {
		rows = append(rows, row{name: "TLS: " + name, run: func(t *testing.T) {
			a := newAuthority(t)
			settings := &tls.Config{Certificates: []tls.Certificate{a.issue(t, c.cert)}}
			if c.change != nil {
				c.change(settings)
			}
			got := secureAttempt(t, a, secureServer(t, settings, nil), patience)
			require(t, got, "retryable tls")
			if !strings.Contains(got.Reason, c.says) {
				t.Errorf("reason %q does not say %q", got.Reason, c.says)
			}
		}})
	}
	return append(rows, tlsWireRows()...)
}

func tlsWireRows() []row {
	https := func(url string) string { return strings.Replace(url, "http:", "https:", 1) }
	return []row{
		{name: "TLS: self-signed", run: func(t *testing.T) {
			a := newAuthority(t)
			settings := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{a.cert.Raw}, PrivateKey: a.key}}}
			require(t, secureAttempt(t, newAuthority(t), secureServer(t, settings, nil), patience), "retryable tls")
		}},
		{name: "TLS: stall", run: func(t *testing.T) {
			start := time.Now()
			url := https(raw(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }))
			require(t, secureAttempt(t, newAuthority(t), url, patience), "retryable timeout")
			if took := time.Since(start); took > tlsTimeout+3*time.Second {
				t.Errorf("took %v", took)
			}
		}},
		{name: "TLS: garbage", run: func(t *testing.T) {
			url := https(raw(t, func(c net.Conn) { _, _ = io.WriteString(c, strings.Repeat("\xff", 4096)) }))
			if got := outcome(secureAttempt(t, newAuthority(t), url, patience)); got != "retryable tls" && got != "retryable reset" {
				t.Errorf("got %s", got)
			}
		}},
		{name: "TLS: plain HTTP", run: func(t *testing.T) {
			f := raw(t, func(c net.Conn) {
				_, _ = c.Read(make([]byte, 1024))
				_, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
				_, _ = io.Copy(io.Discard, c)
			})
			require(t, secureAttempt(t, newAuthority(t), https(f), patience), "retryable tls")
		}},
		{name: "TLS: closes in the handshake", run: func(t *testing.T) {
			url := https(raw(t, func(c net.Conn) { _, _ = c.Read(make([]byte, 1024)) }))
			got := outcome(secureAttempt(t, newAuthority(t), url, patience))
			if got != "retryable eof" && got != "retryable reset" {
				t.Errorf("got %s", got)
			}
		}},
		{name: "TLS: alert", run: func(t *testing.T) {
			url := https(raw(t, func(c net.Conn) {
				_, _ = c.Read(make([]byte, 1024))
				_, _ = c.Write([]byte{21, 3, 3, 0, 2, 2, 80})
				_, _ = io.Copy(io.Discard, c)
			}))
			require(t, secureAttempt(t, newAuthority(t), url, patience), "retryable tls")
		}},
		{name: "TLS: huge chain", run: func(t *testing.T) {
			a := newAuthority(t)
			cert := a.issue(t, nil)
			for range 1000 {
				cert.Certificate = append(cert.Certificate, a.cert.Raw)
			}
			require(t, secureAttempt(t, a, secureServer(t, &tls.Config{Certificates: []tls.Certificate{cert}}, nil), patience), "retryable tls")
		}},
		{name: "TLS: revoked client certificate", run: revokedClient},
	}
}

func revokedClient(t *testing.T) {
	a := newAuthority(t)
	settings := &tls.Config{
		Certificates: []tls.Certificate{a.issue(t, nil)}, ClientAuth: tls.RequireAnyClientCert,
		VerifyConnection: func(tls.ConnectionState) error { return x509.CertificateInvalidError{Reason: x509.NotAuthorizedToSign} },
	}
	certificate, key := files(t, a.issue(t, nil))
	p := &Policy{MaxInFlight: 4, RootCAs: a.pool}
	e := compile(t, p, endpoints.Endpoint{URL: secureServer(t, settings, nil), TLS: endpoints.TLS{Certificate: certificate, Key: key}})
	require(t, deliver(t, senderOf(t, p), e), "retryable tls")
}
