package stream

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// receiver is the endpoint of the webhooks: an http.RoundTripper, for a bubble has no sockets.
type receiver struct {
	mu      sync.Mutex
	answers []string // the next ones, the last for good; guarded by mu
	hits    []hit    // guarded by mu
}

// hit is one request that reached the receiver.
type hit struct {
	at      time.Time
	id      string // webhook-id
	attempt string
	answer  string
	body    body
}

// body is what a timeline tells of the native body.
type body struct {
	Campaign string    `json:"campaign"`
	User     string    `json:"user"`
	Key      string    `json:"key"`
	At       time.Time `json:"at"`
	LateBy   int64     `json:"late_by_ms"`
	Trigger  struct {
		Slot   string `json:"slot"`
		Anchor struct {
			ID string `json:"id"`
		} `json:"anchor"`
	} `json:"trigger"`
}

func newReceiver() *receiver { return &receiver{answers: []string{"200"}} }

// answer sets what is answered from now on: status codes, or `hangs`.
func (r *receiver) answer(answers []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answers = answers
}

// RoundTrip implements http.RoundTripper.
func (r *receiver) RoundTrip(req *http.Request) (*http.Response, error) {
	h := hit{at: time.Now(), id: req.Header.Get("webhook-id"), attempt: req.Header.Get("vigil-attempt")}
	text, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &h.body); err != nil {
		return nil, fmt.Errorf("the body is no native one: %w", err)
	}
	h.answer = r.note(h)
	if h.answer == "hangs" {
		<-req.Context().Done()
		return nil, req.Context().Err()
	}
	status, err := strconv.Atoi(h.answer)
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("")), Request: req}, nil
}

// note keeps a request and says how it is answered.
func (r *receiver) note(h hit) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	h.answer = r.answers[0]
	if len(r.answers) > 1 {
		r.answers = r.answers[1:]
	}
	r.hits = append(r.hits, h)
	return h.answer
}

// since are the requests from the n-th on.
func (r *receiver) since(n int) []hit {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]hit(nil), r.hits[n:]...)
}

func (r *receiver) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hits = nil
}
