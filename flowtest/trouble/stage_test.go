// Package trouble tests what a processor and a sink make of a broker in trouble, of a disk that lies and of topics that
// are not what they were: either they go on by themselves, and what is fired is what an uninterrupted run fires, or they
// end with the reason and what to do. Broker and clients are in one bubble of virtual time, so that two minutes of outage
// take none.
package trouble

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"

	"vigil/campaign"
	"vigil/event"
	"vigil/flowtest/live"
	"vigil/kafka"
	"vigil/processor"
	"vigil/replay"
	"vigil/webhook"
)

const (
	input    = "events"
	patience = 5 * time.Minute
	password = "the password of before"
)

// stage is the broker, what was written to it, and the disk of the processors.
type stage struct {
	t        *testing.T
	network  link
	cluster  *kfake.Cluster
	opts     []kgo.Opt // how to reach the cluster
	topics   kafka.Topics
	dir      string
	registry *prometheus.Registry // of the processor started last
	text     live.Log             // what it wrote
	rounds   int
	lines    []*bytes.Buffer // of each partition, the input as a simulation reads it
}

// partitions are those of the inputs.
func (s *stage) partitions() int { return len(s.lines) }

// inBubble runs a test on a stage of its own, in a bubble of virtual time.
func inBubble(t *testing.T, f func(s *stage)) {
	t.Helper()
	inBubbleOf(t, 2, f)
}

// inBubbleOf is inBubble where the topics have so many partitions.
func inBubbleOf(t *testing.T, partitions int, f func(s *stage)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &stage{t: t, network: link{network: &kfake.VirtualNetwork{}}}
		s.open(partitions, s.network.dial, kfake.ListenFn(s.network.network.Listen), kfake.Ports(9092, 9093, 9094))
		f(s)
	})
}

// dial is how a client reaches a broker.
type dial func(ctx context.Context, network, addr string) (net.Conn, error)

// onClock is a stage of many partitions on the ordinary clock.
func onClock(t *testing.T, partitions int) *stage {
	t.Helper()
	s := &stage{t: t}
	s.open(partitions, (&net.Dialer{}).DialContext, kfake.NumBrokers(1))
	return s
}

func (s *stage) open(partitions int, dial dial, where ...kfake.Opt) {
	t := s.t
	t.Helper()
	s.prepare(partitions)
	var err error
	s.cluster, err = kfake.NewCluster(append(where, kfake.SeedTopics(int32(partitions), input),
		kfake.EnableSASL(), kfake.Superuser("PLAIN", "vigil", password),
		kfake.BrokerConfigs(map[string]string{"message.max.bytes": "9000000"}))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.cluster.Close)
	s.opts = []kgo.Opt{
		kgo.SeedBrokers(s.cluster.ListenAddrs()...), kgo.Dialer(dial), kgo.DisableClientMetrics(),
		kgo.SASL(plain.Auth{User: "vigil", Pass: password}.AsMechanism()), kgo.MetadataMinAge(50 * time.Millisecond),
	}
	client := s.connect()
	defer client.Close()
	if err := kafka.Ensure(t.Context(), kadm.NewClient(client), kafka.Specs(s.topics, int32(partitions))); err != nil {
		t.Fatal(err)
	}
}

// prepare is what a stage needs besides a broker.
func (s *stage) prepare(partitions int) {
	s.topics, s.dir = kafka.Names("vigil"), s.t.TempDir()
	for range partitions {
		s.lines = append(s.lines, &bytes.Buffer{})
	}
}

// connect makes a client of the test's own.
func (s *stage) connect(more ...kgo.Opt) *kgo.Client {
	s.t.Helper()
	client, err := kgo.NewClient(append(slices.Clone(s.opts), more...)...)
	if err != nil {
		s.t.Fatal(err)
	}
	return client
}

// running is a part of vigil at work.
type running struct {
	s      *stage
	cancel context.CancelFunc
	done   chan error
	ready  func() (bool, []string)
}

// start runs a processor.
func (s *stage) start(change ...func(*processor.Config)) *running {
	s.t.Helper()
	s.registry = prometheus.NewRegistry()
	cfg := processor.Config{
		Kafka: s.opts, Topics: s.topics, Inputs: []string{input},
		Fields: event.Fields{Type: "type", ID: "id", Time: "time", Properties: "properties"}, Format: "json",
		Start: "earliest", Group: "vigil.processor", Instance: "a", DataDir: s.dir, Times: live.Times(),
		CommitInterval: 20 * time.Millisecond, CheckpointInterval: 200 * time.Millisecond, ClockGrace: 100 * time.Millisecond,
		Workers: 1, Catalog: campaign.NewCatalog(live.Counting()), Registerer: s.registry,
		Log: zerolog.New(&s.text).Level(zerolog.InfoLevel),
	}
	for _, f := range change {
		f(&cfg)
	}
	p, err := processor.New(cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.run(p.Run, p.Ready)
}

func (s *stage) run(f func(context.Context) error, ready func() (bool, []string)) *running {
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{s, cancel, make(chan error, 1), ready}
	go func() { r.done <- f(ctx) }()
	return r
}

// stop asks it to end and wants no error.
func (r *running) stop() {
	r.s.t.Helper()
	r.cancel()
	if err := <-r.done; err != nil {
		r.s.t.Errorf("Run: %v", err)
	}
}

// ended waits until it has ended by itself, and wants an error that has all these words.
func (r *running) ended(words ...string) {
	r.s.t.Helper()
	select {
	case err := <-r.done:
		r.cancel()
		if err == nil {
			r.s.t.Fatal("it ended without a reason")
		}
		wantWords(r.s.t, "the error", err.Error(), words...)
	case <-time.After(patience):
		r.stop()
		r.s.t.Fatalf("it did not end\n%s", r.s.text.Text())
	}
}

func wantWords(t *testing.T, what, text string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("%s lacks %q:\n%s", what, w, text)
		}
	}
}

// sendRound writes one round, a partition's part of it as one batch: for some users a cart that is left and one that is bought by users
// of this round alone, and a buy of everybody who comes always.
func (s *stage) sendRound() {
	s.t.Helper()
	s.rounds++
	var records []*kgo.Record
	add := func(i int, user, eventType string) {
		records = append(records, s.event(i%s.partitions(), user, eventType))
	}
	for i := range max(8, s.partitions()) {
		cart := fmt.Sprintf("round%d-%d", s.rounds, i)
		add(i, cart, "add")
		if i%3 == 0 {
			add(i, cart, "buy")
		}
		add(i, fmt.Sprintf("always-%d", i), "buy")
	}
	s.write(records...)
}

// event is one of now, and a line of what a simulation reads.
func (s *stage) event(partition int, user, eventType string) *kgo.Record {
	s.t.Helper()
	now := time.Now()
	id := fmt.Sprintf("%s-%s-%d", user, eventType, s.rounds)
	value, err := json.Marshal(map[string]any{"user": user, "type": eventType, "id": id, "time": now.UnixMilli(), "received": now.UnixMilli()})
	s.must(err)
	s.lines[partition].Write(append(value, '\n'))
	return &kgo.Record{Topic: input, Partition: int32(partition), Key: []byte(user), Value: value, Timestamp: now}
}

// write writes records to the partitions that they name.
func (s *stage) write(records ...*kgo.Record) {
	s.t.Helper()
	client := s.connect(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(100*time.Millisecond))
	defer client.Close()
	s.must(client.ProduceSync(s.t.Context(), records...).FirstErr())
}

// wanted are the fires of an uninterrupted run, sorted.
func (s *stage) wanted() []string {
	s.t.Helper()
	var all []string
	until := time.Now().Add(time.Hour).UnixMilli()
	for p := range s.partitions() {
		var out bytes.Buffer
		_, err := replay.Simulate(s.t.Context(), replay.Simulation{
			Catalog: campaign.NewCatalog(live.Counting()), Options: live.Times(), FiresOnly: true, Until: &until,
		}, bytes.NewReader(s.lines[p].Bytes()), &out)
		if err != nil {
			s.t.Fatal(err)
		}
		for line := range bytes.Lines(out.Bytes()) {
			var d struct {
				Campaign, User string
				At             int64
				FireID         string `json:"fire_id"`
			}
			if err := json.Unmarshal(line, &d); err != nil {
				s.t.Fatal(err)
			}
			all = append(all, fmt.Sprint(p, d.Campaign, d.User, d.At, d.FireID))
		}
	}
	slices.Sort(all)
	return all
}

// fires are those that are committed, sorted; one that is there twice is listed twice.
func (s *stage) fires() []string {
	s.t.Helper()
	var all []string
	for _, r := range s.read(s.topics.Webhooks) {
		d, err := webhook.DecodeDelivery(r.Value)
		if err != nil {
			s.t.Fatal(err)
		}
		all = append(all, fmt.Sprint(r.Partition, d.Campaign, d.User, d.At.UnixMilli(), d.FireID))
	}
	slices.Sort(all)
	return all
}

// read is everything that is committed in a topic.
func (s *stage) read(topic string) []*kgo.Record {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	records, err := live.ReadAll(ctx, s.connect, topic)
	if err != nil {
		s.t.Fatal(err)
	}
	return records
}

// settled waits until the fires are those of an uninterrupted run, and fails where they do not become them.
func (s *stage) settled() {
	s.t.Helper()
	want := s.wanted()
	for deadline := time.Now().Add(patience); ; <-time.After(500 * time.Millisecond) {
		got := s.fires()
		if len(got) >= len(want) || time.Now().After(deadline) {
			if diff := cmp.Diff(want, got); diff != "" {
				s.t.Fatalf("fires (-want +got)\n%s\n%s", diff, s.text.Text())
			}
			return
		}
	}
}
