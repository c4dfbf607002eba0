package live

import (
	"fmt"
	"hash/maphash"
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

const shownWrong = 10 // requests that were not as they must be

// Receiver takes webhooks, checks every signature and counts ids.
type Receiver struct {
	URL    string
	Signer *webhook.Signer
	seed   maphash.Seed

	mu     sync.Mutex
	calls  map[string]*call // by webhook-id; guarded by mu
	bad    int              // requests that were not as they must be; guarded by mu
	wrongs []string         // the first of them; guarded by mu
}

// call is what came under one id.
type call struct {
	count int
	first time.Time
	body  uint64 // hash
}

// NewReceiver listens on the loopback until the test ends and answers 204.
func NewReceiver(t *testing.T) *Receiver {
	t.Helper()
	signer, err := webhook.NewSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	r := &Receiver{Signer: signer, seed: maphash.MakeSeed(), calls: map[string]*call{}}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	r.URL = server.URL
	return r
}

// ServeHTTP implements http.Handler.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.note(req)
	w.WriteHeader(http.StatusNoContent)
}

func (r *Receiver) note(req *http.Request) {
	body, err := io.ReadAll(io.LimitReader(req.Body, 2<<20))
	if err != nil {
		return // the sender is gone in mid-request: it sends it again
	}
	err = r.Signer.Verify(req.Header.Get, body, time.Now())
	id, hash := req.Header.Get(webhook.IDHeader), maphash.Bytes(r.seed, body)
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.calls[id]
	if c == nil {
		c = &call{first: time.Now(), body: hash}
		r.calls[id] = c
	}
	c.count++
	if err == nil && c.body != hash {
		err = fmt.Errorf("attempt %d has another body than the first", c.count)
	}
	if err == nil {
		return
	}
	if r.bad++; len(r.wrongs) < shownWrong {
		r.wrongs = append(r.wrongs, fmt.Sprintf("%s %s, webhook-id %q: %v", req.Method, req.URL, id, err))
	}
}

// Received is how many ids came, and how many requests beyond the first of each.
func (r *Receiver) Received() (ids, repeats int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.calls {
		repeats += c.count - 1
	}
	return len(r.calls), repeats
}

// Wrong is how many requests were not signed, or changed from one attempt to the next, and what was wrong with the first
// of them.
func (r *Receiver) Wrong() (n int, first []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.bad, r.wrongs
}

// At is when an id came first; false where it did not.
func (r *Receiver) At(id string) (time.Time, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.calls[id]
	if c == nil {
		return time.Time{}, false
	}
	return c.first, true
}

// SameBody tells whether an id came with that body.
func (r *Receiver) SameBody(id string, body []byte) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.calls[id] != nil && r.calls[id].body == maphash.Bytes(r.seed, body)
}

// Against holds the ids received against those of want: which of want are missing, and which are not of want.
func (r *Receiver) Against(want map[string]Fire) (missing []Fire, strange []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id := range r.calls {
		if _, ok := want[id]; !ok {
			strange = append(strange, id)
		}
	}
	for id, f := range want {
		if r.calls[id] == nil {
			missing = append(missing, f)
		}
	}
	return missing, strange
}

// Check wants every request signed, and the ids to be exactly those of want.
func (r *Receiver) Check(t *testing.T, want map[string]Fire) {
	t.Helper()
	_, wrong := r.Wrong()
	for _, w := range wrong {
		t.Errorf("received: %s", w)
	}
	missing, strange := r.Against(want)
	for _, id := range strange[:min(5, len(strange))] {
		t.Errorf("received %s, which is not expected", id)
	}
	for _, f := range missing[:min(5, len(missing))] {
		t.Errorf("not received: %s", f)
	}
	if len(strange)+len(missing) > 0 {
		ids, _ := r.Received()
		t.Errorf("received %d ids, %d expected: %d are missing, %d are not expected", ids, len(want), len(missing), len(strange))
	}
}
