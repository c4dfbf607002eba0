package flowtest

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"vigil/webhook"
)

const (
	secretName = "FLOW_SECRET"
	secret     = "whsec_" + "Zmxvd3Rlc3QtZmxvd3Rlc3QtZmxvd3Rlc3QtZmxvd3Q="
)

// hooks takes webhooks, checks every signature and counts ids.
type hooks struct {
	URL    string
	signer *webhook.Signer

	mu     sync.Mutex
	counts map[string]int       // by webhook-id; guarded by mu
	first  map[string]time.Time // when an id came first; guarded by mu
	wrong  []string             // the first requests that were not as they must be; guarded by mu
}

// newHooks listens on the loopback until the test ends and answers 204.
func newHooks(t *testing.T) *hooks {
	t.Helper()
	signer, err := webhook.NewSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	r := &hooks{signer: signer, counts: map[string]int{}, first: map[string]time.Time{}}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	r.URL = server.URL
	return r
}

// ServeHTTP implements http.Handler.
func (r *hooks) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.note(req)
	w.WriteHeader(http.StatusNoContent)
}

func (r *hooks) note(req *http.Request) {
	body, err := io.ReadAll(io.LimitReader(req.Body, 2<<20))
	if err == nil {
		err = r.signer.Verify(req.Header.Get, body, time.Now())
	}
	id := req.Header.Get(webhook.IDHeader)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil && len(r.wrong) < 10 {
		r.wrong = append(r.wrong, fmt.Sprintf("%s %s, webhook-id %q: %v", req.Method, req.URL, id, err))
	}
	if r.counts[id]++; r.counts[id] == 1 {
		r.first[id] = time.Now()
	}
}

// received is how many ids came, and how many requests beyond the first of each.
func (r *hooks) received() (ids, repeats int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range r.counts {
		repeats += n - 1
	}
	return len(r.counts), repeats
}

// at is when an id came first; false where it did not.
func (r *hooks) at(id string) (time.Time, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	when, ok := r.first[id]
	return when, ok
}

// check wants every request signed, and the ids to be exactly those of want.
func (r *hooks) check(t *testing.T, want map[string]fire) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, w := range r.wrong {
		t.Errorf("received: %s", w)
	}
	strange := 0
	for id := range r.counts {
		if _, ok := want[id]; !ok {
			if strange++; strange <= 5 {
				t.Errorf("received %s, which is not expected", id)
			}
		}
	}
	missing := 0
	for id, f := range want {
		if r.counts[id] == 0 {
			if missing++; missing <= 5 {
				t.Errorf("not received: %s", f)
			}
		}
	}
	if strange+missing > 0 {
		t.Errorf("received %d ids, %d expected: %d are missing, %d are not expected", len(r.counts), len(want), missing, strange)
	}
}
