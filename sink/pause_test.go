package sink_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/config/endpoints"
	"vigil/sink/standing"
	"vigil/webhook"
)

// TestGoneEndpointIsPaused: a 410 ends its delivery, the next ones are parked without an attempt, after a restart too, and
// go out when the endpoint is resumed, or expire.
func TestGoneEndpointIsPaused(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.respond = func(n int, _ *http.Request) (*http.Response, error) {
			return answer(map[bool]int{true: 410, false: 200}[n == 1]), nil
		}
		stop := b.start()
		b.put(fire("a1"))
		b.pass(time.Second)
		soon := time.Now().Add(10 * time.Minute)
		b.put(fire("a2"), fire("a3", func(d *webhook.Delivery) { d.ExpiresAt = &soon }))
		b.pass(8 * time.Minute)
		stop()
		stop = b.start()
		b.put(fire("a4"))
		b.pass(8 * time.Minute)
		if n := len(b.seen()); n != 1 {
			t.Errorf("%d requests at an endpoint that is gone", n)
		}
		if n := b.unfinished(topics.Webhooks); n != 0 {
			t.Errorf("%d offsets wait for an endpoint", n)
		}
		if err := standing.Clear(t.Context(), b.client, topics.Endpoints, "shop"); err != nil {
			t.Fatal(err)
		}
		b.pass(7 * time.Minute)
		stop()
		got := b.attempts()
		slices.Sort(got)
		want(t, "attempts", got, []string{
			"0 expired expires_at has passed", "0 parked endpoint_paused", "0 parked endpoint_paused", "0 parked endpoint_paused",
			"1 dead http_410", "1 delivered", "1 delivered",
		})
		want(t, "dead letters", b.deadCodes(), []string{"permanent", "expired"})
		if log := b.text.Text(); strings.Count(log, "an endpoint is paused") != 1 || !strings.Contains(log, `"level":"error"`) {
			t.Error("the alert is not in the log, or not once")
		}
	})
}

// TestPausedByAnOperator: nothing is sent from the start, and what is in flight when the mark arrives ends as it ends.
func TestPausedByAnOperator(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.respond = func(_ int, r *http.Request) (*http.Response, error) {
			<-time.After(3 * time.Second)
			return answer(500), nil
		}
		stop := b.start()
		b.put(fire("a1"))
		b.pass(time.Second)
		mark := standing.Mark{Endpoint: "shop", State: standing.Paused, Reason: standing.Operator, At: time.Now()}
		if err := standing.Write(t.Context(), b.client, topics.Endpoints, mark); err != nil {
			t.Fatal(err)
		}
		b.pass(30 * time.Second)
		b.put(fire("a2"))
		b.pass(time.Minute)
		stop()
		want(t, "attempts", b.attempts(), []string{"1 retry http_500", "1 parked endpoint_paused", "0 parked endpoint_paused"})
	})
}

// TestADayOfFailuresPausesWithAnAlert: an endpoint that does nothing but fail is told to be failing after 5 min, and paused
// after 24 h, once, loudly; nothing is dropped, and what is parked goes out when it is resumed.
func TestADayOfFailuresPausesWithAnAlert(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.cfg.Endpoints[0].Retries = 0
		begin := time.Now()
		var resumed atomic.Bool
		b.respond = func(int, *http.Request) (*http.Response, error) {
			return answer(map[bool]int{true: 200, false: 500}[resumed.Load()]), nil
		}
		load := func(prefix string, d time.Duration) {
			stop := b.start()
			for i := range int(d / time.Minute) {
				b.put(fire(fmt.Sprint(prefix, i)))
				b.pass(time.Minute)
			}
			stop()
		}
		marked := func() standing.Mark {
			marks, err := standing.Read(t.Context(), b.opts, topics.Endpoints)
			if err != nil {
				t.Fatal(err)
			}
			return marks["shop"]
		}
		load("early", 20*time.Minute)
		if m := marked(); m.State != standing.Failing || m.Since.Sub(begin) > time.Second {
			t.Errorf("after 20 min: %+v", m)
		}
		b.pass(24*time.Hour - time.Since(begin) - 30*time.Minute) // the sink is away; a day is a day
		load("late", 25*time.Minute)
		if m := marked(); m.State != standing.Failing {
			t.Errorf("after %v: %+v", time.Since(begin), m)
		}
		load("last", 15*time.Minute)
		m := marked()
		if m.State != standing.Paused || m.Reason != standing.Dead || m.At.Sub(begin) < 24*time.Hour || m.At.Sub(begin) > 24*time.Hour+10*time.Minute {
			t.Errorf("after %v: %+v", time.Since(begin), m)
		}
		if log := b.text.Text(); strings.Count(log, "an endpoint is paused") != 1 || !strings.Contains(log, `"level":"error"`) {
			t.Error("the alert is not in the log, or not once")
		}
		sent := len(b.seen())
		stop := b.start()
		b.put(fire("parked"))
		b.pass(3 * time.Minute)
		if len(b.seen()) != sent {
			t.Errorf("%d requests at a paused endpoint", len(b.seen())-sent)
		}
		resumed.Store(true)
		if err := standing.Clear(t.Context(), b.client, topics.Endpoints, "shop"); err != nil {
			t.Fatal(err)
		}
		b.pass(20 * time.Minute)
		stop()
		if n := len(b.delivered()) + len(b.deadCodes()); n != 20+25+15+1 || !b.delivered()["parked"] {
			t.Errorf("%d of 61 fires ended, parked: %v", n, b.delivered()["parked"])
		}
	})
}

// TestOpenGuardIsTold: what is an exception from the guard stands in the log, for each endpoint and for all.
func TestOpenGuardIsTold(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.cfg.Endpoints = append(b.cfg.Endpoints, endpoints.Endpoint{Name: "lab", URL: "https://10.0.0.1/", AllowPrivate: true},
			endpoints.Endpoint{Name: "plain", URL: "http://plain.example.com/", AllowHTTP: true})
		b.start()()
		log := b.text.Text()
		for text, n := range map[string]int{
			`"endpoint":"lab","allow_private":true,"allow_http":false`: 1, `"endpoint":"plain","allow_private":false,"allow_http":true`: 1,
			"the egress guard is open": 2,
		} {
			if got := strings.Count(log, text); got != n {
				t.Errorf("%s: %d times, want %d", text, got, n)
			}
		}
		b.cfg.AllowPrivate = true
		b.start()()
		if !strings.Contains(b.text.Text(), "the egress guard is open for every URL") {
			t.Error("an open policy is not in the log")
		}
	})
}

// TestResumedTooEarly: an endpoint that is resumed while it still fails gets another day, and so does one that is mended: it
// is not paused at the next failure.
func TestResumedTooEarly(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.cfg.Endpoints[0].Retries = 0
		b.cfg.Client = append(b.cfg.Client, kgo.FetchMaxWait(time.Minute), kgo.HeartbeatInterval(20*time.Second)) // there are days to wait
		b.respond = func(int, *http.Request) (*http.Response, error) { return answer(500), nil }
		s, _, stop := b.editable()
		b.pass(2 * time.Minute)
		load := func(prefix string) {
			for i := range 15 {
				b.put(fire(fmt.Sprint(prefix, i)))
				b.pass(time.Minute)
			}
		}
		paused := func() bool { return strings.Count(b.text.Text(), "an endpoint is paused") > 0 }
		load("a")
		b.pass(24 * time.Hour)
		if err := standing.Clear(t.Context(), b.client, topics.Endpoints, "shop"); err != nil {
			t.Fatal(err)
		}
		b.pass(time.Second)
		if load("b"); paused() {
			t.Error("paused soon after it was resumed")
		}
		b.pass(23 * time.Hour)
		if err := s.SetEndpoints([]endpoints.Endpoint{{Name: "shop", URL: "https://mended.example.com/"}}); err != nil {
			t.Fatal(err)
		}
		b.pass(2 * time.Hour)
		if load("c"); paused() {
			t.Error("paused soon after it was mended")
		}
		stop()
	})
}
