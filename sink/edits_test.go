package sink_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"vigil/config/endpoints"
	"vigil/sink"
	"vigil/sink/standing"
	"vigil/webhook"
)

// editable is a sink whose endpoints and campaigns change while it runs.
func (b *bench) editable() (s *sink.Sink, status *atomic.Value, stop func()) {
	b.t.Helper()
	status = &atomic.Value{}
	status.Store("active")
	b.cfg.CampaignStatus = func(string) string { return status.Load().(string) }
	s, err := sink.New(b.cfg, sink.Deps{Log: b.log, Registry: b.registry, Rand: rand.New(zero{})})
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	b.pass(time.Second)
	return s, status, func() {
		cancel()
		if err := <-done; err != nil {
			b.t.Errorf("Run: %v", err)
		}
	}
}

// hosts are where requests went, in order.
func (b *bench) hosts() (all []string) {
	for _, h := range b.seen() {
		all = append(all, h.host)
	}
	return all
}

// hanging answers 200 after 4 s, but 500 for one host.
func hanging(bad string) func(int, *http.Request) (*http.Response, error) {
	return func(_ int, r *http.Request) (*http.Response, error) {
		select {
		case <-time.After(4 * time.Second):
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
		return answer(map[bool]int{true: 500, false: 200}[r.URL.Host == bad]), nil
	}
}

// TestEndpointMendedInFlight: what is in flight ends where it was sent, its retry and what waits go to the new address; an
// inline URL stays that of its fire.
func TestEndpointMendedInFlight(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.cfg.Endpoints[0].MaxInFlight = 1
		b.respond = hanging("shop.example.com")
		s, _, stop := b.editable()
		b.put(fire("a1"))
		b.pass(time.Second)
		b.put(fire("a2"), fire("i1", func(d *webhook.Delivery) { d.Endpoint, d.URL = "", "https://inline.example.com/x" }))
		b.pass(time.Second)
		if err := s.SetEndpoints([]endpoints.Endpoint{{Name: "shop", URL: "https://mended.example.com/", Retries: 2, MaxInFlight: 1}}); err != nil {
			t.Fatal(err)
		}
		b.pass(time.Minute)
		stop()
		got := b.hosts()
		slices.Sort(got)
		want(t, "hosts", got, []string{"inline.example.com", "mended.example.com", "mended.example.com", "shop.example.com"})
		if n := len(b.delivered()); n != 3 || len(b.deadCodes()) != 0 {
			t.Errorf("%d of 3 delivered, dead %v", n, b.deadCodes())
		}
	})
}

// TestEndpointMendedWhileHeld: a hold, and what is known of how slow an endpoint is, are those of its address. An answer of the
// old address that comes late holds nobody.
func TestEndpointMendedWhileHeld(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.respond = func(n int, r *http.Request) (*http.Response, error) {
			if r.URL.Host == "mended.example.com" {
				return answer(200), nil
			}
			<-time.After(map[bool]time.Duration{true: 4 * time.Second}[n == 2])
			return answer(429, "Retry-After", "900"), nil
		}
		s, _, stop := b.editable()
		b.put(fire("a1"), fire("a2", func(d *webhook.Delivery) { d.User = "u2" }))
		b.pass(time.Second)
		if err := s.SetEndpoints([]endpoints.Endpoint{{Name: "shop", URL: "https://mended.example.com/", Retries: 2}}); err != nil {
			t.Fatal(err)
		}
		for i := range 3 { // before and after the late answer
			b.put(fire(fmt.Sprint("b", i)))
			b.pass(3 * time.Second)
		}
		done := b.delivered()
		if !done["b0"] || !done["b1"] || !done["b2"] {
			t.Errorf("delivered %v: the new address is held", done)
		}
		b.pass(20 * time.Minute)
		stop()
		if n := len(b.delivered()); n != 5 {
			t.Errorf("%d of 5 delivered", n)
		}
	})
}

// TestEndpointRemovedInFlight: what is in flight ends as it ends, what waits and comes is a dead letter that says why.
func TestEndpointRemovedInFlight(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.cfg.Endpoints[0].MaxInFlight = 1
		b.respond = hanging("")
		s, _, stop := b.editable()
		b.put(fire("a1"))
		b.pass(time.Second)
		b.put(fire("a2"))
		b.pass(time.Second)
		if err := s.SetEndpoints(nil); err != nil {
			t.Fatal(err)
		}
		b.put(fire("a3"))
		b.pass(time.Minute)
		stop()
		got := b.attempts()
		slices.Sort(got)
		want(t, "attempts", got, []string{"0 dead no endpoint has this name", "0 dead no endpoint has this name", "0 parked slow", "1 delivered"})
		want(t, "dead letters", b.deadCodes(), []string{"unknown_endpoint", "unknown_endpoint"})
	})
}

// TestCampaignEditedInFlight: paused, what is in flight ends as it ends and its retry is parked; stopped, what comes
// is cancelled.
func TestCampaignEditedInFlight(t *testing.T) {
	for status, after := range map[string][]string{
		"paused":  {"1 parked paused", "1 retry http_500"},
		"stopped": {"1 cancelled the campaign is stopped or gone", "1 retry http_500"},
		"deleted": {"1 cancelled the campaign is stopped or gone", "1 retry http_500"},
		"active":  {"1 retry http_500", "2 retry http_500"},
	} {
		inBubble(t, func(t *testing.T, b *bench) {
			b.respond = hanging("shop.example.com")
			_, now, stop := b.editable()
			b.put(fire("a1"))
			b.pass(time.Second)
			now.Store(status)
			b.pass(30 * time.Second)
			stop()
			got := b.attempts()
			slices.Sort(got)
			want(t, status, got, after)
		})
	}
}

// TestExpiry: nothing is begun after expires_at: not what waits in a lane, nor a retry that would come too late, nor what
// comes out of the parking; and each is told once.
func TestExpiry(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.cfg.Endpoints = append(b.cfg.Endpoints, endpoints.Endpoint{Name: "held", URL: "https://held.example.com/", Retries: 2})
		b.respond = func(n int, r *http.Request) (*http.Response, error) {
			if r.URL.Host == "held.example.com" {
				return answer(503, "Retry-After", "120"), nil
			}
			return answer(500), nil
		}
		_, _, stop := b.editable()
		until := func(d time.Duration, name string) func(*webhook.Delivery) {
			at := time.Now().Add(d)
			return func(w *webhook.Delivery) { w.ExpiresAt, w.Endpoint = &at, name }
		}
		b.put(fire("late", until(-time.Second, "shop")), fire("short", until(8*time.Second, "shop")), fire("once", until(time.Minute, "shop")),
			fire("first", until(time.Hour, "held")))
		b.pass(time.Second)
		b.put(fire("parked", until(time.Minute, "held")))
		b.pass(20 * time.Minute)
		stop()
		fates := map[string][]string{}
		for _, r := range b.read(topics.Attempts) {
			if a, err := webhook.DecodeAttempt(r.Value); err == nil {
				fates[a.FireID] = append(fates[a.FireID], string(a.Outcome))
			}
		}
		for id, want := range map[string]string{
			"late": "expired", "short": "dead", "once": "retry dead", "parked": "parked expired", "first": "retry retry dead",
		} {
			if got := strings.Join(fates[id], " "); got != want {
				t.Errorf("%s: %s, want %s", id, got, want)
			}
		}
	})
}

// expiring runs a sink for a minute, with one fire that expires so soon.
func (b *bench) expiring(after time.Duration) (until time.Time) {
	b.t.Helper()
	stop := b.start()
	defer stop()
	b.pass(time.Second)
	until = time.Now().Add(after)
	b.put(fire("a1", func(d *webhook.Delivery) { d.ExpiresAt = &until }))
	b.pass(time.Minute)
	return until
}

// TestExpiryInFlight: an attempt that is under way when expires_at passes ends as it ends; no retry follows it.
func TestExpiryInFlight(t *testing.T) {
	for bad, after := range map[string][]string{"": {"1 delivered"}, "shop.example.com": {"1 dead http_500"}} {
		inBubble(t, func(t *testing.T, b *bench) {
			b.respond = hanging(bad)
			b.expiring(2 * time.Second)
			want(t, "attempts", b.attempts(), after)
			if n := len(b.seen()); n != 1 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

// TestJitterExpiresNothing: a retry that is due before expires_at is made before it. The last moment is no time to wait for:
// a timer is always late by a little, and then nothing is sent any more.
func TestJitterExpiresNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.chance = full{}
		b.respond = func(int, *http.Request) (*http.Response, error) { return answer(500), nil }
		until := b.expiring(11 * time.Second)
		hits := b.seen()
		want(t, "attempts", b.attempts(), []string{"1 retry http_500", "2 dead http_500"})
		if len(hits) != 2 || until.Sub(hits[1].at) < 100*time.Millisecond {
			t.Errorf("%d attempts, the last %v before expires_at", len(hits), until.Sub(hits[len(hits)-1].at))
		}
	})
}

// TestWhatWaitsIsEditedToo: what waits in a lane is not begun any more once its campaign or its endpoint is paused or
// stopped, whoever did that.
func TestWhatWaitsIsEditedToo(t *testing.T) {
	gone := func(_ int, r *http.Request) (*http.Response, error) {
		<-time.After(time.Second)
		return answer(410), nil
	}
	for name, c := range map[string]struct {
		respond func(int, *http.Request) (*http.Response, error)
		status  string // of the campaign; empty: an operator pauses the endpoint
		want    []string
	}{
		"campaign paused":      {status: "paused", want: []string{"0 parked paused", "0 parked paused", "1 delivered"}},
		"campaign stopped":     {status: "stopped", want: []string{"0 cancelled the campaign is stopped or gone", "0 cancelled the campaign is stopped or gone", "1 delivered"}},
		"endpoint paused":      {want: []string{"0 parked endpoint_paused", "0 parked endpoint_paused", "1 delivered"}},
		"endpoint is gone":     {status: "active", respond: gone, want: []string{"0 parked endpoint_paused", "0 parked endpoint_paused", "1 dead http_410"}},
		"nothing, on the side": {status: "active", want: []string{"1 delivered", "1 delivered", "1 delivered"}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench) {
				b.cfg.Endpoints[0].MaxInFlight = 1
				b.respond = func(int, *http.Request) (*http.Response, error) {
					<-time.After(900 * time.Millisecond)
					return answer(200), nil
				}
				if c.respond != nil {
					b.respond = c.respond
				}
				_, status, stop := b.editable()
				b.put(fire("a1"), fire("a2"), fire("a3"))
				b.pass(500 * time.Millisecond)
				if n := len(b.seen()); n != 1 {
					t.Fatalf("%d in flight", n)
				}
				if c.status == "" {
					mark := standing.Mark{Endpoint: "shop", State: standing.Paused, Reason: standing.Operator, At: time.Now()}
					if err := standing.Write(t.Context(), b.client, topics.Endpoints, mark); err != nil {
						t.Fatal(err)
					}
				} else {
					status.Store(c.status)
				}
				b.pass(10 * time.Second)
				stop()
				got := b.attempts()
				slices.Sort(got)
				want(t, "attempts", got, c.want)
			})
		})
	}
}
