// Package processor turns records of the input topics into decisions: it reads events as a member of a consumer group,
// keeps one trigger.Engine for each of its partitions, and writes fires, user records, journal and offsets in one Kafka
// transaction after another. The disk holds a cache of vigil.state and nothing else. It sends no webhook.
package processor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/campaign"
	"vigil/event"
	"vigil/kafka"
	"vigil/trigger"
)

// Config is what a Processor needs; fields without a comment must be set.
type Config struct {
	Kafka         []kgo.Opt // brokers, identity, security
	Topics        kafka.Topics
	Inputs        []string // event topics with the same partition count and partitioner
	ProfilesTopic string   // optional
	Fields        event.Fields
	Format        string // json or cloudevents
	Start         string // where a new group begins: latest, earliest, or an RFC 3339 time
	Group         string // of the consumer group; the transactional id is GROUP-INSTANCE
	Instance      string // static member id
	DataDir       string // state/<partition>/ is made in it; empty: state in memory only

	Times              trigger.Options
	CommitInterval     time.Duration
	CheckpointInterval time.Duration
	ClockGrace         time.Duration
	Workers            int   // partitions worked on at a time
	CacheBytes         int64 // of user records in memory; 0: DefaultCacheBytes

	Catalog    *campaign.Catalog
	Reload     <-chan *campaign.Catalog // optional: catalogs to adopt
	Log        zerolog.Logger
	Registerer prometheus.Registerer // optional
}

// DefaultCacheBytes bounds the user records that a process keeps in memory; the rest is read from disk when touched.
const DefaultCacheBytes = 1 << 30

// Processor runs the processing of one member of the group.
type Processor struct {
	cfg     Config
	client  *kgo.Client // of adm
	adm     *kadm.Client
	metrics *metrics
	faults  faults

	// Owned by Run.
	count      int32             // partitions of the inputs; 0: not known yet
	topicIDs   map[string]string // of the topics; nil: not known yet
	membership membership

	mu      sync.Mutex
	ready   map[int32]string // what each assigned partition is at; guarded by mu
	away    string           // why it is not in the group; empty: it is. Guarded by mu
	waiting string           // what a stop waits for; guarded by mu
}

// New makes a processor. It errs on a config that cannot work; it speaks to no broker yet.
func New(cfg Config) (*Processor, error) {
	if len(cfg.Inputs) == 0 || cfg.Catalog == nil || cfg.Group == "" || cfg.Instance == "" {
		return nil, errors.New("processor: inputs, catalog, group and instance must be set")
	}
	if _, err := startOffset(cfg.Start); err != nil {
		return nil, err
	}
	cfg.Workers = max(cfg.Workers, 1)
	cfg.Times.BareSkips = true
	if cfg.CacheBytes == 0 {
		cfg.CacheBytes = DefaultCacheBytes
	}
	cl, err := kgo.NewClient(append(slices.Clone(cfg.Kafka), kgo.MetadataMinAge(100*time.Millisecond))...)
	if err != nil {
		return nil, fmt.Errorf("make the admin client: %w", err)
	}
	return &Processor{
		cfg: cfg, client: cl, adm: kadm.NewClient(cl), metrics: newMetrics(cfg.Registerer), ready: map[int32]string{},
		away: "the group is not joined yet",
	}, nil
}

// Run processes until ctx ends, then commits, checkpoints and returns nil. After an error whose outcome is unknown it
// starts again from what Kafka holds; it returns an error only where that is of no use: topics that are gone or have
// another partition count, refused credentials.
func (p *Processor) Run(ctx context.Context) error {
	defer p.adm.Close()
	if _, err := p.findTopics(ctx); err != nil {
		_, err = diagnose(err)
		return unlessStopped(ctx, err)
	}
	wait := 100 * time.Millisecond
	for {
		began := time.Now()
		err := p.session(ctx)
		if ctx.Err() != nil || err == nil {
			return unlessStopped(ctx, err)
		}
		p.faults.addUser(err) // whoever came upon it: a step, a restore, an adoption
		final, err := diagnose(err)
		if final && (errors.Is(err, errTaken) || !errors.Is(err, kerr.FencedInstanceID)) { // fenced: by whom is to be asked
			return err
		}
		if time.Since(began) > time.Minute {
			wait = 100 * time.Millisecond
		}
		p.metrics.restarts.Inc()
		p.leaves("processing starts again from the last commit: " + err.Error())
		p.cfg.Log.Warn().Err(err).Dur("wait", wait).Msg("processing starts again from the last commit")
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		wait = min(2*wait, 10*time.Second)
	}
}

// unlessStopped is err, or nil where a stop is what ended it: there was nothing to finish yet.
func unlessStopped(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// inputs are the topics read, the profiles topic first: at the same rt what is known of a user comes before what the
// user did.
func (p *Processor) inputs() []string {
	if p.cfg.ProfilesTopic == "" {
		return p.cfg.Inputs
	}
	return append([]string{p.cfg.ProfilesTopic}, p.cfg.Inputs...)
}

// Ready tells whether the group is joined and all assigned partitions are restored, and what each is at. One that the
// group gives no partition is ready.
func (p *Processor) Ready() (ok bool, detail []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if ok = p.away == ""; !ok {
		detail = append(detail, p.away)
	}
	for id, at := range p.ready {
		ok = ok && at == stateRunning
		detail = append(detail, fmt.Sprintf("partition %d: %s", id, at))
	}
	slices.Sort(detail)
	return ok, detail
}

const stateRunning = "running"

// joined notes that the group was joined, and which partitions it gave besides those that were ours.
func (p *Processor) joined(got map[string][]int32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.away = ""
	for _, ids := range got {
		for _, id := range ids {
			p.ready[id] = cmp.Or(p.ready[id], "assigned")
		}
	}
}

// leaves notes that the group has us no longer, and why.
func (p *Processor) leaves(why string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.away = why
	clear(p.ready)
}

// status notes what a partition is at; empty: not assigned.
func (p *Processor) status(id int32, at string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at == "" {
		delete(p.ready, id)
	} else {
		p.ready[id] = at
	}
	running := 0
	for _, at := range p.ready {
		if at == stateRunning {
			running++
		}
	}
	p.metrics.partitions.Set(float64(running))
}
