package sink_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/config/endpoints"
	"vigil/webhook"
)

// load puts fires at a steady rate for a while, in the background of the test's own waiting.
func (b *bench) load(prefix string, perSecond int, d time.Duration, change ...func(*webhook.Delivery)) {
	b.t.Helper()
	for i := range perSecond * int(d/time.Second) {
		d := fire(fmt.Sprint(prefix, i), change...)
		b.client.Produce(b.t.Context(), &kgo.Record{Topic: topics.Webhooks, Value: d.Encode()}, nil)
		b.pass(time.Second / time.Duration(perSecond))
	}
}

// delivered are the fires that the log calls delivered.
func (b *bench) delivered() map[string]bool {
	b.t.Helper()
	all := map[string]bool{}
	for _, r := range b.read(topics.Attempts) {
		if a, err := webhook.DecodeAttempt(r.Value); err == nil && a.Outcome == webhook.Delivered {
			all[a.FireID] = true
		}
	}
	return all
}

// TestFullPoolParksNothing: where the pool is what all wait for, reading is paused and nothing is parked, however slow
// the answers are and however many deliveries wait for one endpoint.
func TestFullPoolParksNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.cfg.MaxInFlight = 8
		b.cfg.Endpoints = append(b.cfg.Endpoints, endpoints.Endpoint{Name: "other", URL: "https://other.example.com/", Retries: 2})
		b.respond = func(int, *http.Request) (*http.Response, error) {
			<-time.After(500 * time.Millisecond)
			return answer(200), nil
		}
		const n = 900
		stop := b.start()
		for i := range n {
			d := fire(fmt.Sprint("f", i), func(d *webhook.Delivery) { d.Endpoint = []string{"shop", "other"}[i%2] })
			b.client.Produce(t.Context(), &kgo.Record{Topic: topics.Webhooks, Value: d.Encode()}, nil)
			if i == 100 { // the pace of the endpoints is known when the rest comes
				b.pass(10 * time.Second)
			}
		}
		b.pass(70 * time.Second)
		stop()
		if sent, parked := len(b.seen()), len(b.read(topics.Parked)); sent != n || parked != 0 {
			t.Errorf("%d of %d sent, %d parked", sent, n, parked)
		}
	})
}

// TestDeadEndpointIsLeftAloneAndComesBackGently: the breaker opens, what comes is parked without an attempt, one probe
// at a time looks whether the endpoint is back, and then it never gets three times what it normally does.
func TestDeadEndpointIsLeftAloneAndComesBackGently(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		const perSecond = 5
		var from, to time.Time
		b.respond = func(int, *http.Request) (*http.Response, error) {
			if now := time.Now(); now.After(from) && now.Before(to) {
				return answer(500), nil
			}
			return answer(200), nil
		}
		stop := b.start()
		from, to = time.Now().Add(2*time.Minute), time.Now().Add(12*time.Minute)
		b.load("f", perSecond, 20*time.Minute)
		b.pass(30 * time.Minute)
		stop()
		during, windows := 0, map[int]int{}
		for _, h := range b.seen() {
			if h.at.After(from.Add(time.Minute)) && h.at.Before(to) {
				during++
			}
			windows[int(h.at.Sub(from)/(5*time.Second))]++
		}
		if during > 30 {
			t.Errorf("%d attempts in 9 minutes at an endpoint that is dead", during)
		}
		most := 0
		for _, n := range windows {
			most = max(most, n)
		}
		if most > 3*5*perSecond {
			t.Errorf("%d attempts in 5 s at an endpoint that normally gets %d", most, 5*perSecond)
		}
		if n := len(b.delivered()); n+len(b.deadCodes()) != 20*60*perSecond || n < 20*60*perSecond-100 {
			t.Errorf("%d delivered, %d dead, of %d", n, len(b.deadCodes()), 20*60*perSecond)
		}
		for _, topic := range []string{topics.Webhooks, topics.Parked, topics.Retry1, topics.Retry2} {
			if n := b.unfinished(topic); n != 0 {
				t.Errorf("%s: %d offsets not committed", topic, n)
			}
		}
		t.Logf("%d attempts while dead, at most %d in 5 s, %d dead letters", during, most, len(b.deadCodes()))
	})
}

// TestOneCampaignsFailuresAreItsOwn: the breaker of a campaign does not keep another one from the same endpoint.
func TestOneCampaignsFailuresAreItsOwn(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.respond = func(_ int, r *http.Request) (*http.Response, error) {
			if r.Header.Get("Vigil-Campaign") == "broken" {
				return answer(500), nil
			}
			return answer(200), nil
		}
		stop := b.start()
		b.load("x", 10, 10*time.Second, func(d *webhook.Delivery) { d.Campaign = "broken" })
		b.load("f", 10, 10*time.Second)
		b.pass(time.Second)
		broken, good := 0, 0
		for _, h := range b.seen() {
			if h.header.Get("Vigil-Campaign") == "broken" {
				broken++
			} else {
				good++
			}
		}
		if broken > 20 || good != 100 {
			t.Errorf("%d attempts for the broken campaign, %d of 100 for the other", broken, good)
		}
		stop()
	})
}

// TestManyEndpoints: ten thousand of them, one delivery each, more than there are lanes kept.
func TestManyEndpoints(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		const n = 10_000
		b.cfg.Endpoints = nil
		for i := range n {
			b.cfg.Endpoints = append(b.cfg.Endpoints, endpoints.Endpoint{Name: fmt.Sprint("e", i), URL: fmt.Sprintf("https://e%d.example.com/", i)})
			d := fire(fmt.Sprint("f", i), func(d *webhook.Delivery) { d.Endpoint = fmt.Sprint("e", i) })
			b.client.Produce(t.Context(), &kgo.Record{Topic: topics.Webhooks, Partition: int32(i % 2), Value: d.Encode()}, nil)
		}
		if err := b.client.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		stop := b.start()
		b.pass(10 * time.Second)
		stop()
		hosts := map[string]bool{}
		for _, h := range b.seen() {
			hosts[h.host] = true
		}
		if len(hosts) != n || len(b.seen()) != n || len(b.read(topics.Parked)) != 0 {
			t.Errorf("%d of %d endpoints reached in %d requests, %d parked", len(hosts), n, len(b.seen()), len(b.read(topics.Parked)))
		}
	})
}
