package processor_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// What the rule book asks to be counted without a decision is a metric (semantics 2.1, 2.6, 2.11).
func TestCountsWithoutDecision(t *testing.T) {
	s := newStage(t, onBuy)
	cfg := s.config("a")
	reg := prometheus.NewRegistry()
	cfg.Registerer = reg
	s.start(cfg)
	now := time.Now()
	event := func(kind, id string, at time.Time, props string) {
		value := fmt.Sprintf(`{"type":%q,"id":%q,"time":%d,"properties":%s}`, kind, id, at.UnixMilli(), props)
		s.raw("events", []byte("ada"), []byte(value), now)
	}
	event("buy", "e1", now.Add(10*time.Minute), "{}") // ahead of its record
	event("$erase", "e2", now, "{}")
	event("buy", "e3", now.Add(-time.Minute), "{}") // from before the erasure
	half := make([]byte, 600_000)
	for i := range half {
		half[i] = 'x'
	}
	event("$profile", "e4", now.Add(time.Second), fmt.Sprintf(`{"set":{"a":"%s"}}`, half))
	event("$profile", "e5", now.Add(time.Second), fmt.Sprintf(`{"set":{"b":"%s"}}`, half)) // too large with the other
	event("buy", "e6", now.Add(2*time.Second), "{}")
	if n := len(s.fires(2)); n != 2 {
		t.Fatalf("%d fires, want 2", n)
	}
	event("buy", "e7", now.Add(3*time.Second), "{}") // of a transaction that begins when the counts of the one before are in
	s.fires(3)
	for _, name := range []string{"vigil_clock_skew_total", "vigil_events_ignored_total", "vigil_history_truncated_total"} {
		if n := counted(t, reg, name); n != 1 {
			t.Errorf("%s is %v, want 1", name, n)
		}
	}
}
