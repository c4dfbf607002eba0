package egress

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vigil/config/endpoints"
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
	accept(t, l, func(conn net.Conn, c int) {
		f.conns.Add(1)
		r := bufio.NewReader(conn)
		for n := 1; f.readHead(r) && script(conn, c, n); n++ {
		}
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

// testTimeout is the deadline of attempts that are meant to reach it, patience that of all others: on a busy machine a
// receiver takes its time.
const (
	testTimeout = 600 * time.Millisecond
	patience    = 20 * time.Second
)

// attempt makes one attempt at a URL, with everything allowed.
func attempt(t *testing.T, s *Sender, url string) core.Answer {
	t.Helper()
	return attemptWithin(t, s, url, patience)
}

func openSender(t *testing.T) *Sender {
	return senderOf(t, &Policy{AllowPrivate: true, AllowHTTP: true, MaxInFlight: 8, KeepResponses: true, Version: "test"})
}

const okHead = "HTTP/1.1 200 OK\r\n"

// answerRows are what a receiver may say, and the outcome that each must have (delivery 8.1).
func answerRows() []row {
	const length, chunked = okHead + "Content-Length: 100000\r\n\r\n", okHead + "Transfer-Encoding: chunked\r\n\r\n"
	long := strings.Repeat("x", 64<<10)
	var rows []row
	for _, c := range []struct {
		name   string
		script func(net.Conn, int, int) bool
		want   string
		slow   bool // may take until the deadline
	}{
		{"blackhole", hang, "retryable timeout", true},
		{"header drip", drip(okHead+"X: ", "x"), "retryable timeout", true},
		{"100-continue drip", drip("", "HTTP/1.1 100 Continue\r\n\r\n"), "retryable timeout", true},
		{"body drip", drip(length, "x"), "success 200", true},
		{"chunked drip", drip(chunked, "1\r\nx\r\n"), "success 200", true},
		{"infinite chunked body", flood(chunked, "10000\r\n"+long+"\r\n"), "success 200", false},
		{"infinite body to the close", flood(okHead+"\r\n", long), "success 200", false},
		{"gzip that is none", say(okHead + "Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc"), "success 200", false},
		{"101", drip("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "x"), "retryable 101", false},
		{"103 flood", flood("", "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"), "retryable malformed", false},
		{"infinite headers", flood(okHead, "X-A: "+long[:1000]+"\r\n"), "retryable malformed", false},
		{"1 MB header", flood(okHead+"X-A: ", long), "retryable malformed", false},
		{"5,000 empty headers", say(okHead + strings.Repeat("a:\r\n", 5000) + "Content-Length: 0\r\n\r\n"), "success 200", false},
		{"bad chunk", say(chunked + "zz\r\nx"), "success 200", false},
		{"chunk overflow", say(chunked + "ffffffffffffffffff\r\nx"), "success 200", false},
		{"trailer flood", flood(chunked+"0\r\n", "X: y\r\n"), "success 200", true},
		{"length beyond the body", say(length + "x"), "success 200", false},
		{"RST in the body", reset(length + "x"), "success 200", false},
		{"two lengths", say(okHead + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx"), "retryable malformed", false},
		{"negative length", say(okHead + "Content-Length: -1\r\n\r\n"), "retryable malformed", false},
		{"length overflow", say(okHead + "Content-Length: 99999999999999999999\r\n\r\n"), "retryable malformed", false},
		{"unknown coding", say(okHead + "Transfer-Encoding: zip\r\n\r\n"), "retryable malformed", false},
		{"NUL in a header", say(okHead + "X: a\x00b\r\n\r\n"), "retryable malformed", false},
		{"header without colon", say(okHead + "X\r\n\r\n"), "retryable malformed", false},
		{"status abc", say("HTTP/1.1 abc\r\n\r\n"), "retryable malformed", false},
		{"status 2000", say("HTTP/1.1 2000 OK\r\n\r\n"), "retryable malformed", false},
		{"ICY", say("ICY 200 OK\r\n\r\n"), "retryable malformed", false},
		{"HTTP/0.9", say("<html>\r\n"), "retryable malformed", false},
		{"SSH", say("SSH-2.0-OpenSSH_9.6\r\n"), "retryable malformed", false},
		{"length and coding", say(okHead + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"), "success 200", false},
		{"bare LF", say("HTTP/1.1 200 OK\nContent-Length: 0\n\n"), "success 200", false},
		{"folded header", say(okHead + "X: a\r\n b\r\nContent-Length: 0\r\n\r\n"), "success 200", false},
		{"no reason", say("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"), "success 200", false},
		{"HTTP/1.0", say("HTTP/1.0 200 OK\r\n\r\nbye"), "success 200", false},
		{"status 000", say("HTTP/1.1 000 X\r\nContent-Length: 0\r\n\r\n"), "retryable 0", false},
		{"status 999", say("HTTP/1.1 999 X\r\nContent-Length: 0\r\n\r\n"), "retryable 999", false},
		{"RST before the answer", reset(""), "retryable reset", false},
		{"close before the answer", say(""), "retryable eof", false},
		{"half an answer", say("HTTP/1.1 200 OK\r\nX: "), "retryable eof", false},
		{"410", say("HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n"), "permanent 410", false},
		{"304", say("HTTP/1.1 304 Not Modified\r\n\r\n"), "permanent 304", false},
		{"answer just in time, then drip", late(drip(length, "x")), "success 200", true},
		{"gzip bomb", say(okHead + "Content-Encoding: gzip\r\nContent-Length: " + strconv.Itoa(len(bomb())) + "\r\n\r\n" + bomb()), "success 200", false},
		{"giant chunk extension", say(chunked + "1;x=" + long + long + "\r\nx\r\n0\r\n\r\n"), "success 200", false},
		{"trailers after the body", say(chunked + "1\r\nx\r\n0\r\nX-A: b\r\n\r\n"), "success 200", false},
		{"space in a header name", say(okHead + "X-A : b\r\nContent-Length: 0\r\n\r\n"), "success 200", false},
		{"HTTP/2.0 over HTTP/1", say("HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"), "success 200", false},
		{"HTTP/3.7", say("HTTP/3.7 200 OK\r\nContent-Length: 0\r\n\r\n"), "success 200", false},
		{"lowercase http", say("http/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), "retryable malformed", false},
		{"status 99", say("HTTP/1.1 099 X\r\nContent-Length: 0\r\n\r\n"), "retryable 99", false},
		{"status -1", say("HTTP/1.1 -01 X\r\nContent-Length: 0\r\n\r\n"), "retryable malformed", false},
		{"status 600", say("HTTP/1.1 600 X\r\nContent-Length: 0\r\n\r\n"), "retryable 600", false},
		{"102, then nothing", drip("HTTP/1.1 102 Processing\r\n\r\n", ""), "retryable timeout", true},
		{"100, then 200", say("HTTP/1.1 100 Continue\r\n\r\n" + okHead + "Content-Length: 0\r\n\r\n"), "success 200", false},
		{"205 with a body", say("HTTP/1.1 205 Reset Content\r\nContent-Length: 1\r\n\r\nx"), "success 205", false},
		{"429", say("HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"), "retryable 429", false},
		{"500 that never ends", flood("HTTP/1.1 500 X\r\n\r\n", long), "retryable 500", false},
		{"401 without OAuth2", say("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n"), "permanent 401", false},
		{"407", say("HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n"), "permanent 407", false},
		{"cookies", say(okHead + "Set-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"), "success 200", false},
		{"control characters in the reason", say("HTTP/1.1 2x0 \x1b[31m\xff\r\n\r\n"), "retryable malformed", false},
		{"control characters in a header", say(okHead + "X-\x1b[2J: \xff\r\n\r\n"), "retryable malformed", false},
		{"no UTF-8 in the body", say(okHead + "Content-Length: 4\r\n\r\n\xff\xfe\x1b["), "success 200", false},
		{"lines in the body", say(okHead + "Content-Length: 9\r\n\r\na\r\nlevel="), "success 200", false},
		{"empty line", say("\r\n"), "retryable malformed", false},
		{"endless line", flood("HTTP/1.1 200 ", long), "retryable malformed", false},
		{"zeros", flood("", strings.Repeat("\x00", 4096)), "retryable malformed", false},
	} {
		rows = append(rows, row{name: c.name, run: func(t *testing.T) {
			f := serve(t, c.script)
			start, timeout := time.Now(), patience
			if c.slow {
				timeout = testTimeout
			}
			require(t, attemptWithin(t, openSender(t), f.url, timeout), c.want)
			if took := time.Since(start); took > patience/2 { // a wide bound: the machine may be busy
				t.Errorf("took %v", took)
			}
			if f.posts.Load() != 1 {
				t.Errorf("%d requests", f.posts.Load())
			}
		}})
	}
	return rows
}

// late waits until most of the deadline has passed.
func late(then func(net.Conn, int, int) bool) func(net.Conn, int, int) bool {
	return func(w net.Conn, c, n int) bool {
		<-time.After(testTimeout / 3)
		return then(w, c, n)
	}
}

// bomb is 256 MiB of zeros, compressed: the same member of a gzip stream again and again.
var bomb = sync.OnceValue(func() string {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write(make([]byte, 1<<20))
	_ = w.Close()
	return strings.Repeat(out.String(), 256)
})

// memoryRows bound what one attempt may allocate, whatever it is sent.
func memoryRows() []row {
	long, packed := strings.Repeat("x", 64<<10), []byte(okHead+"Content-Encoding: gzip\r\n\r\n"+bomb())
	var rows []row
	for _, c := range []struct {
		name   string
		most   uint64
		script func(net.Conn, int, int) bool
	}{
		{"infinite body to the close", 64 << 10, flood(okHead+"\r\n", long)},
		{"infinite chunked body", 64 << 10, flood(okHead+"Transfer-Encoding: chunked\r\n\r\n", "10000\r\n"+long+"\r\n")},
		{"gzip bomb", 64 << 10, func(w net.Conn, _, _ int) bool { _, _ = w.Write(packed); return false }},
		{"infinite header", 512 << 10, flood(okHead+"X: ", long)},
		{"103 flood", 1 << 20, flood("", "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")},
	} {
		rows = append(rows, row{name: "memory: " + c.name, lone: true, run: func(t *testing.T) {
			f, s := serve(t, c.script), openSender(t)
			allocatesAtMost(t, c.most, func() { attempt(t, s, f.url) })
		}})
	}
	return rows
}

func allocatesAtMost(t *testing.T, most uint64, attempt func()) {
	t.Helper()
	per := allocated(t, attempt)
	t.Logf("%d bytes an attempt", per)
	if per > most {
		t.Errorf("%d bytes an attempt, at most %d are allowed", per, most)
	}
}

// allocated is what an attempt allocates on average, all that its goroutines and the receiver's do included.
func allocated(t *testing.T, attempt func()) uint64 {
	t.Helper()
	if raceDetector {
		t.Skip("the race detector allocates by itself")
	}
	attempt()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const n = 20
	for range n {
		attempt()
	}
	runtime.ReadMemStats(&after)
	return (after.TotalAlloc - before.TotalAlloc) / n
}

// redirectRows: no redirect is followed, whatever it says and wherever it leads.
func redirectRows() []row {
	var rows []row
	for _, status := range []string{"300", "301", "302", "303", "307", "308", "399"} {
		for where, to := range map[string]string{
			"an admin port": "", "metadata": "http://169.254.169.254/latest/", "a file": "file:///etc/passwd", "itself": "/", "another scheme": "gopher://127.0.0.1:6379/", "nowhere": "-",
		} {
			rows = append(rows, row{name: "redirect " + status + " to " + where, run: func(t *testing.T) {
				target := serve(t, say(okHead+"Content-Length: 0\r\n\r\n"))
				location := "Location: " + to + "\r\n"
				switch to {
				case "":
					location = "Location: " + target.url + "\r\n"
				case "-":
					location = ""
				}
				f := serve(t, say("HTTP/1.1 "+status+" Found\r\n"+location+"Content-Length: 0\r\n\r\n"))
				require(t, attempt(t, openSender(t), f.url), "permanent "+status)
				if f.posts.Load() != 1 || target.conns.Load() != 0 {
					t.Errorf("%d requests, %d at the target", f.posts.Load(), target.conns.Load())
				}
			}})
		}
	}
	return rows
}

// retryAfterRows: whatever the header says, the next attempt is neither before the tier's delay nor after 15 min.
func retryAfterRows() []row {
	var rows []row
	for name, c := range map[string]struct {
		header string
		wait   time.Duration
		hold   bool
	}{
		"-1": {"Retry-After: -1\r\n", 10 * time.Second, false}, "abc": {"Retry-After: abc\r\n", 10 * time.Second, false},
		"1e9": {"Retry-After: 1e9\r\n", 10 * time.Second, false}, "20 digits": {"Retry-After: 99999999999999999999\r\n", 10 * time.Second, false},
		"a list": {"Retry-After: 120, 60\r\n", 10 * time.Second, false}, "empty": {"Retry-After: \r\n", 10 * time.Second, false},
		"0": {"Retry-After: 0\r\n", 10 * time.Second, true}, "twice": {"Retry-After: 60\r\nRetry-After: 120\r\n", time.Minute, true},
		"a day": {"Retry-After: 86400\r\n", 15 * time.Minute, true}, "9999999": {"Retry-After: 9999999\r\n", 15 * time.Minute, true},
		"a past date": {"Retry-After: Wed, 21 Oct 2015 07:28:00 GMT\r\n", 10 * time.Second, true},
		"year 2200":   {"Retry-After: Wed, 21 Oct 2200 07:28:00 GMT\r\n", 15 * time.Minute, true},
		"year 99999":  {"Retry-After: Wed, 21 Oct 99999 07:28:00 GMT\r\n", 10 * time.Second, false},
		"64 KiB":      {"Retry-After: " + strings.Repeat("1", 20<<10) + "\r\n", 10 * time.Second, false},
	} {
		rows = append(rows, row{name: "Retry-After: " + name, run: func(t *testing.T) {
			f := serve(t, say("HTTP/1.1 429 Too Many Requests\r\n"+c.header+"Content-Length: 0\r\n\r\n"))
			a := attempt(t, openSender(t), f.url)
			require(t, a, "retryable 429")
			now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
			fate := core.Decide(core.Plan{Attempt: 1, Retries: 2, Delays: endpoints.DefaultRetryDelays(), Now: now}, &a)
			if fate.Next == nil || fate.Next.Sub(now) != c.wait || (fate.Hold != nil) != c.hold {
				t.Errorf("next attempt at %v, hold %v", fate.Next, fate.Hold)
			}
		}})
	}
	return rows
}

// poolRows: a pooled connection that turns out to be dead costs nothing, once; bytes after an answer reach nobody; what ends
// well is kept.
func poolRows() []row {
	rows := []row{
		{name: "pool: only one redial", run: onlyOneRedial},
		{name: "pool: only one redial, without a body", run: onlyOneRedialWithoutBody},
		{name: "pool: 50 deliveries, one connection", run: connectionsAreKept},
		{name: "the deadline is kept", lone: true, run: deadlineIsKept},
	}
	for name, end := range map[string]func(net.Conn, int, int) bool{"closed": say(""), "reset": reset("")} {
		rows = append(rows, row{name: "pool: dead connection, " + name, run: func(t *testing.T) { deadConnectionCostsNothing(t, end) }})
	}
	for name, head := range map[string]string{
		"204": "HTTP/1.1 204 No Content\r\n\r\n", "304": "HTTP/1.1 304 Not Modified\r\n\r\n", "200": okHead + "Content-Length: 0\r\n\r\n",
		"200 with a body": okHead + "Content-Length: 2\r\n\r\nok", "200, chunked": okHead + "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
	} {
		rows = append(rows, row{name: "pool: forged answer after " + name, run: func(t *testing.T) { forgedAnswer(t, head) }})
	}
	return rows
}

// deadlineIsKept: a receiver that never answers holds a place no longer than the deadline and 50 ms, at the best of five; a
// busy machine may be late now and then.
func deadlineIsKept(t *testing.T) {
	f, s := serve(t, hang), openSender(t)
	best := time.Hour
	for range 5 {
		start := time.Now()
		require(t, attemptWithin(t, s, f.url, testTimeout), "retryable timeout")
		best = min(best, time.Since(start)-testTimeout)
	}
	t.Logf("%v after the deadline", best)
	if best > 50*time.Millisecond {
		t.Errorf("%v after the deadline", best)
	}
}

// deadConnectionCostsNothing: the receiver closes a pooled connection when the second request arrives on it.
func deadConnectionCostsNothing(t *testing.T, end func(net.Conn, int, int) bool) {
	f := serve(t, func(w net.Conn, c, n int) bool {
		if c == 1 && n == 2 {
			return end(w, c, n)
		}
		_, err := io.WriteString(w, okHead+"Content-Length: 0\r\n\r\n")
		return err == nil
	})
	s := openSender(t)
	first, second := attemptWithin(t, s, f.url, patience), attemptWithin(t, s, f.url, patience)
	if first.Status != 200 || second.Status != 200 || f.conns.Load() != 2 {
		t.Errorf("got %+v, then %+v over %d connections", first, second, f.conns.Load())
	}
}

// onlyOneRedial: a receiver that always closes costs one attempt, which is two requests.
func onlyOneRedial(t *testing.T) {
	f := serve(t, func(w net.Conn, c, n int) bool {
		if c > 1 || n > 1 {
			return false
		}
		_, err := io.WriteString(w, okHead+"Content-Length: 0\r\n\r\n")
		return err == nil
	})
	s := openSender(t)
	attemptWithin(t, s, f.url, patience)
	if a := attemptWithin(t, s, f.url, patience); a.Code != "eof" && a.Code != "reset" || f.posts.Load() != 3 {
		t.Errorf("got %+v after %d requests", a, f.posts.Load())
	}
}

// onlyOneRedialWithoutBody: what has no body is sent no more often, however many connections of the pool are dead.
func onlyOneRedialWithoutBody(t *testing.T) {
	for _, method := range []string{http.MethodGet, http.MethodDelete} {
		const pooled = 4
		all := make(chan struct{})
		var came atomic.Int32
		f := serve(t, func(w net.Conn, c, n int) bool {
			if c > pooled || n > 1 {
				return false
			}
			if came.Add(1) == pooled { // each on a connection of its own: none is free before
				close(all)
			}
			<-all
			_, err := io.WriteString(w, okHead+"Content-Length: 0\r\n\r\n")
			return err == nil
		})
		s := openSender(t)
		set, err := NewEndpoints(s.policy, nil)
		if err != nil {
			t.Fatal(err)
		}
		send := func() core.Answer {
			return s.Send(t.Context(), set.Find(""), &webhook.Delivery{
				FireID: "f1", Method: method, URL: f.url, Attempt: 1, Headers: map[string]string{"Idempotency-Key": "k"},
			})
		}
		var first sync.WaitGroup
		for range pooled {
			first.Go(func() { require(t, send(), "success 200") })
		}
		first.Wait()
		if a := send(); a.Code != "eof" && a.Code != "reset" || f.posts.Load() != pooled+2 {
			t.Errorf("%s: got %+v after %d requests, %d of them good", method, a, f.posts.Load(), pooled)
		}
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

// forgedAnswer: bytes after an answer must not become the answer to the next delivery.
func forgedAnswer(t *testing.T, head string) {
	f := serve(t, func(w net.Conn, c, _ int) bool {
		text := head + "HTTP/1.1 201 Forged\r\nContent-Length: 0\r\n\r\n"
		if c > 1 {
			text = "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
		}
		_, err := io.WriteString(w, text)
		return err == nil
	})
	s := openSender(t)
	attemptWithin(t, s, f.url, patience)
	if a := attemptWithin(t, s, f.url, patience); a.Status != 202 {
		t.Errorf("the next delivery got %+v", a)
	}
}

func connectionsAreKept(t *testing.T) {
	f := serve(t, func(w net.Conn, _, _ int) bool {
		_, err := io.WriteString(w, okHead+"Content-Length: 6\r\n\r\nthanks")
		return err == nil
	})
	s := openSender(t)
	for range 50 {
		if a := attemptWithin(t, s, f.url, patience); a.Body != "thanks" || a.Remote == "" {
			t.Fatalf("got %+v", a)
		}
	}
	if n := f.conns.Load(); n != 1 {
		t.Errorf("50 deliveries took %d connections", n)
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
	if got := failed(errors.New("http: server closed idle connection")); got.Code != "eof" { // it has no type to look for
		t.Errorf("got %+v", got)
	}
	if got := failed(errors.New("odd\r\nX: y")); got.Code != "malformed" || strings.ContainsAny(got.Reason, "\r\n") {
		t.Errorf("got %+v", got)
	}
}
