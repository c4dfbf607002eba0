package sink_test

import (
	"cmp"
	"context"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/config/endpoints"
	"vigil/flowtest/live"
	"vigil/sink"
	"vigil/sink/egress"
	"vigil/webhook"
)

var topics = sink.TopicsOf("vigil")

// bench is a broker, a receiver and a sink in one bubble.
type bench struct {
	t       testing.TB
	cluster *kfake.Cluster
	opts    []kgo.Opt
	dial    func(ctx context.Context, network, addr string) (net.Conn, error) // in a bubble
	client  *kgo.Client
	cfg     sink.Config
	chance  rand.Source    // of jitter
	text    live.Log       // the log
	log     zerolog.Logger // writes to it

	registry prometheus.Registerer // of an editable sink; nil: none

	mu      sync.Mutex
	hits    []hit
	respond func(n int, r *http.Request) (*http.Response, error) // n counts from 1
}

// hit is one request that reached the receiver.
type hit struct {
	at      time.Time
	id      string
	attempt string
	host    string
	body    string
	header  http.Header
}

// inBubble runs a test with a fresh bench in a bubble of virtual time.
func inBubble(t *testing.T, f func(t *testing.T, b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var vn kfake.VirtualNetwork
		b := newBench(t, []kfake.Opt{kfake.ListenFn(vn.Listen)}, kgo.Dialer(vn.DialContext))
		b.dial = vn.DialContext
		f(t, b)
	})
}

// newBench starts the broker; opts are how to reach it besides its address.
func newBench(t testing.TB, broker []kfake.Opt, opts ...kgo.Opt) *bench {
	t.Helper()
	cluster, err := kfake.NewCluster(append(broker, kfake.NumBrokers(1),
		kfake.SeedTopics(2, topics.Webhooks, topics.Retry1, topics.Retry2, topics.Attempts, topics.DeadLetters),
		kfake.SeedTopics(4, topics.Parked),
		kfake.BrokerConfigs(map[string]string{"message.max.bytes": "2200000"}))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	opts = append(opts, kgo.SeedBrokers(cluster.ListenAddrs()...))
	client, err := kgo.NewClient(append(opts, kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	b := &bench{t: t, cluster: cluster, opts: opts, client: client, chance: zero{}}
	b.log = zerolog.New(&b.text)
	b.respond = func(int, *http.Request) (*http.Response, error) { return answer(200), nil }
	b.cfg = sink.Config{
		Client: opts, Topics: topics, Group: "vigil.sink",
		Policy:    egress.Policy{Version: "test", RoundTripper: b},
		Endpoints: []endpoints.Endpoint{{Name: "shop", URL: "https://shop.example.com/hooks", Retries: 2}},
	}
	return b
}

// pass lets time pass.
func (b *bench) pass(d time.Duration) { <-time.After(d) }

// RoundTrip is the receiver.
func (b *bench) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
	}
	b.mu.Lock()
	b.hits = append(b.hits, hit{time.Now(), r.Header.Get("Webhook-Id"), r.Header.Get("Vigil-Attempt"), r.URL.Host, string(body), r.Header})
	n, respond := len(b.hits), b.respond
	b.mu.Unlock()
	return respond(n, r)
}

func (b *bench) seen() []hit {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.hits)
}

func answer(status int, header ...string) *http.Response {
	h := http.Header{}
	for i := 0; i+1 < len(header); i += 2 {
		h.Add(header[i], header[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader("thanks"))}
}

// zero is a source of jitter 0.
type zero struct{}

func (zero) Uint64() uint64 { return 0 }

// full is a source of all the jitter there is.
type full struct{}

func (full) Uint64() uint64 { return math.MaxUint64 }

// start runs a sink; stop ends it and waits.
func (b *bench) start() (stop func()) {
	b.t.Helper()
	s, err := sink.New(b.cfg, sink.Deps{Log: b.log, Rand: rand.New(b.chance)})
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	return func() {
		b.t.Helper()
		cancel()
		if err := <-done; err != nil {
			b.t.Errorf("Run: %v", err)
		}
	}
}

// fire is a delivery with what every test needs.
func fire(id string, change ...func(*webhook.Delivery)) *webhook.Delivery {
	d := &webhook.Delivery{
		V: 1, FireID: id, Campaign: "cart", Revision: "r1", User: "u1", Endpoint: "shop", Method: "POST",
		Body: []byte(`{"fire":"` + id + `"}`), ContentType: "application/json", Attempt: 1, At: time.Now(), DecidedAt: time.Now(),
	}
	for _, f := range change {
		f(d)
	}
	return d
}

func (b *bench) put(ds ...*webhook.Delivery) {
	b.t.Helper()
	for _, d := range ds {
		r := &kgo.Record{Topic: topics.Webhooks, Key: []byte(d.User), Value: d.Encode()}
		for _, h := range d.RecordHeaders("") {
			r.Headers = append(r.Headers, kgo.RecordHeader{Key: h.Key, Value: []byte(h.Value)})
		}
		b.putRecord(r)
	}
}

func (b *bench) putRecord(r *kgo.Record) {
	b.t.Helper()
	if err := b.client.ProduceSync(b.t.Context(), r).FirstErr(); err != nil {
		b.t.Fatal(err)
	}
}

// read is everything in a topic, by partition and offset.
func (b *bench) read(topic string) []*kgo.Record {
	b.t.Helper()
	ends, err := kadm.NewClient(b.client).ListEndOffsets(b.t.Context(), topic)
	if err != nil {
		b.t.Fatal(err)
	}
	left := int64(0)
	from := map[int32]kgo.Offset{}
	ends.Each(func(o kadm.ListedOffset) { left += o.Offset; from[o.Partition] = kgo.NewOffset().At(0) })
	client, err := kgo.NewClient(append(b.opts, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: from}), kgo.KeepControlRecords())...)
	if err != nil {
		b.t.Fatal(err)
	}
	defer client.Close()
	var all []*kgo.Record
	for left > 0 {
		client.PollFetches(b.t.Context()).EachRecord(func(r *kgo.Record) {
			left--
			if !r.Attrs.IsControl() {
				all = append(all, r)
			}
		})
	}
	slices.SortStableFunc(all, func(x, y *kgo.Record) int {
		return cmp.Or(x.Timestamp.Compare(y.Timestamp), cmp.Compare(x.Offset, y.Offset))
	})
	return all
}

// attempts is the delivery log as "attempt outcome reason", in order.
func (b *bench) attempts() []string {
	b.t.Helper()
	var out []string
	for _, r := range b.read(topics.Attempts) {
		a, err := webhook.DecodeAttempt(r.Value)
		if err != nil {
			b.t.Fatal(err)
		}
		reason, _, _ := strings.Cut(a.Reason, ":")
		out = append(out, strings.TrimSpace(string(rune('0'+a.Attempt))+" "+string(a.Outcome)+" "+reason))
	}
	return out
}

// deadCodes are the reasons of the dead letters, in order.
func (b *bench) deadCodes() []string {
	b.t.Helper()
	var out []string
	for _, r := range b.read(topics.DeadLetters) {
		out = append(out, headerOf(r, "x-reason-code"))
	}
	return out
}

func headerOf(r *kgo.Record, key string) string {
	for _, h := range r.Headers {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return ""
}

// unfinished is the number of offsets of a topic above the committed watermark.
func (b *bench) unfinished(topic string) int64 {
	b.t.Helper()
	admin := kadm.NewClient(b.client)
	ends, err := admin.ListEndOffsets(b.t.Context(), topic)
	if err != nil {
		b.t.Fatal(err)
	}
	committed, err := admin.FetchOffsets(b.t.Context(), "vigil.sink")
	if err != nil {
		b.t.Fatal(err)
	}
	open := int64(0)
	ends.Each(func(o kadm.ListedOffset) {
		open += o.Offset
		if c, ok := committed.Lookup(topic, o.Partition); ok && c.At > 0 {
			open -= c.At
		}
	})
	return open
}

func want[T any](t *testing.T, what string, got, want []T) {
	t.Helper()
	if !slices.EqualFunc(got, want, func(x, y T) bool { return any(x) == any(y) }) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// settle waits until all of some topics is committed, one after the other, for 20 s at most.
func (b *bench) settle(topics ...string) {
	b.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for _, topic := range topics {
		for b.unfinished(topic) > 0 && time.Now().Before(deadline) {
			b.pass(20 * time.Millisecond)
		}
	}
}

// wantEachOnce wants as many deliveries sent, each once, and their offsets committed.
func (b *bench) wantEachOnce(sent int) {
	b.t.Helper()
	count := map[string]int{}
	for _, h := range b.seen() {
		count[h.id]++
	}
	if len(count) != sent || len(b.seen()) != sent {
		b.t.Errorf("%d of %d sent, in %d requests", len(count), sent, len(b.seen()))
	}
	if n := b.unfinished(topics.Webhooks); n != 0 {
		b.t.Errorf("%d offsets not committed", n)
	}
}
