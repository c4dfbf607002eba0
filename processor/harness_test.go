package processor_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/campaign"
	"vigil/event"
	"vigil/flowtest/live"
	"vigil/kafka"
	"vigil/processor"
	"vigil/trigger"
	"vigil/webhook"
)

const (
	partitions = 3
	patience   = 2 * time.Minute // for what must come: a busy machine is slow
)

// stage is a cluster with an input topic, and a campaign folder.
type stage struct {
	t       *testing.T
	cluster *kfake.Cluster
	client  *kgo.Client
	adm     *kadm.Client
	catalog *campaign.Catalog
	inputs  []string
	width   int // partitions of the inputs
	dir     string
}

func newStage(t *testing.T, campaigns ...string) *stage {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(partitions, "events", "more"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	cl, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	dir := t.TempDir()
	for i, text := range campaigns {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("c%d.yaml", i)), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	loaded, problems := campaign.Load(dir)
	if campaign.Failed(problems) {
		t.Fatalf("campaigns: %v", problems)
	}
	return &stage{
		t: t, cluster: cluster, client: cl, adm: kadm.NewClient(cl), catalog: campaign.NewCatalog(loaded),
		inputs: []string{"events"}, width: partitions, dir: t.TempDir(),
	}
}

// widen reads other topics instead, of more partitions, to which the test's client writes where it says.
func (s *stage) widen(width int, inputs ...string) {
	s.t.Helper()
	s.inputs, s.width = inputs, width
	if _, err := s.adm.CreateTopics(s.t.Context(), int32(width), 1, nil, inputs...); err != nil {
		s.t.Fatal(err)
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.cluster.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(cl.Close)
	s.client = cl
}

func (s *stage) config(instance string) processor.Config {
	return processor.Config{
		Kafka:  []kgo.Opt{kgo.SeedBrokers(s.cluster.ListenAddrs()...)},
		Topics: kafka.Names("vigil"), Inputs: s.inputs,
		Fields: event.Fields{Type: "type", ID: "id", Time: "time", Properties: "properties"}, Format: "json",
		Start: "earliest", Group: "vigil.processor", Instance: instance, DataDir: filepath.Join(s.dir, instance),
		Times:          trigger.Options{AllowedLateness: 200, MaxEventAge: 7_200_000, MaxFireDelay: 86_400_000},
		CommitInterval: 20 * time.Millisecond, CheckpointInterval: 100 * time.Millisecond, ClockGrace: 100 * time.Millisecond,
		Workers: 2, Catalog: s.catalog, Log: zerolog.New(zerolog.NewTestWriter(s.t)).Level(zerolog.WarnLevel),
	}
}

// start runs a processor until the returned func is called or the test ends; it must stop cleanly.
func (s *stage) start(cfg processor.Config) (stop func()) {
	s.t.Helper()
	p, err := processor.New(cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			s.t.Errorf("Run: %v", err)
		}
	}
	s.t.Cleanup(stop)
	return stop
}

// send produces one event with its time as the record's.
func (s *stage) send(user, eventType, id string, at time.Time) {
	s.t.Helper()
	s.sendTo("events", user, eventType+" "+id, at)
}

// sendTo is send to a topic; what is "TYPE ID".
func (s *stage) sendTo(topic, user, what string, at time.Time) {
	s.t.Helper()
	eventType, id, _ := strings.Cut(what, " ")
	value, err := json.Marshal(map[string]any{"type": eventType, "id": id, "time": at.UTC().Format("2006-01-02T15:04:05.000Z")})
	if err != nil {
		s.t.Fatal(err)
	}
	s.raw(topic, []byte(user), value, at)
}

func (s *stage) raw(topic string, key, value []byte, at time.Time) {
	s.t.Helper()
	r := &kgo.Record{Topic: topic, Key: key, Value: value, Timestamp: at}
	if err := s.client.ProduceSync(context.Background(), r).FirstErr(); err != nil {
		s.t.Fatal(err)
	}
}

// records reads a topic, committed records only, until enough have come.
func (s *stage) records(topic string, enough int) []*kgo.Record {
	s.t.Helper()
	cl := s.connect(kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.MetadataMinAge(50*time.Millisecond))
	defer cl.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var all []*kgo.Record
	for len(all) < enough && ctx.Err() == nil {
		all = append(all, cl.PollFetches(ctx).Records()...)
	}
	return all
}

// all is what is committed to a topic now.
func (s *stage) all(topic string) []*kgo.Record {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	records, err := live.ReadAll(ctx, s.connect, topic)
	if err != nil {
		s.t.Fatal(err)
	}
	return records
}

func (s *stage) connect(more ...kgo.Opt) *kgo.Client {
	s.t.Helper()
	cl, err := kgo.NewClient(append(more, kgo.SeedBrokers(s.cluster.ListenAddrs()...))...)
	if err != nil {
		s.t.Fatal(err)
	}
	return cl
}

// fires are the fire ids on vigil.webhooks with their anchors' users, sorted, once there are enough.
func (s *stage) fires(enough int) []string {
	s.t.Helper()
	return s.fired(s.records("vigil.webhooks", enough))
}

// firesAndNoMore are fires, and what else comes in the 2 s after them.
func (s *stage) firesAndNoMore(enough int) []string {
	s.t.Helper()
	s.fires(enough)
	<-time.After(2 * time.Second)
	return s.fired(s.all("vigil.webhooks"))
}

func (s *stage) fired(records []*kgo.Record) (ids []string) {
	s.t.Helper()
	for _, r := range records {
		d, err := webhook.DecodeDelivery(r.Value)
		if err != nil {
			s.t.Fatal(err)
		}
		ids = append(ids, d.Campaign+" "+d.User+" "+d.FireID)
	}
	slices.Sort(ids)
	return ids
}

// eventually waits until something is so; where it never is, the test fails with what is told.
func (s *stage) eventually(told string, so func() bool) {
	s.t.Helper()
	for end := time.Now().Add(patience); !so(); <-time.After(50 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatal(told)
		}
	}
}
