package sink_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"vigil/config/endpoints"
	"vigil/kafka"
	"vigil/sink"
)

func TestRefusedOutcomeEndsTheSinkAndLosesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		fault := b.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: topics.Attempts, Err: kerr.TopicAuthorizationFailed, Count: -1})
		s, err := sink.New(b.cfg, sink.Deps{Log: zerolog.Nop()})
		if err != nil {
			t.Fatal(err)
		}
		b.put(fire("a1"))
		if err := s.Run(t.Context()); err == nil || !strings.Contains(err.Error(), topics.Attempts) {
			t.Errorf("Run: %v", err)
		}
		if n := b.unfinished(topics.Webhooks); n != 1 {
			t.Errorf("%d offsets open, want 1", n)
		}
		fault.Remove()
		stop := b.start()
		b.pass(10 * time.Second)
		stop()
		want(t, "attempts", b.attempts(), []string{"1 delivered"})
	})
}

func TestBrokersThatTakeNothingForAWhile(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		fault := b.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: topics.Attempts, Err: kerr.NotEnoughReplicas, Count: -1})
		stop := b.start()
		b.put(fire("a1"), fire("a2"))
		b.pass(20 * time.Second)
		if n := b.unfinished(topics.Webhooks); n != 2 {
			t.Errorf("%d offsets open while no outcome is written, want 2", n)
		}
		fault.Remove()
		b.pass(20 * time.Second)
		if n := b.unfinished(topics.Webhooks); n != 0 {
			t.Errorf("%d offsets open afterwards", n)
		}
		stop()
		want(t, "attempts", b.attempts(), []string{"1 delivered", "1 delivered"})
	})
}

func TestStopWhileBrokersTakeNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		fault := b.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: topics.Attempts, Err: kerr.NotEnoughReplicas, Count: -1})
		stop := b.start()
		b.put(fire("a1"))
		b.pass(2 * time.Second)
		begin := time.Now()
		stop()
		if took := time.Since(begin); took > 30*time.Second {
			t.Errorf("stopped after %v", took)
		}
		fault.Remove()
		if n := b.unfinished(topics.Webhooks); n != 1 {
			t.Errorf("%d offsets open, want 1", n)
		}
	})
}

func TestStopWaitsForWhatIsInFlight(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.respond = func(_ int, r *http.Request) (*http.Response, error) {
			select {
			case <-time.After(4 * time.Second):
				return answer(200), nil
			case <-r.Context().Done():
				return nil, r.Context().Err()
			}
		}
		stop := b.start()
		b.put(fire("a1"))
		b.pass(time.Second)
		stop()
		want(t, "attempts", b.attempts(), []string{"1 delivered"})
		if n := b.unfinished(topics.Webhooks); n != 0 {
			t.Errorf("%d offsets not committed", n)
		}
	})
}

// TestMembersComeAndGo: partitions move while deliveries are in flight; each is sent once, all offsets are committed.
// It runs on the real clock: a client waits for a rebalance on locks, which stop a bubble.
func TestMembersComeAndGo(t *testing.T) {
	b := newBench(t, nil, kgo.HeartbeatInterval(50*time.Millisecond))
	b.respond = func(_ int, r *http.Request) (*http.Response, error) {
		select {
		case <-time.After(30 * time.Millisecond):
			return answer(200), nil
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	sent := 0
	put := func(n int) {
		for range n {
			d := fire(fmt.Sprint("f", sent))
			b.putRecord(&kgo.Record{Topic: topics.Webhooks, Partition: int32(sent % 2), Value: d.Encode()})
			sent++
			b.pass(5 * time.Millisecond)
		}
	}
	stopFirst := b.start()
	put(50)
	stopSecond := b.start()
	put(100)
	stopFirst()
	put(50)
	stopThird := b.start()
	put(100)
	b.settle(topics.Webhooks)
	stopSecond()
	stopThird()
	b.wantEachOnce(sent)
}

func TestManyDeliveries(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		stop := b.start()
		for i := range 3000 {
			b.put(fire(fmt.Sprint("f", i)))
		}
		b.pass(5 * time.Second)
		stop()
		count := map[string]int{}
		for _, h := range b.seen() {
			count[h.id]++
		}
		if len(count) != 3000 || len(b.seen()) != 3000 {
			t.Errorf("%d deliveries in %d requests", len(count), len(b.seen()))
		}
		if n := b.unfinished(topics.Webhooks); n != 0 {
			t.Errorf("%d offsets not committed", n)
		}
	})
}

func TestMissingTopic(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.cfg.Topics.Parked = "vigil.nowhere"
		s, err := sink.New(b.cfg, sink.Deps{Log: zerolog.Nop()})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "vigil.nowhere") || !strings.Contains(err.Error(), "vigil topics create") {
			t.Errorf("Run: %v", err)
		}
		if err := s.Run(t.Context()); err == nil {
			t.Error("Run twice")
		}
	})
}

func TestTopicsAreThoseOfTheCluster(t *testing.T) {
	n := kafka.Names("p")
	want := sink.Topics{
		Webhooks: n.Webhooks, Retry1: n.Retry1, Retry2: n.Retry2, Parked: n.Parked, Attempts: n.Attempts, DeadLetters: n.DeadWebhooks, Endpoints: n.Endpoints,
	}
	if got := sink.TopicsOf("p"); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestNewRefuses(t *testing.T) {
	for name, cfg := range map[string]sink.Config{
		"no group": {Topics: topics},
		"no topic": {Group: "g"},
		"endpoint": {Group: "g", Topics: topics, Endpoints: []endpoints.Endpoint{{Name: "a", URL: "http://a.example"}}},
	} {
		if _, err := sink.New(cfg, sink.Deps{}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	registry := prometheus.NewRegistry()
	for i := range 2 {
		_, err := sink.New(sink.Config{Group: "g", Topics: topics}, sink.Deps{Registry: registry})
		if (err == nil) != (i == 0) {
			t.Errorf("sink %d on one registry: %v", i+1, err)
		}
	}
}

// TestMetrics: what happened is on the metrics, and every child exists before it happens.
func TestMetrics(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		registry := prometheus.NewRegistry()
		s, err := sink.New(b.cfg, sink.Deps{Log: b.log, Registry: registry, Rand: rand.New(zero{})})
		if err != nil {
			t.Fatal(err)
		}
		b.respond = func(n int, _ *http.Request) (*http.Response, error) {
			return answer(map[bool]int{true: 200, false: 404}[n == 1]), nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		b.put(fire("a1"))
		b.pass(time.Second)
		b.put(fire("a2"))
		b.pass(time.Second)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		got := gathered(t, registry)
		for name, value := range map[string]float64{
			"vigil_sink_attempts_total 2xx": 1, "vigil_sink_attempts_total 4xx": 1, "vigil_sink_attempts_total timeout": 0,
			"vigil_sink_outcomes_total delivered": 1, "vigil_sink_outcomes_total dead": 1, "vigil_sink_dead_letters_total permanent": 1,
			"vigil_sink_dead_letters_total poison": 0, "vigil_sink_in_flight": 0, "vigil_sink_oldest_unfinished_seconds first": 0,
		} {
			if v, ok := got[name]; !ok || v != value {
				t.Errorf("%s: %v, want %v", name, v, value)
			}
		}
		if log := b.text.Text(); strings.Count(log, `"message":"delivery"`) != 2 || strings.Contains(log, "a1\"}") && strings.Contains(log, `{"fire"`) {
			t.Errorf("log:\n%s", log)
		}
	})
}

// TestFullLanesPauseAndResume: more than the lanes hold, at an endpoint that is slow but steady.
func TestFullLanesPauseAndResume(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.cfg.MaxInFlight = 8 // the common limit is the bottleneck: nothing may be parked
		b.respond = func(_ int, r *http.Request) (*http.Response, error) {
			<-time.After(10 * time.Millisecond)
			return answer(200), nil
		}
		const n = 9000
		for i := range n {
			b.client.Produce(t.Context(), &kgo.Record{Topic: topics.Webhooks, Value: fire(fmt.Sprint("f", i)).Encode()}, nil)
		}
		if err := b.client.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		stop := b.start()
		b.pass(15 * time.Second)
		stop()
		if sent, parked := len(b.seen()), len(b.read(topics.Parked)); sent != n || parked != 0 {
			t.Errorf("%d of %d sent, %d parked", sent, n, parked)
		}
		if open := b.unfinished(topics.Webhooks); open != 0 {
			t.Errorf("%d offsets not committed", open)
		}
	})
}
