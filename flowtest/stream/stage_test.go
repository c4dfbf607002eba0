// Package stream tests the whole stream, from an event to its webhook, on a virtual clock: broker, processor, disk, sink
// and receiver in one bubble, so that "three days later" is exact and takes no time. Its timelines are the text files of
// testdata; script_test.go tells how they are written.
package stream

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
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

	"vigil/campaign"
	"vigil/config/endpoints"
	"vigil/event"
	"vigil/kafka"
	"vigil/processor"
	"vigil/sink"
	"vigil/sink/egress"
	"vigil/trigger"
)

// The times of every timeline, the defaults of interface 2.
const (
	allowedLateness = 2 * time.Second
	clockGrace      = time.Second
	wallTick        = 250 * time.Millisecond // of the processor
	commitInterval  = 100 * time.Millisecond
	input           = "events"
)

// stage is everything of one timeline. It lives in one bubble and has one caller.
type stage struct {
	t       *testing.T
	cluster *kfake.Cluster
	network *kfake.VirtualNetwork
	opts    []kgo.Opt // how to reach the cluster
	client  *kgo.Client
	adm     *kadm.Client
	topics  kafka.Topics
	dir     string // the processor's disk; empty: it keeps its state in memory

	now    time.Time         // what a timeline's clock is at; the bubble's may be some ms further
	texts  map[string]string // campaign files by id
	reload chan *campaign.Catalog
	status sync.Map // campaign id to its status, as the sink is told

	receiver    *receiver
	processor   *running // nil: stopped
	sink        *running
	registries  []*prometheus.Registry // one for each start of a processor
	events      int                    // sent so far, for their ids
	sent, tried int                    // webhooks and records of vigil.attempts told so far
	told        map[string]float64     // decisions told so far
}

// running is a part of vigil at work.
type running struct {
	cancel context.CancelFunc
	done   chan error
}

// run starts a part.
func run(f func(context.Context) error) *running {
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{cancel, make(chan error, 1)}
	go func() { r.done <- f(ctx) }()
	return r
}

// stop asks it to end, waits and wants no error; a part that does not run is fine.
func (r *running) stop(t *testing.T) {
	t.Helper()
	if r == nil {
		return
	}
	r.cancel()
	if err := <-r.done; err != nil {
		t.Errorf("stopped with an error: %v", err)
	}
}

// inBubble runs a test on a stage of its own, whose clock begins at 2000-01-01T00:00:00Z.
func inBubble(t *testing.T, partitions int32, f func(s *stage)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(newStage(t, partitions)) })
}

func newStage(t *testing.T, partitions int32) *stage {
	t.Helper()
	network := &kfake.VirtualNetwork{}
	cluster, err := kfake.NewCluster(kfake.ListenFn(network.Listen), kfake.NumBrokers(1), kfake.SeedTopics(partitions, input),
		kfake.BrokerConfigs(map[string]string{"message.max.bytes": "9000000"}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	s := &stage{
		t: t, now: time.Now(), cluster: cluster, network: network, topics: kafka.Names("vigil"), dir: t.TempDir(), texts: map[string]string{},
		reload: make(chan *campaign.Catalog), receiver: newReceiver(), told: map[string]float64{},
		opts: []kgo.Opt{
			kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.Dialer(network.DialContext),
			// What goes on in an idle group is all that happens in most of the virtual time.
			kgo.DisableClientMetrics(),
			kgo.HeartbeatInterval(9 * time.Second), kgo.ProducerLinger(0), kgo.ConnIdleTimeout(15 * time.Minute),
		},
	}
	maker := s.connect() // not for later: it remembers for a while which topics were not there
	if err := kafka.Ensure(t.Context(), kadm.NewClient(maker), kafka.Specs(s.topics, partitions)); err != nil {
		t.Fatal(err)
	}
	maker.Close()
	s.client = s.connect()
	t.Cleanup(s.client.Close)
	s.adm = kadm.NewClient(s.client)
	t.Cleanup(s.stopAll)
	return s
}

func (s *stage) connect(more ...kgo.Opt) *kgo.Client {
	s.t.Helper()
	client, err := kgo.NewClient(append(slices.Clone(s.opts), more...)...)
	if err != nil {
		s.t.Fatal(err)
	}
	return client
}

// log goes to the test, from warnings on.
func (s *stage) log() zerolog.Logger {
	return zerolog.New(zerolog.NewTestWriter(s.t)).Level(zerolog.ErrorLevel)
}

// startProcessor runs a processor where none does.
func (s *stage) startProcessor() {
	s.t.Helper()
	if s.processor != nil {
		return
	}
	registry := prometheus.NewRegistry()
	cfg := s.config()
	cfg.Registerer = registry
	p, err := processor.New(cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	s.registries = append(s.registries, registry)
	s.processor = run(p.Run)
}

// config is that of the only processor.
func (s *stage) config() processor.Config {
	return processor.Config{
		Kafka: s.opts, Topics: s.topics, Inputs: []string{input},
		Fields: event.Fields{Type: "type", ID: "id", Time: "time", Properties: "properties"}, Format: "json",
		Start: "earliest", Group: "vigil.processor", Instance: "a", DataDir: s.dir,
		Times: times(), CommitInterval: commitInterval, CheckpointInterval: 3 * time.Second, ClockGrace: clockGrace,
		Workers: 1, Catalog: s.catalog(), Reload: s.reload, Log: s.log(),
	}
}

// times are the engine's.
func times() trigger.Options {
	return trigger.Options{
		AllowedLateness: allowedLateness.Milliseconds(),
		MaxEventAge:     (2 * time.Hour).Milliseconds(),
		MaxFireDelay:    (24 * time.Hour).Milliseconds(),
	}
}

// startSink runs a sink where none does. Jitter is 0, so that retries are exact.
func (s *stage) startSink() {
	s.t.Helper()
	if s.sink != nil {
		return
	}
	it, err := sink.New(sink.Config{
		Client: s.opts, Topics: sink.TopicsOf("vigil"), Group: "vigil.sink", Instance: "a",
		Policy: egress.Policy{Version: "test", MaxInFlight: 4, RoundTripper: s.receiver},
		Endpoints: []endpoints.Endpoint{{
			Name: "shop", URL: "https://shop.example.com/hooks", Timeout: endpoints.DefaultTimeout,
			Retries: endpoints.DefaultRetries, RetryDelays: endpoints.DefaultRetryDelays(),
		}},
		CampaignStatus: s.campaignStatus,
	}, sink.Deps{Log: s.log(), Rand: rand.New(zero{})})
	if err != nil {
		s.t.Fatal(err)
	}
	s.sink = run(it.Run)
}

// zero is a source of chance without any.
type zero struct{}

func (zero) Uint64() uint64 { return 0 }

func (s *stage) stopProcessor() {
	s.t.Helper()
	s.processor.stop(s.t)
	s.processor = nil
}

func (s *stage) stopSink() {
	s.t.Helper()
	s.sink.stop(s.t)
	s.sink = nil
}

func (s *stage) stopAll() {
	s.t.Helper()
	s.stopProcessor()
	s.stopSink()
}

// wipeDisk removes what a processor that is stopped has on disk.
func (s *stage) wipeDisk() {
	s.t.Helper()
	if err := os.RemoveAll(filepath.Join(s.dir, "state")); err != nil {
		s.t.Fatal(err)
	}
}

// pass lets virtual time pass. What a stop or a reload took of it is a part of that.
func (s *stage) pass(d time.Duration) {
	s.now = s.now.Add(d)
	<-time.After(time.Until(s.now))
	synctest.Wait()
}

// catalog is the campaigns as they are now.
func (s *stage) catalog() *campaign.Catalog {
	s.t.Helper()
	var campaigns []*campaign.Campaign
	for id, text := range s.texts {
		c, problems := campaign.Parse(id+".yaml", []byte(text))
		if campaign.Failed(problems) {
			s.t.Fatalf("campaign %s: %v", id, problems)
		}
		campaigns = append(campaigns, c)
	}
	return campaign.NewCatalog(campaigns)
}

// setCampaign adds or replaces a campaign. What runs adopts it.
func (s *stage) setCampaign(text string) error {
	c, problems := campaign.Parse("campaign.yaml", []byte(text))
	if campaign.Failed(problems) {
		return fmt.Errorf("%v", problems)
	}
	s.texts[c.ID] = text
	s.status.Store(c.ID, string(c.Status))
	s.adopt()
	return nil
}

// setStatus edits one line of a campaign.
func (s *stage) setStatus(id, status string) error {
	kept := slices.DeleteFunc(strings.Split(s.texts[id], "\n"), func(l string) bool { return strings.HasPrefix(l, "status:") })
	return s.setCampaign(strings.Join(kept, "\n") + "status: " + status + "\n")
}

func (s *stage) deleteCampaign(id string) error {
	if s.texts[id] == "" {
		return fmt.Errorf("no campaign has the id %q", id)
	}
	delete(s.texts, id)
	s.status.Store(id, "deleted")
	s.adopt()
	return nil
}

// adopt hands the campaigns to the processor, which takes them between two transactions.
func (s *stage) adopt() {
	if s.processor != nil {
		s.reload <- s.catalog()
		synctest.Wait()
	}
}

func (s *stage) campaignStatus(id string) string {
	status, _ := s.status.Load(id)
	text, _ := status.(string) // a campaign that nobody knows is active
	return text
}

// must ends the test on an error.
func (s *stage) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}
