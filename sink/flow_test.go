package sink_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"vigil/webhook"
)

func TestDelivered(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		stop := b.start()
		b.put(fire("a1"))
		b.pass(time.Second)
		b.put(fire("a2"))
		b.pass(time.Second)
		want(t, "attempts", b.attempts(), []string{"1 delivered", "1 delivered"})
		if n := b.unfinished(topics.Webhooks); n != 0 {
			t.Errorf("%d offsets not committed", n)
		}
		stop()
		h := b.seen()[0].header
		for name, value := range map[string]string{
			"Content-Type": "application/json", "User-Agent": "vigil/test", "Vigil-Campaign": "cart", "Vigil-Attempt": "1",
			"Webhook-Id": "a1", "Webhook-Signature": "",
		} {
			if got := h.Get(name); got != value {
				t.Errorf("%s: got %q, want %q", name, got, value)
			}
		}
		want(t, "dead letters", b.deadCodes(), nil)
	})
}

func TestRetriesComeAtTenAndNinetySeconds(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.respond = func(int, *http.Request) (*http.Response, error) { return answer(500), nil }
		stop := b.start()
		b.pass(5 * time.Second)
		b.put(fire("a1"))
		b.pass(3 * time.Minute)
		stop()
		hits := b.seen()
		if len(hits) != 3 {
			t.Fatalf("%d attempts, want 3", len(hits))
		}
		for i, delay := range []time.Duration{10 * time.Second, 90 * time.Second} {
			if got := hits[i+1].at.Sub(hits[i].at).Round(2 * time.Millisecond); got != delay {
				t.Errorf("retry %d came after %v, want %v", i+1, got, delay)
			}
		}
		want(t, "attempts", b.attempts(), []string{"1 retry http_500", "2 retry http_500", "3 dead http_500"})
		want(t, "dead letters", b.deadCodes(), []string{"exhausted"})
		for _, topic := range []string{topics.Webhooks, topics.Retry1, topics.Retry2} {
			if n := b.unfinished(topic); n != 0 {
				t.Errorf("%s: %d offsets not committed", topic, n)
			}
		}
		want(t, "attempt headers", []string{hits[0].attempt, hits[1].attempt, hits[2].attempt}, []string{"1", "2", "3"})
		if hits[0].body != hits[2].body {
			t.Error("attempts differ in their body")
		}
	})
}

func TestCrashLosesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		// The first sink is cut off from committing: what it does is what a killed one leaves behind.
		fault := b.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Count: -1})
		b.respond = func(n int, r *http.Request) (*http.Response, error) {
			if n == 2 {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			return answer(200), nil
		}
		stop := b.start()
		b.put(fire("a1"), fire("a2"), fire("a3"))
		b.pass(time.Second)
		stop()
		fault.Remove()
		stop = b.start()
		b.pass(10 * time.Second)
		stop()
		count := map[string]int{}
		for _, h := range b.seen() {
			count[h.id]++
		}
		for _, id := range []string{"a1", "a2", "a3"} {
			if count[id] < 2 {
				t.Errorf("%s was sent %d times: it is lost", id, count[id])
			}
		}
		if n := b.unfinished(topics.Webhooks); n != 0 {
			t.Errorf("%d offsets not committed", n)
		}
	})
}

func TestRestartRepeatsOnlyWhatIsOpen(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		// a1 hangs: the watermark stays below it, and the bitmap says that a2 and a3 are done.
		hang := make(chan struct{})
		b.respond = func(n int, r *http.Request) (*http.Response, error) {
			if r.Header.Get("Webhook-Id") == "a1" && n < 4 {
				select {
				case <-hang:
				case <-r.Context().Done():
				}
				return nil, errors.Join(context.Canceled)
			}
			return answer(200), nil
		}
		b.cfg.Endpoints[0].Timeout = 30 * time.Second
		stop := b.start()
		b.put(fire("a1"), fire("a2"), fire("a3"))
		b.pass(2 * time.Second)
		if n := b.unfinished(topics.Webhooks); n != 3 {
			t.Errorf("%d offsets open, want 3", n)
		}
		stop()
		stop = b.start()
		b.pass(10 * time.Second)
		stop()
		count := map[string]int{}
		for _, h := range b.seen() {
			count[h.id]++
		}
		if count["a1"] != 2 || count["a2"] != 1 || count["a3"] != 1 {
			t.Errorf("sent %v, want a1 twice and the others once", count)
		}
	})
}

func TestTransactionMarkersDoNotStopTheWatermark(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		producer, err := kgo.NewClient(append(b.opts, kgo.TransactionalID("p"), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
		if err != nil {
			t.Fatal(err)
		}
		defer producer.Close()
		stop := b.start()
		for i, commit := range []kgo.TransactionEndTry{kgo.TryCommit, kgo.TryAbort, kgo.TryCommit, kgo.TryAbort} {
			if err := producer.BeginTransaction(); err != nil {
				t.Fatal(err)
			}
			d := fire("t" + string(rune('0'+i)))
			producer.Produce(t.Context(), &kgo.Record{Topic: topics.Webhooks, Value: d.Encode()}, nil)
			if err := producer.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := producer.EndTransaction(t.Context(), commit); err != nil {
				t.Fatal(err)
			}
		}
		b.pass(8 * time.Second)
		if n := b.unfinished(topics.Webhooks); n != 0 {
			t.Errorf("%d offsets not committed", n)
		}
		stop()
		var ids []string
		for _, h := range b.seen() {
			ids = append(ids, h.id)
		}
		slices.Sort(ids)
		want(t, "sent", ids, []string{"t0", "t2"})
	})
}

func TestNothingThatIsNoDeliveryStopsAPartition(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		stop := b.start()
		past, future := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
		b.putRecord(&kgo.Record{Topic: topics.Webhooks, Key: []byte("k")})
		for _, value := range []string{"{", `{"v":2}`, "\xff", `{"v":1,"fire_id":"x.y"}`, "", strings.Repeat("x", 999_000)} {
			b.putRecord(&kgo.Record{Topic: topics.Webhooks, Key: []byte("k"), Value: []byte(value)})
		}
		b.put(
			fire("b1", func(d *webhook.Delivery) { d.RenderError = "body.total: too long" }),
			fire("b2", func(d *webhook.Delivery) { d.Endpoint = "nowhere" }),
			fire("b3", func(d *webhook.Delivery) { d.Endpoint, d.URL = "", "ftp://example.com/" }),
			fire("b4", func(d *webhook.Delivery) { d.Endpoint, d.URL = "", "https://169.254.169.254/" }),
			fire("b5", func(d *webhook.Delivery) { d.Headers = map[string]string{"Host": "evil"} }),
			fire("b6", func(d *webhook.Delivery) { d.ExpiresAt = &past }),
			fire("b7", func(d *webhook.Delivery) { d.Endpoint, d.URL = "", "http://example.com/" }),
			fire("ok", func(d *webhook.Delivery) { d.ExpiresAt = &future }),
		)
		b.pass(2 * time.Second)
		stop()
		codes := b.deadCodes()
		slices.Sort(codes)
		want(t, "dead letters", codes, []string{
			"bad_header", "bad_url", "blocked", "blocked", "expired", "poison", "poison",
			"poison", "poison", "poison", "poison", "poison", "render_failed", "unknown_endpoint",
		})
		got := b.attempts()
		slices.Sort(got)
		want(t, "attempts", got, []string{
			"0 dead bad_header", "0 dead bad_url", "0 dead blocked", "0 dead blocked",
			"0 dead body.total", "0 dead no endpoint has this name", "0 expired expires_at has passed", "1 delivered",
		})
		if n := b.unfinished(topics.Webhooks); n != 0 {
			t.Errorf("%d offsets not committed", n)
		}
		if n := strings.Count(b.text.Text(), `"message":"delivery"`); n != 15 {
			t.Errorf("%d lines of log for 15 fates", n)
		}
		for _, r := range b.read(topics.DeadLetters) {
			if string(r.Value) == "\xff" && (string(r.Key) != "k" || headerOf(r, "__connect.errors.topic") != topics.Webhooks ||
				headerOf(r, "__connect.errors.offset") != "3" || headerOf(r, "__connect.errors.exception.message") == "") {
				t.Errorf("dead letter %v lacks its origin", r.Headers)
			}
		}
	})
}
