package egress

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vigil/sink/core"
	"vigil/webhook"
)

// A faulty receiver speaks raw TCP: script gets each connection after the head of each request on it was read.
type faulty struct {
	url   string
	conns atomic.Int32
	posts atomic.Int32
}

// serve runs script for request n (from 1) of connection c (from 1) until it returns false; then the connection closes.
func serve(t *testing.T, script func(w net.Conn, c, n int) bool) *faulty {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &faulty{url: "http://" + l.Addr().String() + "/"}
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
			mu.Unlock()
			c := int(f.conns.Add(1))
			open.Go(func() {
				defer conn.Close()
				r := bufio.NewReader(conn)
				for n := 1; f.readHead(r); n++ {
					if !script(conn, c, n) {
						return
					}
				}
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
	return f
}

// readHead reads one request, body included.
func (f *faulty) readHead(r *bufio.Reader) bool {
	length := 0
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return false
		}
		if v, ok := strings.CutPrefix(line, "Content-Length: "); ok {
			length, _ = strconv.Atoi(strings.TrimSpace(v))
		}
		if line == "\r\n" {
			f.posts.Add(1)
			_, err := io.CopyN(io.Discard, r, int64(length))
			return err == nil
		}
	}
}

// say writes text and closes.
func say(text string) func(net.Conn, int, int) bool {
	return func(w net.Conn, _, _ int) bool {
		_, _ = io.WriteString(w, text)
		return false
	}
}

// drip writes head, then a byte at a time for as long as somebody listens.
func drip(head, b string) func(net.Conn, int, int) bool {
	return func(w net.Conn, _, _ int) bool {
		_, err := io.WriteString(w, head)
		for pace := time.NewTicker(10 * time.Millisecond); err == nil; <-pace.C {
			_, err = io.WriteString(w, b)
		}
		return false
	}
}

// flood writes head, then b without end.
func flood(head, b string) func(net.Conn, int, int) bool {
	again := []byte(b)
	return func(w net.Conn, _, _ int) bool {
		_, err := io.WriteString(w, head)
		for err == nil {
			_, err = w.Write(again)
		}
		return false
	}
}

// reset writes text and closes with a RST.
func reset(text string) func(net.Conn, int, int) bool {
	return func(w net.Conn, _, _ int) bool {
		_, _ = io.WriteString(w, text)
		_ = w.(*net.TCPConn).SetLinger(0)
		return false
	}
}

// hang waits until the other side gives up.
func hang(w net.Conn, _, _ int) bool {
	_, _ = w.Read(make([]byte, 1))
	return false
}

// testTimeout is the deadline of the attempts here.
const testTimeout = 300 * time.Millisecond

// attempt makes one attempt at a URL, with everything allowed.
func attempt(t *testing.T, s *Sender, url string) core.Answer {
	t.Helper()
	set, err := NewEndpoints(s.policy, nil)
	if err != nil {
		t.Fatal(err)
	}
	e := *set.Find("")
	e.timeout = testTimeout
	return s.Send(t.Context(), &e, &webhook.Delivery{
		FireID: "f1", Campaign: "c", Method: "POST", URL: url, Body: []byte(`{"a":1}`), Attempt: 1,
	})
}

func openSender(t *testing.T) *Sender {
	return senderOf(t, &Policy{AllowPrivate: true, AllowHTTP: true, MaxInFlight: 8, KeepResponses: true, Version: "test"})
}

const okHead = "HTTP/1.1 200 OK\r\n"

func TestFaults(t *testing.T) {
	const length, chunked = okHead + "Content-Length: 100000\r\n\r\n", okHead + "Transfer-Encoding: chunked\r\n\r\n"
	long := strings.Repeat("x", 64<<10)
	for _, c := range []struct {
		name   string
		script func(net.Conn, int, int) bool
		want   string // status, or code of the failure
		slow   bool   // may take until the deadline
	}{
		{"blackhole", hang, "timeout", true},
		{"header drip", drip(okHead+"X: ", "x"), "timeout", true},
		{"100-continue drip", drip("", "HTTP/1.1 100 Continue\r\n\r\n"), "timeout", true},
		{"body drip", drip(length, "x"), "200", true},
		{"chunked drip", drip(chunked, "1\r\nx\r\n"), "200", true},
		{"infinite chunked body", flood(chunked, "10000\r\n"+long+"\r\n"), "200", false},
		{"infinite body to the close", flood(okHead+"\r\n", long), "200", false},
		{"gzip that is none", say(okHead + "Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc"), "200", false},
		{"101", drip("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "x"), "101", false},
		{"103 flood", flood("", "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"), "malformed", false},
		{"infinite headers", flood(okHead, "X-A: "+long[:1000]+"\r\n"), "malformed", false},
		{"1 MB header", flood(okHead+"X-A: ", long), "malformed", false},
		{"5,000 empty headers", say(okHead + strings.Repeat("a:\r\n", 5000) + "Content-Length: 0\r\n\r\n"), "200", false},
		{"bad chunk", say(chunked + "zz\r\nx"), "200", false},
		{"chunk overflow", say(chunked + "ffffffffffffffffff\r\nx"), "200", false},
		{"trailer flood", flood(chunked+"0\r\n", "X: y\r\n"), "200", true},
		{"length beyond the body", say(length + "x"), "200", false},
		{"RST in the body", reset(length + "x"), "200", false},
		{"two lengths", say(okHead + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx"), "malformed", false},
		{"negative length", say(okHead + "Content-Length: -1\r\n\r\n"), "malformed", false},
		{"length overflow", say(okHead + "Content-Length: 99999999999999999999\r\n\r\n"), "malformed", false},
		{"unknown coding", say(okHead + "Transfer-Encoding: zip\r\n\r\n"), "malformed", false},
		{"NUL in a header", say(okHead + "X: a\x00b\r\n\r\n"), "malformed", false},
		{"header without colon", say(okHead + "X\r\n\r\n"), "malformed", false},
		{"status abc", say("HTTP/1.1 abc\r\n\r\n"), "malformed", false},
		{"status 2000", say("HTTP/1.1 2000 OK\r\n\r\n"), "malformed", false},
		{"ICY", say("ICY 200 OK\r\n\r\n"), "malformed", false},
		{"HTTP/0.9", say("<html>\r\n"), "malformed", false},
		{"SSH", say("SSH-2.0-OpenSSH_9.6\r\n"), "malformed", false},
		{"length and coding", say(okHead + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"), "200", false},
		{"bare LF", say("HTTP/1.1 200 OK\nContent-Length: 0\n\n"), "200", false},
		{"folded header", say(okHead + "X: a\r\n b\r\nContent-Length: 0\r\n\r\n"), "200", false},
		{"no reason", say("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"), "200", false},
		{"HTTP/1.0", say("HTTP/1.0 200 OK\r\n\r\nbye"), "200", false},
		{"status 000", say("HTTP/1.1 000 X\r\nContent-Length: 0\r\n\r\n"), "0", false},
		{"status 999", say("HTTP/1.1 999 X\r\nContent-Length: 0\r\n\r\n"), "999", false},
		{"RST before the answer", reset(""), "reset", false},
		{"close before the answer", say(""), "eof", false},
		{"half an answer", say("HTTP/1.1 200 OK\r\nX: "), "eof", false},
		{"410", say("HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n"), "410", false},
		{"304", say("HTTP/1.1 304 Not Modified\r\n\r\n"), "304", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := serve(t, c.script)
			start := time.Now()
			a := attempt(t, openSender(t), f.url)
			took := time.Since(start)
			got := strconv.Itoa(a.Status)
			if a.Failed {
				got = a.Code
			}
			if got != c.want {
				t.Errorf("got %s (%s, %v), want %s", got, a.Reason, a.Err, c.want)
			}
			if took > testTimeout+200*time.Millisecond || !c.slow && took > testTimeout {
				t.Errorf("took %v", took)
			}
			if len(a.Reason) > webhook.MaxReasonBytes || strings.ContainsAny(a.Reason, "\r\n\x00") || len(a.Body) > webhook.MaxResponseBytes {
				t.Errorf("reason %q, %d bytes of body", a.Reason, len(a.Body))
			}
			if f.posts.Load() != 1 {
				t.Errorf("%d requests", f.posts.Load())
			}
		})
	}
}

func TestInfiniteBodiesStayInMemoryBounds(t *testing.T) {
	f := serve(t, flood(okHead+"\r\n", strings.Repeat("x", 64<<10)))
	s := openSender(t)
	attempt(t, s, f.url)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const n = 20
	for range n {
		if a := attempt(t, s, f.url); a.Status != 200 {
			t.Fatalf("got %+v", a)
		}
	}
	runtime.ReadMemStats(&after)
	if per := (after.TotalAlloc - before.TotalAlloc) / n; per > 64<<10 {
		t.Errorf("%d bytes an attempt, at most 64 KiB are allowed", per)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	target := serve(t, say(okHead+"Content-Length: 0\r\n\r\n"))
	for _, status := range []string{"301", "302", "303", "307", "308"} {
		for _, to := range []string{target.url, "file:///etc/passwd", "http://169.254.169.254/", "/", ""} {
			f := serve(t, say("HTTP/1.1 "+status+" Found\r\nLocation: "+to+"\r\nContent-Length: 0\r\n\r\n"))
			if a := attempt(t, openSender(t), f.url); strconv.Itoa(a.Status) != status || f.posts.Load() != 1 {
				t.Errorf("%s to %q: %+v after %d requests", status, to, a, f.posts.Load())
			}
		}
	}
	if n := target.conns.Load(); n != 0 {
		t.Errorf("the target of a redirect was reached %d times", n)
	}
}

// TestDeadConnectionCostsNothing: the receiver closes a pooled connection when the second request arrives on it.
func TestDeadConnectionCostsNothing(t *testing.T) {
	for name, end := range map[string]func(net.Conn, int, int) bool{"closed": say(""), "reset": reset("")} {
		t.Run(name, func(t *testing.T) {
			f := serve(t, func(w net.Conn, c, n int) bool {
				if c == 1 && n == 2 {
					return end(w, c, n)
				}
				_, err := io.WriteString(w, okHead+"Content-Length: 0\r\n\r\n")
				return err == nil
			})
			s := openSender(t)
			old := testTimeout + minRedial
			first, second := attemptWithin(t, s, f.url, old), attemptWithin(t, s, f.url, old)
			if first.Status != 200 || second.Status != 200 || f.conns.Load() != 2 {
				t.Errorf("got %+v, then %+v over %d connections", first, second, f.conns.Load())
			}
		})
	}
}

// TestOnlyOneRedial: a receiver that always closes costs one attempt, which is two requests.
func TestOnlyOneRedial(t *testing.T) {
	f := serve(t, func(w net.Conn, c, n int) bool {
		if c > 1 || n > 1 {
			return false
		}
		_, err := io.WriteString(w, okHead+"Content-Length: 0\r\n\r\n")
		return err == nil
	})
	s := openSender(t)
	attemptWithin(t, s, f.url, 2*time.Second)
	if a := attemptWithin(t, s, f.url, 2*time.Second); a.Code != "eof" && a.Code != "reset" || f.posts.Load() != 3 {
		t.Errorf("got %+v after %d requests", a, f.posts.Load())
	}
}

func attemptWithin(t *testing.T, s *Sender, url string, timeout time.Duration) core.Answer {
	t.Helper()
	set, err := NewEndpoints(s.policy, nil)
	if err != nil {
		t.Fatal(err)
	}
	e := *set.Find("")
	e.timeout = timeout
	return s.Send(t.Context(), &e, &webhook.Delivery{
		FireID: "f1", Method: "POST", URL: url, Body: []byte("{}"), Attempt: 1, Headers: map[string]string{"Idempotency-Key": "k"},
	})
}

// TestForgedSecondAnswerReachesNobody: bytes after an answer must not become the answer to the next delivery.
func TestForgedSecondAnswerReachesNobody(t *testing.T) {
	for _, head := range []string{"HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 304 Not Modified\r\n\r\n", okHead + "Content-Length: 0\r\n\r\n"} {
		f := serve(t, func(w net.Conn, c, _ int) bool {
			text := head + "HTTP/1.1 201 Forged\r\nContent-Length: 0\r\n\r\n"
			if c > 1 {
				text = "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
			}
			_, err := io.WriteString(w, text)
			return err == nil
		})
		s := openSender(t)
		attemptWithin(t, s, f.url, 2*time.Second)
		if a := attemptWithin(t, s, f.url, 2*time.Second); a.Status != 202 {
			t.Errorf("after %q the next delivery got %+v", head, a)
		}
	}
}

func TestConnectionsAreKept(t *testing.T) {
	f := serve(t, func(w net.Conn, _, _ int) bool {
		_, err := io.WriteString(w, okHead+"Content-Length: 6\r\n\r\nthanks")
		return err == nil
	})
	s := openSender(t)
	for range 50 {
		if a := attempt(t, s, f.url); a.Body != "thanks" || a.Remote == "" {
			t.Fatalf("got %+v", a)
		}
	}
	if n := f.conns.Load(); n != 1 {
		t.Errorf("50 deliveries took %d connections", n)
	}
}

func TestTLSFaults(t *testing.T) {
	start := func(versions *tls.Config) string {
		s := httptest.NewUnstartedServer(http.NotFoundHandler())
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		s.TLS = versions
		s.StartTLS()
		t.Cleanup(s.Close)
		return s.URL
	}
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	for name, c := range map[string]struct{ url, code string }{
		"self-signed": {start(nil), "tls"},
		"TLS 1.1":     {start(&tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}), "tls"},
		"plain HTTP":  {strings.Replace(plain.URL, "http:", "https:", 1), "tls"},
	} {
		if a := attempt(t, openSender(t), c.url); a.Code != c.code || a.Class != core.Retryable {
			t.Errorf("%s: got %s (%v), want %s", name, a.Code, a.Err, c.code)
		}
	}
}

func TestUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + l.Addr().String()
	l.Close()
	if a := attempt(t, openSender(t), url); a.Code != "refused" || a.Class != core.Retryable || a.Remote != "" {
		t.Errorf("got %+v", a)
	}
	closed := senderOf(t, &Policy{AllowHTTP: true, AllowPorts: []uint16{uint16(l.Addr().(*net.TCPAddr).Port)}})
	if a := attempt(t, closed, url); a.Code != core.CodeBlocked || !strings.Contains(a.Reason, "blocked by egress policy (allow_private)") {
		t.Errorf("got %+v", a)
	}
}

func TestClassifyDNS(t *testing.T) {
	for code, err := range map[string]error{
		"dns_not_found":   &net.DNSError{Err: "no such host", IsNotFound: true},
		"dns_failure":     &net.DNSError{Err: "server misbehaving", IsTemporary: true},
		"dns_unreachable": &net.DNSError{Err: "read udp 127.0.0.1:1->127.0.0.1:53: read: connection refused"},
	} {
		if got := failed(&net.OpError{Op: "dial", Err: err}); got.Code != code || got.Reason != code {
			t.Errorf("%v: %s, reason %q, want %s", err, got.Code, got.Reason, code)
		}
	}
	if got := failed(errors.New("odd\r\nX: y")); got.Code != "malformed" || strings.ContainsAny(got.Reason, "\r\n") {
		t.Errorf("got %+v", got)
	}
}
