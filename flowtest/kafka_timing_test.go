package flowtest

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/flowtest/live"
)

// soon is a campaign of an absence that is over in seconds.
const soon = `
id: soon
trigger: {type: inaction_within_time, did: cart_add, did_not: checkout, within: %s}
webhook: {endpoint: shop}
`

// newSoon is a stage with that campaign and a receiver.
func newSoon(t *testing.T, prefix string, within time.Duration) (*stage, *live.Receiver) {
	t.Helper()
	s := newStage(t, prefix, "")
	r := live.NewReceiver(t)
	s.Endpoint("shop", r.URL, "")
	s.Write("campaigns/soon.yaml", fmt.Sprintf(soon, within))
	return s, r
}

// event writes one event to partition 0 at its own time.
func (s *stage) event(user, kind string, at time.Time) {
	s.T.Helper()
	r := &kgo.Record{
		Topic: s.Input, Key: []byte(user), Timestamp: at,
		Value: fmt.Appendf(nil, `{"type":%q,"id":"%s-%s-%d","time":%d}`, kind, user, kind, at.UnixMilli(), at.UnixMilli()),
	}
	if err := s.Client.ProduceSync(s.Within(patience), r).FirstErr(); err != nil {
		s.T.Fatal(err)
	}
}

// judged waits until the processors have come to the end of partition 0.
func (s *stage) judged() {
	s.T.Helper()
	end := s.Ends()[0]
	s.Await("partition 0 is judged", patience, func() (bool, string) {
		offsets, err := s.Adm.FetchOffsets(s.T.Context(), s.Prefix+".processor")
		at, ok := offsets.Lookup(s.Input, 0)
		return ok && at.At == end, fmt.Sprintf("at %d of %d, %v", at.At, end, err)
	})
}

// users are those with a fire on the webhooks topic.
func (s *stage) users() map[string]live.Fire {
	byUser := map[string]live.Fire{}
	for _, f := range s.Fires() {
		byUser[f.User] = f
	}
	return byUser
}

// TestGateG4IdleOnKafka: one event and then silence; the absence is told within 4 s of its end, by the wall clock alone. The log
// of the partition ends in a transaction that was aborted, which is nothing to wait for.
func TestGateG4IdleOnKafka(t *testing.T) {
	const within = 3 * time.Second
	s, r := newSoon(t, "idle", within)
	s.Processor("processor")
	s.Sink("sink")
	s.event("warm", "nothing", time.Now()) // both are up and at rest before it is measured
	s.judged()
	s.event("ada", "cart_add", time.Now().Add(-time.Minute))
	s.Await("the first webhook is received", patience, func() (bool, string) {
		ids, _ := r.Received()
		return ids == 1, fmt.Sprintf("%d ids", ids)
	})
	at := time.Now()
	s.event("bob", "cart_add", at)
	s.Abort("idle", &kgo.Record{Topic: s.Input, Key: []byte("bob"), Value: []byte(`{"type":"checkout"}`)})
	s.Await("the second webhook is received", patience, func() (bool, string) {
		ids, _ := r.Received()
		return ids == 2, fmt.Sprintf("%d ids", ids)
	})
	fired := s.users()
	came, ok := r.At(fired["bob"].ID)
	if !ok {
		t.Fatalf("bob's webhook was not received; fired: %v", fired)
	}
	delay := came.Sub(at.Add(within))
	t.Logf("received %s after the end of the absence", delay.Round(time.Millisecond))
	if delay < 0 || delay > 4*time.Second {
		t.Errorf("received %s after the end of the absence, want within 4 s", delay)
	}
	r.Check(t, s.Fires())
}

// TestGateG3BacklogOnKafka: a processor that is down across a deadline reads what happened in the meantime before it decides.
func TestGateG3BacklogOnKafka(t *testing.T) {
	const within = 20 * time.Second
	s, r := newSoon(t, "backlog", within)
	down := s.Processor("processor")
	s.Sink("sink")
	s.event("warm", "nothing", time.Now())
	s.judged()
	at := time.Now()
	s.event("ada", "cart_add", at)
	s.event("bob", "cart_add", at)
	s.judged()
	down.Stop(t)
	s.event("ada", "checkout", time.Now())
	if late := time.Since(at); late >= within {
		t.Fatalf("a stop took %s: the deadline had passed before the checkout", late)
	}
	<-time.After(time.Until(at.Add(within + 4*time.Second))) // deadline, lateness and grace are over
	s.Processor("processor")
	s.Await("the one who stayed away has fired", patience, func() (bool, string) {
		ids, _ := r.Received()
		return ids > 0, fmt.Sprintf("%d ids", ids)
	})
	fired := s.users()
	if _, ok := fired["bob"]; !ok || len(fired) != 1 {
		t.Errorf("fired: %v, want bob alone: ada's checkout was in the backlog", fired)
	}
	r.Check(t, s.Fires())
}
