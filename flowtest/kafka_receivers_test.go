package flowtest

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vigil/flowtest/live"
	"vigil/webhook"
)

// receiverCase is a receiver of a kind, and what must become of the one webhook that it gets.
type receiverCase struct {
	name     string
	endpoint string           // more lines of its endpoints file
	answer   http.HandlerFunc // nil: it must not be asked
	want     []string         // attempts: number, outcome, status, first word of the reason
	dead     string           // reason code of the dead letter; empty for none
	apart    time.Duration    // least time between the first two attempts
}

// receiverCases are rows of the outcome table (delivery 3). elsewhere is where one of them redirects to.
func receiverCases(elsewhere string) []receiverCase {
	const quick = "timeout: 30s\nretry_delays: [1s, 2s]\n" // an answer may take its time on a busy machine
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	var busy, flaky atomic.Int32
	return []receiverCase{
		{
			name: "flaky", endpoint: quick, apart: time.Second,
			answer: func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(map[bool]int{true: 500, false: 200}[flaky.Add(1) == 1])
			},
			want: []string{"1 retry 500 http_500", "2 delivered 200 "},
		},
		{
			name: "busy", endpoint: quick, apart: 3 * time.Second,
			answer: func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After", "3")
				w.WriteHeader(map[bool]int{true: 503, false: 204}[busy.Add(1) == 1])
			},
			want: []string{"1 retry 503 http_503", "2 delivered 204 "},
		},
		{
			name: "hangs", endpoint: strings.Replace(quick, "30s", "1s", 1), apart: time.Second, dead: "exhausted",
			answer: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
			want:   []string{"1 retry 0 timeout", "2 retry 0 timeout", "3 dead 0 timeout"},
		},
		{
			name: "broken", endpoint: quick + "retries: 1\n", apart: time.Second, dead: "exhausted", answer: status(502),
			want: []string{"1 retry 502 http_502", "2 dead 502 http_502"},
		},
		{
			name: "redirects", endpoint: quick, dead: "permanent",
			answer: func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, elsewhere, http.StatusTemporaryRedirect)
			},
			want: []string{"1 dead 307 http_307"},
		},
		{name: "gone", endpoint: quick, dead: "permanent", answer: status(410), want: []string{"1 dead 410 http_410"}},
		{name: "refuses", endpoint: quick, dead: "permanent", answer: status(400), want: []string{"1 dead 400 http_400"}},
		{name: "private", endpoint: quick, dead: "blocked", want: []string{"0 dead 0 blocked"}},
	}
}

// TestFlowReceivers: receivers of all kinds, each by the outcome table, as seen in the delivery log.
func TestFlowReceivers(t *testing.T) {
	s := newStage(t, "receivers", "")
	var elsewhere, uncalled atomic.Int32
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	t.Cleanup(target.Close)
	cases := receiverCases(target.URL)
	mux := http.NewServeMux()
	for _, c := range cases {
		answer := c.answer
		if answer == nil {
			answer = func(http.ResponseWriter, *http.Request) { uncalled.Add(1) }
		}
		mux.HandleFunc("/"+c.name, answer)
	}
	calls := &signedCalls{next: mux, signer: live.NewReceiver(t).Signer}
	server := httptest.NewServer(calls)
	t.Cleanup(server.Close)
	want, letters := 0, 0
	for _, c := range cases {
		to := "endpoint: " + c.name
		if c.answer == nil { // an endpoint with such an address would be refused at once
			to = "url: " + strings.Replace(server.URL, "http:", "https:", 1) + "/" + c.name
		}
		s.Endpoint(c.name, server.URL+"/"+c.name, c.endpoint)
		s.Write("campaigns/"+c.name+".yaml", fmt.Sprintf("id: %s\ntrigger: {type: single_action, did: %s}\nwebhook: {%s}\n", c.name, c.name, to))
		want += len(c.want)
		if c.dead != "" {
			letters++
		}
	}
	s.Processor("processor")
	s.Sink("sink")
	for _, c := range cases {
		s.event("ada", c.name, time.Now())
	}
	var log map[string][]*webhook.Attempt
	var dead map[string][]string
	s.Await("every delivery has ended", patience, func() (bool, string) {
		log, dead = s.attempts(), s.deadWebhooks()
		n := 0
		for _, list := range log {
			n += len(list)
		}
		return n >= want && len(dead) >= letters, fmt.Sprintf("%d of %d attempts, %d of %d dead letters", n, want, len(dead), letters)
	})
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { c.check(t, log[c.name], dead[c.name]) })
	}
	if n := elsewhere.Load() + uncalled.Load(); n != 0 {
		t.Errorf("%d requests reached addresses that nothing may be sent to", n)
	}
	calls.check(t)
}

// check compares what became of the webhook with the table.
func (c *receiverCase) check(t *testing.T, log []*webhook.Attempt, dead []string) {
	t.Helper()
	var got []string
	for _, a := range log {
		reason, _, _ := strings.Cut(a.Reason, " ")
		got = append(got, fmt.Sprintf("%d %s %d %s", a.Attempt, a.Outcome, a.Status, strings.TrimRight(reason, ":")))
	}
	if diff := cmp.Diff(c.want, got); diff != "" {
		t.Errorf("attempts (-want +got):\n%s", diff)
	}
	var letters []string
	if c.dead != "" {
		letters = []string{c.dead}
	}
	if diff := cmp.Diff(letters, dead); diff != "" {
		t.Errorf("dead letters (-want +got):\n%s", diff)
	}
	if c.apart == 0 || len(log) < 2 {
		return
	}
	if apart := log[1].At.Sub(log[0].At); apart < c.apart || apart > c.apart+10*time.Second {
		t.Errorf("the second attempt came %s after the first, want %s", apart, c.apart)
	}
	if next := log[0].NextAt; next == nil || log[1].At.Before(*next) {
		t.Errorf("next_at is %v, the second attempt was at %v", next, log[1].At)
	}
}

// attempts is the delivery log by campaign, in the order of attempts.
func (s *stage) attempts() map[string][]*webhook.Attempt {
	s.T.Helper()
	log := map[string][]*webhook.Attempt{}
	for _, r := range s.Read(s.Topics.Attempts) {
		a, err := webhook.DecodeAttempt(r.Value)
		if err != nil {
			s.T.Fatal(err)
		}
		if string(r.Key) != a.FireID {
			s.T.Errorf("the key of an attempt of %s is %q", a.FireID, r.Key)
		}
		log[a.Campaign] = append(log[a.Campaign], a)
	}
	for _, list := range log {
		slices.SortStableFunc(list, func(a, b *webhook.Attempt) int { return a.At.Compare(b.At) })
	}
	return log
}

// deadWebhooks are the reason codes of the sink's dead letters by campaign; each must be a delivery as it was.
func (s *stage) deadWebhooks() map[string][]string {
	s.T.Helper()
	dead := map[string][]string{}
	for _, r := range s.Read(s.Topics.DeadWebhooks) {
		d, err := webhook.DecodeDelivery(r.Value)
		if err != nil {
			s.T.Fatal(err)
		}
		dead[d.Campaign] = append(dead[d.Campaign], headerOf(r, "x-reason-code"))
		if place := headerOf(r, "__connect.errors.topic"); !strings.HasPrefix(place, s.Topics.Webhooks) {
			s.T.Errorf("the dead letter of %s comes from %q", d.Campaign, place)
		}
	}
	return dead
}

// signedCalls reads and verifies every request, and wants its webhook-id to be that of the first to the same path: all
// attempts at a delivery carry one id.
type signedCalls struct {
	next   http.Handler
	signer *webhook.Signer

	mu    sync.Mutex
	ids   map[string]string // by path; guarded by mu
	wrong []string          // guarded by mu
}

// ServeHTTP implements http.Handler.
func (s *signedCalls) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 2<<20))
	if err == nil {
		err = s.signer.Verify(r.Header.Get, body, time.Now())
	}
	s.note(r.URL.Path, r.Header.Get(webhook.IDHeader), err)
	s.next.ServeHTTP(w, r)
}

func (s *signedCalls) note(path, id string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ids == nil {
		s.ids = map[string]string{}
	}
	if err != nil {
		s.wrong = append(s.wrong, fmt.Sprintf("%s: %v", path, err))
	}
	if first, known := s.ids[path]; known && first != id {
		s.wrong = append(s.wrong, fmt.Sprintf("%s: webhook-id %s after %s", path, id, first))
	}
	s.ids[path] = id
}

func (s *signedCalls) check(t *testing.T) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.wrong {
		t.Errorf("received %s", w)
	}
}
