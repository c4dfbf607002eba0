package egress

import (
	"bufio"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"vigil/config/endpoints"
	"vigil/sink/core"
	"vigil/webhook"
)

// hop is an egress proxy that leads every address to one server, and remembers what it was asked.
type hop struct {
	addr string
	mu   sync.Mutex // guards what follows
	list []string   // targets
	auth []string   // Proxy-Authorization
}

func (h *hop) targets() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.list)
}

// serveHop answers CONNECT with answer, and where that is a 200 connects to the server at to.
func serveHop(t *testing.T, answer, to string) *hop {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &hop{addr: l.Addr().String()}
	var open sync.WaitGroup
	open.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			open.Go(func() { h.tunnel(conn, answer, to) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		open.Wait()
	})
	return h
}

func (h *hop) tunnel(conn net.Conn, answer, to string) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	r := bufio.NewReader(conn)
	req, err := http.ReadRequest(r)
	if err != nil || req.Method != http.MethodConnect {
		return
	}
	h.mu.Lock()
	h.list, h.auth = append(h.list, req.RequestURI), append(h.auth, req.Header.Get("Proxy-Authorization"))
	h.mu.Unlock()
	if answer == "" { // it hangs
		_, _ = conn.Read(make([]byte, 1))
		return
	}
	if _, err := io.WriteString(conn, answer); err != nil || !strings.HasPrefix(answer, "HTTP/1.1 200") {
		return
	}
	far, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer far.Close()
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(conn, far)
		conn.Close()
	})
	_, _ = io.Copy(far, r)
	far.Close()
	back.Wait()
}

const connected = "HTTP/1.1 200 Connection established\r\n\r\n"

// behind is the policy of a sink whose resolver and proxy are those of a test.
func behind(h *hop, s *names) *Policy {
	p := &Policy{MaxInFlight: 4, Version: "test"}
	if h != nil {
		p.Proxy = "http://" + h.addr
	}
	if s != nil {
		p.LookupIP = s.lookup()
	}
	return p
}

// send makes one attempt at a URL as an endpoint's own, plain HTTP allowed and nothing else.
func sendTo(t *testing.T, s *Sender, url string, timeout time.Duration) core.Answer {
	t.Helper()
	set, err := NewEndpoints(s.policy, []endpoints.Endpoint{{Name: "e", URL: url, AllowHTTP: true, Timeout: timeout}})
	if err != nil {
		return failed(err)
	}
	return s.Send(t.Context(), set.Find("e"), &webhook.Delivery{FireID: "f1", Campaign: "c", Endpoint: "e", Method: "POST", Body: []byte("{}"), Attempt: 1})
}

// TestProxy: the target is judged and named by address, credentials are sent, the pool works through tunnels.
func TestProxy(t *testing.T) {
	a := newAuthority(t)
	f := serve(t, func(w net.Conn, _, _ int) bool {
		_, err := io.WriteString(w, okHead+"Content-Length: 0\r\n\r\n")
		return err == nil
	})
	secret := file(t, "proxy", []byte("user:pass\n"))
	for _, secure := range []bool{false, true} {
		h := serveHop(t, connected, strings.TrimSuffix(strings.TrimPrefix(f.url, "http://"), "/"))
		zone := serveNames(t, func(string, int) said { return said{addrs: []string{"93.184.215.14"}} })
		p := behind(h, zone)
		p.ProxyAuth = secret
		if secure {
			p.Proxy, p.RootCAs = "https://"+overTLS(t, a, h.addr), a.pool
		}
		s := senderOf(t, p)
		for range 3 {
			if got := sendTo(t, s, "http://shop.example:8081/", patience); got.Status != 200 || got.Remote != "93.184.215.14:8081" {
				t.Errorf("got %+v (%v)", got, got.Err)
			}
		}
		want := "Basic " + base64.StdEncoding.EncodeToString([]byte("user:pass"))
		if got := h.targets(); len(got) != 1 || got[0] != "93.184.215.14:8081" || h.auth[0] != want {
			t.Errorf("asked for %v with %v", got, h.auth)
		}
	}
	for _, wrong := range []Policy{{Proxy: "socks5://h:1"}, {Proxy: "http://u:p@h:1"}, {Proxy: "http://"}, {Proxy: "::"}, {Proxy: "http://h:1", ProxyAuth: "env:NONE"}} {
		if _, err := NewSender(&wrong); err == nil || strings.Contains(err.Error(), "u:p") {
			t.Errorf("%+v: %v", wrong, err)
		}
	}
}

// overTLS puts TLS in front of a server and returns the address.
func overTLS(t *testing.T, a *authority, to string) string {
	t.Helper()
	l := listenTLS(t, a)
	var open sync.WaitGroup
	open.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			open.Go(func() {
				defer conn.Close()
				far, err := net.Dial("tcp", to)
				if err != nil {
					return
				}
				open.Go(func() {
					_, _ = io.Copy(far, conn)
					far.Close()
				})
				_, _ = io.Copy(conn, far)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		open.Wait()
	})
	return l.Addr().String()
}

// proxyRows are the faults of the hop itself, which spend no attempt, and those of what is behind it.
func proxyRows() []row {
	var rows []row
	for name, c := range map[string]struct{ answer, want string }{
		"proxy: 407":              {"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "ours proxy"},
		"proxy: 500":              {"HTTP/1.1 500 X\r\n\r\n", "ours proxy"},
		"proxy: closes":           {"H", "ours proxy"},
		"proxy: no HTTP":          {"SSH-2.0-OpenSSH\r\n\r\n", "ours proxy"},
		"proxy: endless head":     {"HTTP/1.1 200 OK\r\n" + strings.Repeat("X: y\r\n", 4<<10), "ours proxy"},
		"proxy: speaks too early": {connected + "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "ours proxy"},
		"proxy: 101":              {"HTTP/1.1 101 X\r\n\r\n", "ours proxy"},
		"proxy: redirect":         {"HTTP/1.1 302 X\r\nLocation: http://10.0.0.1/\r\n\r\n", "ours proxy"},
		"proxy: forbids":          {"HTTP/1.1 403 Forbidden\r\n\r\n", "permanent blocked"},
		"proxy: 502":              {"HTTP/1.1 502 Bad Gateway\r\n\r\n", "retryable unreachable"},
		"proxy: 504":              {"HTTP/1.1 504 Gateway Timeout\r\n\r\n", "retryable unreachable"},
		"proxy: waits for target": {"", "retryable timeout"},
	} {
		rows = append(rows, row{name: name, run: func(t *testing.T) {
			h := serveHop(t, c.answer, "")
			require(t, sendTo(t, senderOf(t, behind(h, nil)), "http://8.8.8.8/", patience), c.want)
		}})
	}
	return append(rows, row{name: "proxy: down", run: func(t *testing.T) {
		require(t, sendTo(t, senderOf(t, behind(&hop{addr: closedPort(t)}, nil)), "http://8.8.8.8/", patience), "ours proxy")
	}})
}
