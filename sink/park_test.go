package sink_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"vigil/config/endpoints"
	"vigil/webhook"
)

func TestRetryAfterHoldsTheEndpoint(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.respond = func(n int, _ *http.Request) (*http.Response, error) {
			if n == 1 {
				return answer(429, "Retry-After", "60"), nil
			}
			return answer(200), nil
		}
		stop := b.start()
		b.put(fire("a1"))
		b.pass(time.Second)
		b.put(fire("a2"))
		b.pass(50 * time.Second)
		if n := len(b.seen()); n != 1 {
			t.Errorf("%d requests while the endpoint is held, want 1", n)
		}
		for _, topic := range []string{topics.Webhooks, topics.Retry1} {
			if n := b.unfinished(topic); n != 0 {
				t.Errorf("%s: %d offsets wait for an endpoint", topic, n)
			}
		}
		b.pass(time.Minute)
		stop()
		hits := b.seen()
		if len(hits) != 3 || hits[1].at.Sub(hits[0].at) < time.Minute {
			t.Errorf("%d requests, the second after %v", len(hits), hits[1].at.Sub(hits[0].at))
		}
		got := b.attempts()
		slices.Sort(got)
		want(t, "attempts", got, []string{"0 parked held", "1 delivered", "1 retry http_429", "2 delivered"})
	})
}

func TestDelaysOfAnEndpoint(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.cfg.Endpoints[0].RetryDelays = []time.Duration{time.Second, 12 * time.Minute}
		b.cfg.Endpoints = append(b.cfg.Endpoints, endpoints.Endpoint{Name: "other", URL: "https://other.example.com/", Retries: 2})
		b.respond = func(int, *http.Request) (*http.Response, error) { return answer(500), nil }
		stop := b.start()
		b.pass(time.Second)
		b.put(fire("a1"))
		b.pass(10 * time.Second)
		b.put(fire("b1", func(d *webhook.Delivery) { d.Endpoint = "other" })) // behind a1 in the same topics
		b.pass(20 * time.Minute)
		stop()
		times := map[string][]time.Time{}
		for _, h := range b.seen() {
			times[h.id] = append(times[h.id], h.at)
		}
		for id, delays := range map[string][]time.Duration{"a1": {time.Second, 12 * time.Minute}, "b1": {10 * time.Second, 90 * time.Second}} {
			if len(times[id]) != 3 {
				t.Fatalf("%s: %d attempts", id, len(times[id]))
			}
			for i, delay := range delays {
				if got := times[id][i+1].Sub(times[id][i]).Round(10 * time.Millisecond); got != delay {
					t.Errorf("%s: retry %d after %v, want %v", id, i+1, got, delay)
				}
			}
		}
		want(t, "dead letters", b.deadCodes(), []string{"exhausted", "exhausted"})
		if n := b.unfinished(topics.Parked); n != 0 {
			t.Errorf("%d parked offsets not committed", n)
		}
	})
}

func TestCampaignsThatPauseAndStop(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		begin := time.Now()
		b.cfg.CampaignStatus = func(id string) string {
			if id == "cart" && time.Since(begin) > 5*time.Minute {
				return "active"
			}
			return map[string]string{"cart": "paused", "over": "stopped", "gone": "deleted"}[id]
		}
		stop := b.start()
		soon := time.Now().Add(3 * time.Minute)
		b.put(fire("a1"), fire("a2", func(d *webhook.Delivery) { d.ExpiresAt = &soon }),
			fire("a3", func(d *webhook.Delivery) { d.Campaign = "over" }), fire("a4", func(d *webhook.Delivery) { d.Campaign = "gone" }),
			fire("a5", func(d *webhook.Delivery) { d.Campaign = "" }))
		b.pass(10 * time.Minute)
		stop()
		got := b.attempts()
		slices.Sort(got)
		want(t, "attempts", got, []string{
			"0 cancelled the campaign is stopped or gone", "0 cancelled the campaign is stopped or gone",
			"0 expired expires_at has passed", "0 parked paused", "0 parked paused", "1 delivered", "1 delivered",
		})
		rounds := len(b.read(topics.Parked))
		if n := strings.Count(b.text.Text(), `"message":"delivery"`); n != len(got) || rounds < 6 {
			t.Errorf("%d lines of log for %d fates, %d rounds in the parking", n, len(got), rounds)
		}
	})
}

// TestSlowEndpointHoldsNobody: an endpoint that never answers neither slows the others nor holds offsets.
func TestSlowEndpointHoldsNobody(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.cfg.Endpoints = append(b.cfg.Endpoints, endpoints.Endpoint{Name: "dead", URL: "https://dead.example.com/", Retries: 2})
		b.cfg.MaxInFlight = 100
		b.respond = func(_ int, r *http.Request) (*http.Response, error) {
			if r.URL.Host == "dead.example.com" {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			return answer(200), nil
		}
		stop := b.start()
		b.pass(time.Second)
		for i := range 300 {
			b.put(fire(fmt.Sprint("d", i), func(d *webhook.Delivery) { d.Endpoint = "dead" }))
		}
		begin := time.Now()
		for i := range 100 {
			b.put(fire(fmt.Sprint("s", i)))
		}
		b.pass(time.Second)
		healthy := 0
		for _, h := range b.seen() {
			if h.host == "shop.example.com" {
				healthy++
			}
		}
		if healthy != 100 {
			t.Errorf("%d of 100 healthy deliveries after %v", healthy, time.Since(begin))
		}
		b.pass(9 * time.Second)
		if n := b.unfinished(topics.Webhooks); n != 0 {
			t.Errorf("%d offsets are held by a dead endpoint after 10 s", n)
		}
		b.mu.Lock()
		b.respond = func(int, *http.Request) (*http.Response, error) { return answer(200), nil } // it recovers
		b.mu.Unlock()
		b.pass(20 * time.Minute)
		stop()
		delivered := map[string]bool{}
		for _, r := range b.read(topics.Attempts) {
			if a, err := webhook.DecodeAttempt(r.Value); err == nil && a.Outcome == webhook.Delivered {
				delivered[a.FireID] = true
			}
		}
		if len(delivered) != 400 || len(b.deadCodes()) != 0 {
			t.Errorf("%d of 400 delivered, %d dead", len(delivered), len(b.deadCodes()))
		}
	})
}

// TestShortParkingIsTheShortHalf: what is to come back in 15 s is in the lower half, though a time on the wire is rounded up.
func TestShortParkingIsTheShortHalf(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.cfg.Endpoints[0].MaxInFlight = 1
		b.respond = hanging("")
		stop := b.start()
		b.pass(time.Second + 300*time.Microsecond) // clocks do not stand at whole milliseconds
		b.put(fire("a1"), fire("a2"))
		b.pass(time.Minute)
		stop()
		parked := b.read(topics.Parked)
		if len(parked) != 1 || parked[0].Partition >= 2 || len(b.delivered()) != 2 {
			t.Errorf("%d parked, %d delivered: %v", len(parked), len(b.delivered()), parked)
		}
	})
}

func TestFarNotBeforeIsParkedNotSent(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		stop := b.start()
		at := time.Now().Add(17 * time.Minute).Truncate(time.Millisecond)
		b.put(fire("later", func(d *webhook.Delivery) { d.NotBefore = &at }), fire("now"))
		b.pass(16 * time.Minute)
		if n := len(b.seen()); n != 1 {
			t.Errorf("%d requests before their time", n)
		}
		b.pass(2 * time.Minute)
		stop()
		if hits := b.seen(); len(hits) != 2 || hits[1].at.Before(at) || hits[1].at.After(at.Add(time.Second)) || hits[1].attempt != "1" {
			t.Errorf("got %+v", hits)
		}
		want(t, "attempts", b.attempts(), []string{"0 parked not_due", "1 delivered", "1 delivered"})
		if n := len(b.read(topics.Parked)); n > 5 {
			t.Errorf("parked %d times in 17 minutes", n)
		}
	})
}

func TestRecordsKeepWhatTheyCarry(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.respond = func(int, *http.Request) (*http.Response, error) { return answer(503), nil }
		stop := b.start()
		d := fire("a1", func(d *webhook.Delivery) { d.User = "zoë" })
		b.putRecord(&kgo.Record{Topic: topics.Webhooks, Partition: 1, Key: []byte("zoë"), Value: d.Encode(), Headers: []kgo.RecordHeader{
			{Key: "traceparent", Value: []byte("00-1")}, {Key: "origin", Value: []byte("replay")}, {Key: "x-reason-code", Value: []byte("old")},
		}})
		b.pass(5 * time.Minute)
		stop()
		for _, topic := range []string{topics.Retry1, topics.Retry2} {
			for _, r := range b.read(topic) {
				if r.Partition != 1 || string(r.Key) != "zoë" || headerOf(r, "traceparent") != "00-1" {
					t.Errorf("%s: partition %d, key %s, headers %v", topic, r.Partition, r.Key, r.Headers)
				}
			}
		}
		dead := b.read(topics.DeadLetters)
		if len(dead) != 1 || headerOf(dead[0], "x-reason-code") != "exhausted" || headerOf(dead[0], "origin") != "replay" ||
			headerOf(dead[0], "__connect.errors.topic") != topics.Retry2 {
			t.Errorf("dead letters %v", dead)
		}
		for _, r := range b.read(topics.Attempts) {
			if a, _ := webhook.DecodeAttempt(r.Value); a.Origin != "replay" || a.User != "zoë" || string(r.Key) != "a1" {
				t.Errorf("attempt %s", r.Value)
			}
		}
	})
}

func TestRecordTooLargeToCarryOn(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: topics.Retry1, Err: kerr.MessageTooLarge, Count: -1})
		b.respond = func(int, *http.Request) (*http.Response, error) { return answer(500), nil }
		stop := b.start()
		b.put(fire("a1"))
		b.pass(5 * time.Second)
		stop()
		want(t, "dead letters", b.deadCodes(), []string{"record_too_large"})
		if n := b.unfinished(topics.Webhooks); n != 0 {
			t.Errorf("%d offsets not committed", n)
		}
	})
}

func TestDeadLetterTooLargeLosesOnlyItsValue(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: topics.DeadLetters, Err: kerr.MessageTooLarge, Count: 1})
		stop := b.start()
		b.putRecord(&kgo.Record{Topic: topics.Webhooks, Value: []byte("poison")})
		b.pass(5 * time.Second)
		stop()
		dead := b.read(topics.DeadLetters)
		if len(dead) != 1 || dead[0].Value != nil || !strings.Contains(headerOf(dead[0], "__connect.errors.exception.message"), "value is still at") {
			t.Errorf("dead letters %v", dead)
		}
		if n := b.unfinished(topics.Webhooks); n != 0 {
			t.Errorf("%d offsets not committed", n)
		}
	})
}
