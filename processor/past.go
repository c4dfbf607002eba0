package processor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/campaign"
	"vigil/event"
	"vigil/kafka"
	"vigil/trigger"
)

// A campaign with `history` (semantics 2.10) that a partition adopts for the first time reads the past of the inputs up to
// where the partition stands: silently, by an engine of its own, while the partition waits. Where that began is
// journalled, for with it what was read is a function of the inputs. The partition's engine then takes it in by pieces,
// each in a transaction; only when the last one is committed the campaign counts as adopted, else all begins anew.

const (
	graftUsers = 5_000 // taken in by one step
	pastCommit = 1024  // records of the past that share one undo log
	pastFetch  = 4 << 20
)

// Past is what a partition read of the past when it adopted campaigns with history. Where it ended are the cuts of its
// Move.
type Past struct {
	From  map[string]int64 `json:"from"`     // per input topic, the first offset
	Until int64            `json:"until_ms"` // where the history ends that a campaign asks for: the clock at the adoption
}

// hindsight is what campaigns make of the past. Those that ask for as much of it share an engine.
type hindsight struct {
	past    Past
	engines []*trigger.Engine
	since   []int64 // ms; an engine is not told of what was before
	decoder *event.Decoder
	taken   int
	which   int // of the engines is taken in
	at      int // its users before are
}

// look makes the hindsight of campaigns that are fresh to an engine, which must stand still until it is grafted. The clock
// of a partition that has none yet is now.
func look(engine *trigger.Engine, fresh []*campaign.Campaign, cfg *Config, now int64) *hindsight {
	h := &hindsight{past: Past{From: map[string]int64{}, Until: engine.Clock()}, decoder: event.NewDecoder(cfg.Fields, cfg.Format)}
	if h.past.Until == math.MinInt64 {
		h.past.Until = now
	}
	fresh = slices.Clone(fresh)
	slices.SortFunc(fresh, func(a, b *campaign.Campaign) int {
		return cmp.Or(-cmp.Compare(a.History, b.History), cmp.Compare(a.ID, b.ID))
	})
	for len(fresh) > 0 {
		n := slices.IndexFunc(fresh, func(c *campaign.Campaign) bool { return c.History != fresh[0].History })
		if n < 0 {
			n = len(fresh)
		}
		h.engines = append(h.engines, engine.Past(fresh[:n]))
		h.since = append(h.since, h.past.Until-fresh[0].History)
		fresh = fresh[n:]
	}
	return h
}

// begin is where the longest of the histories begins, in ms.
func (h *hindsight) begin() int64 { return h.since[0] }

// recordTime is rt of a record of the past: never later than the end of it.
func (h *hindsight) recordTime(r *kgo.Record) int64 {
	if rt := r.Timestamp.UnixMilli(); rt >= 0 {
		return min(rt, h.past.Until)
	}
	return h.past.Until
}

// take tells the engines of one record. What is no event was a dead letter in its time.
func (h *hindsight) take(r *kgo.Record) error {
	if r.Attrs.IsControl() {
		return nil
	}
	in := event.Record{
		Key: r.Key, Value: r.Value, RT: h.recordTime(r), Topic: r.Topic, Partition: r.Partition, Offset: r.Offset,
		Header: func(name string) ([]byte, bool) { return header(r, name) },
	}
	ev, err := h.decoder.Decode(in)
	if err != nil {
		var wrong *event.Error
		if errors.As(err, &wrong) {
			return nil
		}
		return err
	}
	h.taken++
	for i, engine := range h.engines {
		if in.RT < h.since[i] {
			continue
		}
		if err := engine.Apply(ev); err != nil {
			return err
		}
		if h.taken%pastCommit == 0 {
			engine.Changes(func(string, []byte) {})
			engine.Commit()
		}
	}
	return nil
}

// arrive ends the reading.
func (h *hindsight) arrive() error {
	for _, engine := range h.engines {
		if err := engine.Arrive(); err != nil {
			return err
		}
	}
	return nil
}

// graft takes up to most users of the hindsight into the engine.
func (h *hindsight) graft(into *trigger.Engine, most int) error {
	at, through, err := into.Graft(h.engines[h.which], h.at, most)
	if err != nil {
		return err
	}
	if h.at = at; through {
		h.at, h.which = 0, h.which+1
	}
	return nil
}

// grafted tells whether all is taken in.
func (h *hindsight) grafted() bool { return h.which == len(h.engines) }

// again is for when a transaction aborted: what is taken in twice is as if once.
func (h *hindsight) again() { h.which, h.at = 0, 0 }

// read reads the past of a partition from the offsets in h.past.From to those in cuts, as one stream in the order
// (rt, topic, offset) of semantics 2.1, and tells told now and then how many records are left.
func (h *hindsight) read(ctx context.Context, opts []kgo.Opt, at pastSpan, told func(left int64)) error {
	var reels []*reel
	defer func() {
		for _, r := range reels {
			r.client.Close()
		}
	}()
	for _, topic := range at.topics {
		if h.past.From[topic] >= at.cuts[topic] {
			continue
		}
		r, err := h.reel(opts, at, topic)
		if err != nil {
			return err
		}
		reels = append(reels, r)
	}
	for n := 0; ; n++ {
		var best *reel
		for _, r := range reels {
			if there, err := r.peek(ctx); err != nil {
				return err
			} else if there && (best == nil || h.recordTime(r.ready[0]) < h.recordTime(best.ready[0])) {
				best = r
			}
		}
		if best == nil {
			return h.arrive()
		}
		if n%pastCommit == 0 {
			told(left(reels))
		}
		if err := h.take(best.take()); err != nil {
			return err
		}
	}
}

// pastSpan is which past is read.
type pastSpan struct {
	partition int32
	topics    []string // with events, in the order of the configuration
	cuts      map[string]int64
}

// reel reads one partition of a topic from an offset up to an end.
type reel struct {
	client    *kgo.Client
	topic     string
	next, end int64
	undecided kafka.Decided
	ready     []*kgo.Record
}

// reel is that of a topic.
func (h *hindsight) reel(opts []kgo.Opt, at pastSpan, topic string) (*reel, error) {
	from := h.past.From[topic]
	client, err := kgo.NewClient(append(slices.Clone(opts),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {at.partition: kgo.NewOffset().At(from)}}),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(), // a log may end in one
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchMaxPartitionBytes(pastFetch), kgo.FetchMaxBytes(2*pastFetch),
	)...)
	if err != nil {
		return nil, fmt.Errorf("read the past of %s: %w", topic, err)
	}
	return &reel{client: client, topic: topic, next: from, end: at.cuts[topic]}, nil
}

// peek makes sure that a record is ready; false at the end.
func (r *reel) peek(ctx context.Context) (bool, error) {
	for len(r.ready) == 0 && r.next < r.end {
		polling, cancel := context.WithTimeout(ctx, restoreTimeout)
		fetches := r.client.PollFetches(polling)
		cancel()
		if ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
		if err := fetches.Err(); err != nil {
			return false, fmt.Errorf("read the past of %s at %d: %w", r.topic, r.next, err)
		}
		r.ready = decide(&r.undecided, fetches.Records(), nil)
	}
	return len(r.ready) > 0 && r.ready[0].Offset < r.end, nil
}

func (r *reel) take() *kgo.Record {
	first := r.ready[0]
	r.ready, r.next = r.ready[1:], first.Offset+1
	return first
}

func left(reels []*reel) (n int64) {
	for _, r := range reels {
		n += max(r.end-r.next, 0)
	}
	return n
}

// lookBack reads the past of a restored partition for the campaigns that are fresh to it, if any are.
func (s *session) lookBack(ctx context.Context, r *restored) error {
	r.hindsight = nil
	fresh := r.engine.Fresh(r.catalog)
	if len(fresh) == 0 {
		return nil
	}
	part := r.part
	h := look(r.engine, fresh, &s.cfg, time.Now().UnixMilli())
	span := pastSpan{part.id, s.cfg.Inputs, part.cuts()}
	starts, err := s.adm.ListOffsetsAfterMilli(ctx, h.begin(), s.cfg.Inputs...)
	if err != nil {
		return fmt.Errorf("find where the past begins: %w", err)
	}
	for _, topic := range s.cfg.Inputs {
		l, ok := starts.Lookup(topic, part.id)
		if !ok || l.Err != nil {
			return fmt.Errorf("find where the past of %s/%d begins: %w", topic, part.id, errors.Join(l.Err))
		}
		h.past.From[topic] = min(l.Offset, span.cuts[topic])
	}
	began := time.Now()
	err = h.read(ctx, s.cfg.Kafka, span, func(left int64) {
		s.status(part.id, fmt.Sprintf("reading the past, %d records to go", left))
	})
	if err != nil {
		return err
	}
	r.hindsight = h
	s.cfg.Log.Info().Int32("partition", part.id).Int("campaigns", len(fresh)).Int("events", h.taken).
		Dur("took", time.Since(began)).Msg("the past was read")
	return nil
}

// adoptLater takes a running partition out of work until the past of campaigns that are fresh to it is read. What comes
// for it meanwhile waits.
func (s *session) adoptLater(ctx context.Context, part *partition, cat *campaign.Catalog) {
	s.checkpointed(part, true)
	r := &restored{
		part: part, catalog: cat, engine: part.engine, store: part.store, topicID: part.topicID, offset: part.offset, tail: part.tail,
		stored: part.stored,
	}
	part.engine, part.store = nil, nil
	stopped := map[string][]int32{}
	for i, topic := range s.inputs {
		stopped[topic], part.held[i] = []int32{part.id}, false
	}
	s.kafka.Client().PauseFetchPartitions(stopped)
	s.background(ctx, r, s.lookBack)
}

// background brings a partition to where install puts it to work.
func (s *session) background(ctx context.Context, r *restored, bring func(context.Context, *restored) error) {
	id := r.part.id
	s.status(id, "restoring")
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s.restores[id] = cancel
	r.began = time.Now()
	s.group.Go(func() error {
		if r.err = bring(ctx, r); r.err != nil {
			r.err = fmt.Errorf("restore partition %d: %w", id, r.err)
		}
		s.tell(change{restored: r})
		return nil
	})
}

// graft takes a piece of the past into the engine; the last one makes the adoption complete.
func (p *partition) graft() error {
	if err := p.hindsight.graft(p.engine, graftUsers); err != nil {
		return err
	}
	if p.hindsight.grafted() {
		p.engine.Adopt()
	}
	p.moved, p.more = true, true
	p.weigh()
	return nil
}
