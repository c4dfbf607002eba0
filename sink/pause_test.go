package sink_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

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
		if log := b.text.String(); strings.Count(log, "an endpoint is paused") != 1 || !strings.Contains(log, `"level":"error"`) {
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
