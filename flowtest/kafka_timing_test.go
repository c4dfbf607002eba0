package flowtest

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// soon is a campaign of an absence that is over in seconds.
const soon = `
id: soon
trigger: {type: inaction_within_time, did: cart_add, did_not: checkout, within: %s}
webhook: {endpoint: shop}
`

// newSoon is a stage with that campaign and a receiver.
func newSoon(t *testing.T, prefix string, within time.Duration) (*stage, *hooks) {
	t.Helper()
	s := newStage(t, prefix, "")
	r := newHooks(t)
	s.endpoint("shop", r.URL, "")
	s.write("campaigns/soon.yaml", fmt.Sprintf(soon, within))
	return s, r
}

// event writes one event to partition 0 at its own time.
func (s *stage) event(user, kind string, at time.Time) {
	s.t.Helper()
	r := &kgo.Record{
		Topic: s.input, Key: []byte(user), Timestamp: at,
		Value: fmt.Appendf(nil, `{"type":%q,"id":"%s-%s-%d","time":%d}`, kind, user, kind, at.UnixMilli(), at.UnixMilli()),
	}
	if err := s.client.ProduceSync(s.within(30*time.Second), r).FirstErr(); err != nil {
		s.t.Fatal(err)
	}
}

// judged waits until the processors have come to the end of partition 0.
func (s *stage) judged() {
	s.t.Helper()
	end := s.ends()[0]
	s.await("partition 0 is judged", time.Minute, func() (bool, string) {
		offsets, err := s.adm.FetchOffsets(s.t.Context(), s.prefix+".processor")
		at, ok := offsets.Lookup(s.input, 0)
		return ok && at.At == end, fmt.Sprintf("at %d of %d, %v", at.At, end, err)
	})
}

// users are those with a fire on the webhooks topic.
func (s *stage) users() map[string]fire {
	byUser := map[string]fire{}
	for _, f := range s.fires() {
		byUser[f.User] = f
	}
	return byUser
}

// TestFlowIdle: one event and then silence; the absence is told within 4 s of its end, by the wall clock alone. The log
// of the partition ends in a transaction that was aborted, which is nothing to wait for.
func TestFlowIdle(t *testing.T) {
	const within = 3 * time.Second
	s, r := newSoon(t, "idle", within)
	s.processor("processor")
	s.sink("sink")
	s.event("warm", "nothing", time.Now()) // both are up and at rest before it is measured
	s.judged()
	s.event("ada", "cart_add", time.Now().Add(-time.Minute))
	s.await("the first webhook is received", time.Minute, func() (bool, string) {
		ids, _ := r.received()
		return ids == 1, fmt.Sprintf("%d ids", ids)
	})
	at := time.Now()
	s.event("bob", "cart_add", at)
	s.abort("idle", &kgo.Record{Topic: s.input, Key: []byte("bob"), Value: []byte(`{"type":"checkout"}`)})
	s.await("the second webhook is received", within+20*time.Second, func() (bool, string) {
		ids, _ := r.received()
		return ids == 2, fmt.Sprintf("%d ids", ids)
	})
	fired := s.users()
	came, ok := r.at(fired["bob"].ID)
	if !ok {
		t.Fatalf("bob's webhook was not received; fired: %v", fired)
	}
	delay := came.Sub(at.Add(within))
	t.Logf("received %s after the end of the absence", delay.Round(time.Millisecond))
	if delay < 0 || delay > 4*time.Second {
		t.Errorf("received %s after the end of the absence, want within 4 s", delay)
	}
	r.check(t, s.fires())
}

// TestFlowBacklog: a processor that is down across a deadline reads what happened in the meantime before it decides.
func TestFlowBacklog(t *testing.T) {
	const within = 8 * time.Second
	s, r := newSoon(t, "backlog", within)
	down := s.processor("processor")
	s.sink("sink")
	s.event("warm", "nothing", time.Now())
	s.judged()
	at := time.Now()
	s.event("ada", "cart_add", at)
	s.event("bob", "cart_add", at)
	s.judged()
	down.stop(t)
	s.event("ada", "checkout", time.Now())
	if late := time.Since(at); late >= within {
		t.Fatalf("a stop took %s: the deadline had passed before the checkout", late)
	}
	<-time.After(time.Until(at.Add(within + 4*time.Second))) // deadline, lateness and grace are over
	s.processor("processor")
	s.await("the one who stayed away has fired", time.Minute, func() (bool, string) {
		ids, _ := r.received()
		return ids > 0, fmt.Sprintf("%d ids", ids)
	})
	fired := s.users()
	if _, ok := fired["bob"]; !ok || len(fired) != 1 {
		t.Errorf("fired: %v, want bob alone: ada's checkout was in the backlog", fired)
	}
	r.check(t, s.fires())
}
