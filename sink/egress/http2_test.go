package egress

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vigil/config/endpoints"
	"vigil/sink/core"
)

// Types of HTTP/2 frames, and flags (RFC 9113).
const (
	frameBody, frameHeaders, frameReset, frameSettings, framePing, frameGoAway, frameContinuation = 0, 1, 3, 4, 6, 7, 9
	endStream, endHeaders                                                                         = 1, 4
)

// status200 is the header block `:status: 200`, status500 that of a 500.
var status200, status500 = []byte{0x88}, []byte{0x8e}

func frame(kind, flags byte, stream uint32, payload []byte) []byte {
	out := []byte{byte(len(payload) >> 16), byte(len(payload) >> 8), byte(len(payload)), kind, flags}
	return append(binary.BigEndian.AppendUint32(out, stream), payload...)
}

func word(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }

// two is a receiver that speaks HTTP/2 by hand.
type two struct {
	url      string
	conns    atomic.Int32
	requests atomic.Int32
}

// serveTwo runs script for each request, numbered from 1 over all connections; false closes the connection. greeting is
// sent at once.
func serveTwo(t *testing.T, a *authority, greeting []byte, script func(w io.Writer, stream uint32, n int) bool) *two {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{a.issue(t, nil)}, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	s := &two{url: "https://" + l.Addr().String() + "/"}
	accept(t, l, func(c net.Conn, _ int) {
		s.conns.Add(1)
		preface := make([]byte, 24)
		if _, err := io.ReadFull(c, preface); err != nil || !bytes.HasPrefix(preface, []byte("PRI * HTTP/2.0")) {
			return
		}
		if _, err := c.Write(greeting); err != nil {
			return
		}
		s.frames(c, script)
	})
	return s
}

func (s *two) frames(c net.Conn, script func(io.Writer, uint32, int) bool) {
	head := make([]byte, 9)
	for {
		if _, err := io.ReadFull(c, head); err != nil {
			return
		}
		length := int64(head[0])<<16 | int64(head[1])<<8 | int64(head[2])
		if _, err := io.CopyN(io.Discard, c, length); err != nil {
			return
		}
		stream := binary.BigEndian.Uint32(head[5:])
		if head[3] == frameHeaders && !script(c, stream, int(s.requests.Add(1))) {
			return
		}
	}
}

func ok200(w io.Writer, stream uint32, _ int) bool {
	_, err := w.Write(frame(frameHeaders, endHeaders|endStream, stream, status200))
	return err == nil
}

// endless writes head, then again until nobody takes it. What follows head is of stream 1: the first of a connection.
func endless(head func(stream uint32) []byte, again func(stream uint32) []byte) func(io.Writer, uint32, int) bool {
	many := bytes.Repeat(again(1), 4)
	return func(w io.Writer, stream uint32, _ int) bool {
		_, err := w.Write(head(stream))
		for err == nil {
			_, err = w.Write(many)
		}
		return false
	}
}

func nothing(uint32) []byte { return nil }

// twoAttempt makes attempts one after the other at an endpoint that takes HTTP/2, and returns the last answer.
func twoAttempt(t *testing.T, a *authority, url string, timeout time.Duration, times int) (last core.Answer) {
	t.Helper()
	p := &Policy{MaxInFlight: 4, RootCAs: a.pool}
	e := compile(t, p, endpoints.Endpoint{URL: url, HTTP2: true})
	e.timeout = timeout
	s := senderOf(t, p)
	for range times {
		last = deliver(t, s, e)
	}
	return last
}

// http2Rows are the faults that HTTP/2 adds, where an endpoint asks for it.
func http2Rows() []row {
	settings := frame(frameSettings, 0, 0, nil)
	goAway := func(last uint32) []byte { return frame(frameGoAway, 0, 0, append(word(last), word(0)...)) }
	content := func(stream uint32) []byte { return frame(frameBody, 0, stream, make([]byte, 1000)) }
	headers := func(stream uint32) []byte { return frame(frameHeaders, endHeaders, stream, status200) }
	var rows []row
	for _, c := range []struct {
		name   string
		script func(io.Writer, uint32, int) bool
		times  int
		want   string
	}{
		{"answers", ok200, 3, "success 200"},
		{"500", func(w io.Writer, stream uint32, _ int) bool {
			_, err := w.Write(frame(frameHeaders, endHeaders|endStream, stream, status500))
			return err == nil
		}, 1, "retryable 500"},
		{"GOAWAY instead of an answer", func(w io.Writer, _ uint32, _ int) bool { _, _ = w.Write(goAway(0)); return false }, 1, "retryable malformed"},
		{"GOAWAY after the answer", func(w io.Writer, stream uint32, n int) bool {
			ok200(w, stream, n)
			_, _ = w.Write(goAway(stream))
			return true
		}, 3, "success 200"},
		{"GOAWAY, then a new connection answers", func(w io.Writer, stream uint32, n int) bool {
			if n == 2 {
				_, _ = w.Write(goAway(stream - 2))
				return false
			}
			return ok200(w, stream, n)
		}, 2, "success 200"},
		{"stream reset", func(w io.Writer, stream uint32, _ int) bool {
			_, err := w.Write(frame(frameReset, 0, stream, word(2)))
			return err == nil
		}, 1, "retryable malformed"},
		{"stream refused, then taken", func(w io.Writer, stream uint32, n int) bool {
			if n == 2 {
				_, err := w.Write(frame(frameReset, 0, stream, word(7)))
				return err == nil
			}
			return ok200(w, stream, n)
		}, 2, "success 200"},
		{"stream reset in the body", func(w io.Writer, stream uint32, _ int) bool {
			_, err := w.Write(append(append(headers(stream), content(stream)...), frame(frameReset, 0, stream, word(2))...))
			return err == nil
		}, 1, "success 200"},
		{"SETTINGS flood", endless(nothing, func(uint32) []byte { return settings }), 1, "retryable malformed"},
		{"PING flood", endless(nothing, func(uint32) []byte { return frame(framePing, 0, 0, make([]byte, 8)) }), 1, "retryable malformed"},
		{"CONTINUATION flood", endless(func(stream uint32) []byte { return frame(frameHeaders, 0, stream, status200) }, func(stream uint32) []byte {
			return frame(frameContinuation, 0, stream, bytes.Repeat([]byte{0x88}, 1000))
		}), 1, "retryable malformed"},
		{"infinite body", endless(headers, content), 1, "success 200"},
		{"unknown frames", endless(nothing, func(uint32) []byte { return frame(0x42, 0, 0, make([]byte, 1000)) }), 1, "retryable malformed"},
		{"answer to another stream", func(w io.Writer, stream uint32, _ int) bool {
			_, err := w.Write(frame(frameHeaders, endHeaders|endStream, stream+2, status200))
			return err == nil
		}, 1, "retryable timeout"},
		{"no answer", func(io.Writer, uint32, int) bool { return true }, 1, "retryable timeout"},
		{"garbage", func(w io.Writer, _ uint32, _ int) bool {
			_, _ = io.WriteString(w, strings.Repeat("\xff", 1000))
			return false
		}, 1, "retryable malformed"},
	} {
		rows = append(rows, row{name: "HTTP/2: " + c.name, run: func(t *testing.T) {
			timeout := patience
			if strings.HasSuffix(c.want, "timeout") {
				timeout = testTimeout
			}
			a := newAuthority(t)
			s := serveTwo(t, a, settings, c.script)
			require(t, twoAttempt(t, a, s.url, timeout, c.times), c.want)
		}})
	}
	return append(rows, row{name: "HTTP/2: SETTINGS flood before any request", run: func(t *testing.T) {
		a := newAuthority(t)
		s := serveTwo(t, a, bytes.Repeat(settings, 100_000), ok200)
		if got := twoAttempt(t, a, s.url, patience, 1); got.Failed && got.Class != core.Retryable {
			t.Errorf("got %+v", got)
		}
	}}, row{name: "HTTP/2: memory of an infinite body", lone: true, run: func(t *testing.T) {
		// Each attempt needs a new connection; what its two handshakes allocate is not the body's.
		a := newAuthority(t)
		per := map[string]uint64{}
		for name, script := range map[string]func(io.Writer, uint32, int) bool{
			"infinite": endless(headers, content),
			"short":    func(w io.Writer, stream uint32, n int) bool { ok200(w, stream, n); return false },
		} {
			s, p := serveTwo(t, a, settings, script), &Policy{MaxInFlight: 4, RootCAs: a.pool}
			e, sender := compile(t, p, endpoints.Endpoint{URL: s.url, HTTP2: true}), senderOf(t, p)
			per[name] = allocated(t, func() { require(t, deliver(t, sender, e), "success 200") })
		}
		t.Logf("%d bytes an attempt, %d where the body is short", per["infinite"], per["short"])
		if per["infinite"] > per["short"]+64<<10 {
			t.Error("an infinite body takes more than 64 KiB")
		}
	}})
}

// TestHTTP2AnswersOneByOne: as many attempts as an endpoint gets at a time are under way on one connection when the first
// of them is answered. Long answers to all of them are no flood.
func TestHTTP2AnswersOneByOne(t *testing.T) {
	const n = 64
	a := newAuthority(t)
	var posts atomic.Int32
	there, turn := make(chan struct{}), make(chan struct{}, n)
	url := secureServer(t, &tls.Config{Certificates: []tls.Certificate{a.issue(t, nil)}}, func(w http.ResponseWriter, _ *http.Request) {
		switch i := posts.Add(1); {
		case i == n+1:
			close(there)
		case i == 1, i > n+1:
			return
		default:
			<-there
			<-turn
		}
		_, _ = w.Write(make([]byte, maxDrain))
	})
	p := &Policy{MaxInFlight: n, RootCAs: a.pool}
	e, s := compile(t, p, endpoints.Endpoint{URL: url, HTTP2: true, Timeout: patience}), senderOf(t, p)
	require(t, deliver(t, s, e), "success 200")
	var answers [n]core.Answer
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			answers[i] = deliver(t, s, e)
			turn <- struct{}{}
		})
	}
	all.Wait()
	for _, got := range answers {
		require(t, got, "success 200")
	}
	if got := posts.Load(); got != n+1 {
		t.Errorf("%d requests for %d attempts", got, n+1)
	}
}
