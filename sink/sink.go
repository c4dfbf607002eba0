// Package sink sends webhooks: it reads fires from vigil.webhooks and turns each into signed HTTP requests until it is
// delivered or dead. It is the last step of the flow. It never decides whether something fires, never loses a delivery
// and never reaches an address that was not judged in the same dial.
//
// One goroutine polls, one dispatches (it owns all lanes and queues), MaxInFlight workers make attempts, one commits.
package sink

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/config/endpoints"
	"vigil/kafka"
	"vigil/sink/completion"
	"vigil/sink/core"
	"vigil/sink/egress"
	"vigil/sink/meter"
	"vigil/sink/standing"
	"vigil/sink/wire"
)

const (
	drainBudget      = 5 * time.Second // for what is in flight when a partition leaves or the sink stops
	maxRecordBytes   = 2 << 20         // max.message.bytes of the topics written here (delivery 1)
	defaultMaxFlight = 256
	fetchWait        = 500 * time.Millisecond // where the configuration says nothing
)

// Topics are the names of what the sink reads and writes (interface 3).
type Topics struct {
	Webhooks, Retry1, Retry2, Parked, Attempts, DeadLetters, Endpoints string
}

// TopicsOf are the topics under a prefix; the names are those of kafka.Names.
func TopicsOf(prefix string) Topics {
	w := prefix + ".webhooks"
	return Topics{w, w + ".retry-1", w + ".retry-2", w + ".parked", prefix + ".attempts", "dlq." + w, prefix + ".endpoints"}
}

// Config says what a sink reads, where it may send, and how much at a time. Group and Topics must be set.
type Config struct {
	Client   []kgo.Opt // how to reach the brokers
	Topics   Topics
	Group    string
	Instance string // static member id; empty: a dynamic member, which leaves the group when it stops
	DataDir  string // folder of the completion file; empty: there is none

	egress.Policy // MaxInFlight is the hard limit of attempts at a time; 0: 256
	Endpoints     []endpoints.Endpoint

	// CampaignStatus tells paused, stopped or deleted for a campaign; anything else, and a nil func, means active.
	CampaignStatus func(id string) string
}

// Deps are what a sink shares with its process.
type Deps struct {
	Log      zerolog.Logger
	Registry prometheus.Registerer // nil: metrics are kept but not registered
	Rand     *rand.Rand            // source of jitter, used by one goroutine; nil: seeded at random
}

// Sink sends webhooks. Make it with New, run it once.
type Sink struct {
	cfg    Config
	log    zerolog.Logger
	rand   *rand.Rand
	meter  *meter.Meter
	sender *egress.Sender
	client *kgo.Client
	out    *outbox
	board  *standing.Board
	done   *completion.File

	endpoints atomic.Pointer[egress.Endpoints]
	batches   chan []*parcel
	leaves    chan *leave
	looks     chan chan<- []core.Load // asks for the busiest lanes
	changed   chan struct{}           // something is to be committed; holds 1
	ready     chan struct{}           // closed when client is set: it may call back before
	drained   chan struct{}           // closed when the dispatcher has ended

	commitMu sync.Mutex // serialises commits

	flying atomic.Int64 // attempts in flight

	parked int32 // partitions of the parked topic; set before the first goroutine
	total  int   // partitions of all topics that are read; as parked

	mu      sync.Mutex // guards what follows
	parts   map[string]map[int32]*partition
	started bool

	ours atomic.Int32 // partitions in parts
}

// New checks the configuration and reads the secrets. It speaks to no broker.
func New(cfg Config, deps Deps) (*Sink, error) {
	if cfg.Group == "" || cfg.Topics.Webhooks == "" {
		return nil, errors.New("sink: group and topics must be set")
	}
	if cfg.MaxInFlight <= 0 {
		cfg.MaxInFlight = defaultMaxFlight
	}
	if deps.Rand == nil {
		deps.Rand = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	s := &Sink{
		cfg: cfg, log: deps.Log.With().Str("component", "sink").Logger(), rand: deps.Rand,
		batches: make(chan []*parcel), leaves: make(chan *leave), looks: make(chan chan<- []core.Load), changed: make(chan struct{}, 1),
		ready: make(chan struct{}), drained: make(chan struct{}), parts: map[string]map[int32]*partition{},
	}
	if cfg.DataDir != "" {
		cfg.DataDir = filepath.Join(cfg.DataDir, "sink")
	}
	s.done = completion.New(cfg.DataDir, url.PathEscape(cfg.Group+"."+cfg.Instance), s.log)
	s.board = standing.New(cfg.Topics.Endpoints, cfg.Client, s.log)
	err := s.SetEndpoints(cfg.Endpoints)
	if err != nil {
		return nil, fmt.Errorf("sink: %w", err)
	}
	if s.meter, err = meter.New(deps.Registry, meter.Sources{Oldest: s.oldestAge, Marks: s.marks, Loads: s.loads}); err != nil {
		return nil, fmt.Errorf("sink: %w", err)
	}
	if s.sender, err = egress.NewSender(&s.cfg.Policy); err != nil {
		return nil, fmt.Errorf("sink: %w", err)
	}
	return s, nil
}

// SetEndpoints replaces all endpoints: what is queued goes to the new ones. On an error nothing changes.
func (s *Sink) SetEndpoints(list []endpoints.Endpoint) error {
	set, err := egress.NewEndpoints(&s.cfg.Policy, list)
	if err != nil {
		return err
	}
	s.endpoints.Store(set)
	for _, e := range list {
		if e.AllowPrivate || e.AllowHTTP {
			s.log.Warn().Str("endpoint", e.Name).Bool("allow_private", e.AllowPrivate).Bool("allow_http", e.AllowHTTP).
				Msg("the egress guard is open for this endpoint")
		}
	}
	return nil
}

// Run sends until ctx ends or the brokers refuse an outcome for good, and returns after its last goroutine. What is in
// flight gets 5 s to finish; what is not finished is read again by the next owner. It returns nil where ctx ended it.
func (s *Sink) Run(ctx context.Context) error {
	s.mu.Lock()
	again := s.started
	s.started = true
	s.mu.Unlock()
	if again {
		return errors.New("sink: Run was called before")
	}
	if s.cfg.AllowPrivate || s.cfg.AllowHTTP {
		s.log.Warn().Bool("allow_private", s.cfg.AllowPrivate).Bool("allow_http", s.cfg.AllowHTTP).
			Msg("the egress guard is open for every URL: for development only")
	}
	var largest int32
	err := kafka.Insist(ctx, s.log, func() (err error) { largest, err = s.findTopics(ctx); return err })
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("sink: %w", err)
	}
	client, err := kgo.NewClient(append(s.options(), kgo.ProducerBatchMaxBytes(largest))...)
	if err != nil {
		return fmt.Errorf("sink: %w", err)
	}
	s.client = client
	close(s.ready)
	defer client.CloseAllowingRebalance()
	return s.run(ctx)
}

// run starts the goroutines and stops them in order: no more polls, then what is in flight, then the outcomes, then
// the offsets.
func (s *Sink) run(parent context.Context) error {
	ctx, fail := context.WithCancelCause(parent)
	defer fail(nil)
	produce, stopProducing := context.WithCancel(context.WithoutCancel(parent))
	defer stopProducing()
	s.out = &outbox{sink: s, ctx: produce, fail: fail}

	commits, stopCommits := context.WithCancel(context.WithoutCancel(parent))
	defer stopCommits()
	var polling, committing sync.WaitGroup
	polling.Go(func() { s.board.Run(ctx) })
	polling.Go(func() { s.board.Ready(ctx); s.pollLoop(ctx) })
	polling.Go(func() { s.giveUp(ctx, stopProducing) })
	committing.Go(func() { s.commitLoop(commits) })
	committing.Go(func() { s.done.Run(commits) })

	newDispatcher(s).run(ctx)
	close(s.drained)
	polling.Wait()
	flush, cancel := context.WithTimeout(context.WithoutCancel(parent), drainBudget)
	defer cancel()
	_ = s.client.Flush(flush) // what is refused meanwhile is written once more, or has its offset stay open
	s.out.close()
	stopCommits()
	committing.Wait()
	if err := s.client.Flush(flush); err != nil {
		s.log.Warn().Err(err).Msg("outcomes not written in time: their deliveries are sent again")
	}
	s.commit(flush, s.owned(nil))
	s.sender.Close()
	if parent.Err() != nil {
		return nil
	}
	return fmt.Errorf("sink: %w", context.Cause(ctx))
}

// Waits tells what a stop of this sink waits for, and how far that is. It may be called at any time.
func (s *Sink) Waits() string {
	select {
	case <-s.ready:
		return fmt.Sprintf("%d attempts in flight, %d records of outcomes not acknowledged", s.flying.Load(), s.client.BufferedProduceRecords())
	default:
		return "the start"
	}
}

// giveUp stops waiting for brokers that take no outcomes: without it a stop could last as long as their outage.
func (s *Sink) giveUp(ctx context.Context, stopProducing func()) {
	<-ctx.Done()
	select {
	case <-time.After(2 * drainBudget):
		stopProducing()
	case <-s.drained:
	}
}

// options are the caller's, then those that the sink's promises rest on.
func (s *Sink) options() []kgo.Opt {
	t := s.cfg.Topics
	// A partition that is assigned while a fetch of others waits is in the next one only, so a wait is a short one.
	// What a fetch brings waits in memory, and what is large is in no cache when its turn comes.
	opts := append([]kgo.Opt{kgo.FetchMaxWait(fetchWait), kgo.FetchMaxBytes(4 << 20), kgo.FetchMaxPartitionBytes(256 << 10)}, s.cfg.Client...)
	opts = append(opts,
		kgo.ConsumerGroup(s.cfg.Group),
		kgo.ConsumeTopics(t.Webhooks, t.Retry1, t.Retry2, t.Parked),
		kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), // whatever was never finished is still to be sent
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(), // a log that ends in a marker must be committed to its end
		kgo.DisableAutoCommit(),
		kgo.BlockRebalanceOnPoll(),
		kgo.OnPartitionsAssigned(s.assigned),
		kgo.OnPartitionsRevoked(s.revoked),
		kgo.OnPartitionsLost(s.lost),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.RecordPartitioner(wire.Partitioner{Kept: []string{t.Retry1, t.Retry2, t.Parked}}),
	)
	if s.cfg.Instance != "" {
		opts = append(opts, kgo.InstanceID(s.cfg.Instance))
	}
	return opts
}

// findTopics checks that everything is there before anything is read. It returns the size of a batch that all topics
// written here take: a larger one would be refused with every small record in it.
func (s *Sink) findTopics(ctx context.Context) (batchBytes int32, err error) {
	client, err := kgo.NewClient(append(slices.Clone(s.cfg.Client), kgo.MetadataMinAge(kafka.TopicsAgain))...)
	if err != nil {
		return 0, err
	}
	defer client.Close()
	admin, t := kadm.NewClient(client), s.cfg.Topics
	found, err := kafka.FindTopics(ctx, admin, t.Webhooks, t.Retry1, t.Retry2, t.Parked, t.Attempts, t.DeadLetters)
	if err != nil {
		return 0, err
	}
	s.parked, s.total = int32(len(found[t.Parked].Partitions)), 0
	for _, topic := range [...]string{t.Webhooks, t.Retry1, t.Retry2, t.Parked} {
		s.total += len(found[topic].Partitions)
	}
	configs, err := admin.DescribeTopicConfigs(ctx, t.Retry1, t.Retry2, t.Parked, t.Attempts, t.DeadLetters)
	if err != nil {
		return 0, fmt.Errorf("read the limits of topics: %w", err)
	}
	return wire.BatchBytes(configs, maxRecordBytes, s.log), nil
}
