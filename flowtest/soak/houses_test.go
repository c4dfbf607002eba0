package soak

import (
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"time"

	"vigil/webhook"
)

// kind is how an endpoint behaves.
type kind uint8

const (
	well kind = iota
	endless
	slow
	hole
	refusing
	resetting
	broken
	flaky
	turning
	redirecting
	gone
	malformed
	trickling
	guest
	inline // no endpoint: an address of a campaign's own, which is refused
	kindCount
)

// habit is what a kind does, how many of it there are, and what its file says besides.
type habit struct {
	name    string
	count   int
	answer  func(r *run, h *house, w http.ResponseWriter, req *http.Request) // nil: nobody listens
	healthy bool                                                             // every delivery must arrive
	more    string                                                           // of its file
}

var habits = [kindCount]habit{
	well:        {"well", 14, (*run).answerSoon, true, ""},
	endless:     {"endless body", 2, (*run).answerOnAndOn, true, ""},
	slow:        {"slow (1 to 4 s)", 2, (*run).answerLate, false, ""},
	hole:        {"black hole", 2, (*run).answerNever, false, "timeout: 2s\n"},
	refusing:    {"refuses connections", 2, nil, false, ""},
	resetting:   {"resets in mid-answer", 2, (*run).answerHalf, false, ""},
	broken:      {"always 500", 2, (*run).answerFailure, false, ""},
	flaky:       {"30 % 503, Retry-After", 3, (*run).answerSometimes, false, ""},
	turning:     {"well and dead in turn", 4, (*run).answerInTurn, false, "timeout: 2s\n"},
	redirecting: {"redirect", 1, (*run).answerElsewhere, false, ""},
	gone:        {"410 gone", 1, (*run).answerGone, false, ""},
	malformed:   {"no HTTP", 1, (*run).answerNonsense, false, ""},
	trickling:   {"headers trickle", 2, (*run).answerByte, false, "timeout: 2s\n"},
	guest:       {"comes and goes", 2, (*run).answerSoon, false, ""},
	inline:      {"ever new hosts, refused", 0, nil, false, ""},
}

// house is one endpoint: a file, and a listener of its own.
type house struct {
	name   string
	kind   kind
	number int // among its kind
	url    string
	server *httptest.Server // nil: nobody listens
	edits  int              // of its file; owned by the goroutine that changes endpoints
}

// house makes one; on the loopback, ports tell hosts apart.
func (r *run) house(name string, k kind, number int) *house {
	h := &house{name: name, kind: k, number: number, url: "http://127.0.0.1:1"} // nobody is there
	if answer := habits[k].answer; answer != nil {
		h.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if r.received(req) {
				answer(r, h, w, req)
			}
		}))
		h.url = h.server.URL
	}
	return h
}

// received checks a request and books it; false where the sender is gone in its middle.
func (r *run) received(req *http.Request) bool {
	body, err := io.ReadAll(io.LimitReader(req.Body, 1<<20))
	if err != nil {
		return false
	}
	if r.verifier.Load().Verify(req.Header.Get, body, time.Now()) != nil {
		r.unsigned.Add(1)
	}
	r.arrived(req.Header.Get(webhook.IDHeader), req.Header.Get("Vigil-Attempt"))
	return true
}

// close ends the server; connections that are in use end with it.
func (h *house) close() {
	if h.server != nil {
		h.server.CloseClientConnections()
		h.server.Close()
	}
}

// streetNow are the endpoints that there are now.
func (r *run) streetNow() []*house {
	r.street.RLock()
	defer r.street.RUnlock()
	return r.houses
}

// move replaces a house, or only adds one or takes one away where the other is nil.
func (r *run) move(out, in *house) {
	r.street.Lock()
	defer r.street.Unlock()
	left := slices.DeleteFunc(slices.Clone(r.houses), func(h *house) bool { return h == out })
	if in != nil {
		left = append(left, in)
	}
	r.houses = left
}

// pause waits, unless the sender goes away.
func pause(req *http.Request, d time.Duration) {
	select {
	case <-time.After(d):
	case <-req.Context().Done():
	}
}

func (r *run) answerSoon(_ *house, w http.ResponseWriter, req *http.Request) {
	pause(req, 10*time.Millisecond)
	w.WriteHeader(http.StatusNoContent)
}

func (r *run) answerOnAndOn(_ *house, w http.ResponseWriter, _ *http.Request) {
	piece := []byte(strings.Repeat("on and on ", 400))
	for {
		if _, err := w.Write(piece); err != nil {
			return
		}
	}
}

func (r *run) answerLate(_ *house, w http.ResponseWriter, req *http.Request) {
	pause(req, time.Second+rand.N(3*time.Second))
	w.WriteHeader(http.StatusNoContent)
}

func (r *run) answerNever(_ *house, _ http.ResponseWriter, req *http.Request) { <-req.Context().Done() }

// answerHalf begins an answer and resets the connection before its headers are complete.
func (r *run) answerHalf(_ *house, w http.ResponseWriter, _ *http.Request) {
	r.raw(w, func(c net.Conn) { _, _ = c.Write([]byte("HTTP/1.1 200 OK\r\ncontent-le")) })
}

func (r *run) answerFailure(_ *house, w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "no", http.StatusInternalServerError)
}

func (r *run) answerSometimes(h *house, w http.ResponseWriter, req *http.Request) {
	if rand.IntN(10) < 3 {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	r.answerSoon(h, w, req)
}

// answerInTurn is well for a while, then dead for as long: the even ones are silent then, the others say 500.
func (r *run) answerInTurn(h *house, w http.ResponseWriter, req *http.Request) {
	turn := int(time.Since(r.began)/r.turn) + h.number/2
	switch {
	case turn%2 == 0:
		r.answerSoon(h, w, req)
	case h.number%2 == 0:
		r.answerNever(h, w, req)
	default:
		r.answerFailure(h, w, req)
	}
}

func (r *run) answerElsewhere(_ *house, w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Location", "http://127.0.0.1:1/")
	w.WriteHeader(http.StatusFound)
}

func (r *run) answerGone(_ *house, w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusGone)
}

func (r *run) answerNonsense(_ *house, w http.ResponseWriter, _ *http.Request) {
	r.raw(w, func(c net.Conn) { _, _ = c.Write([]byte("220 mail.example.com ESMTP\r\n\r\n")) })
}

// answerByte sends a header that never ends.
func (r *run) answerByte(_ *house, w http.ResponseWriter, _ *http.Request) {
	r.raw(w, func(c net.Conn) {
		_, err := c.Write([]byte("HTTP/1.1 200 OK\r\nx-slow: "))
		for err == nil {
			<-time.After(200 * time.Millisecond)
			_, err = c.Write([]byte("."))
		}
	})
}

// raw takes the connection over for an answer that net/http would not give, and resets it behind that.
func (r *run) raw(w http.ResponseWriter, answer func(net.Conn)) {
	taken, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		r.must(err)
		return
	}
	answer(taken)
	_ = taken.(*net.TCPConn).SetLinger(0) // a connection that is closed already needs no reset
	_ = taken.Close()
}
