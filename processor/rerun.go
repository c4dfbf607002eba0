package processor

import (
	"context"
	"fmt"
	"runtime/debug"

	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/campaign"
	"vigil/event"
	"vigil/kafka"
	"vigil/trigger"
)

// Rerun does once more what processors did to one partition: from its records and its journal, in the order in which
// they took effect, it makes what they must have written. It writes nothing itself and asks no clock for a decision. It
// has one caller; after an error it is of no more use.
type Rerun struct {
	id      int32
	topics  kafka.Topics
	write   func(*kgo.Record)
	metrics *metrics
	part    *partition // nil until opened
	taken   int
}

// commitEvery is how many records share one undo log.
const commitEvery = 256

// NewRerun makes a run of a partition from its beginning. Each record that processors wrote for somebody else, a fire or
// a dead letter, is handed to write while the call that makes it runs.
func NewRerun(topics kafka.Topics, partition int32, write func(*kgo.Record)) *Rerun {
	return &Rerun{id: partition, topics: topics, write: write, metrics: newMetrics(nil)}
}

// Open takes the partition up at cuts as owner did. It begins with nothing known where owner did, or where nothing was
// opened before. Adopt follows.
func (r *Rerun) Open(owner *Owner, cuts map[string]int64, cat *campaign.Catalog) error {
	if r.part != nil {
		r.commit() // as the owner before did
	}
	cfg := owner.config()
	cfg.Topics, cfg.Log, cfg.Catalog = r.topics, zerolog.Nop(), cat
	part := newPartition(&session{Processor: &Processor{cfg: cfg, metrics: r.metrics}, inputs: owner.Inputs}, r.id)
	part.decoder = event.NewDecoder(cfg.Fields, cfg.Format)
	for i, topic := range owner.Inputs {
		part.next[i] = cuts[topic]
	}
	if r.part == nil || owner.Empty {
		part.engine = trigger.New(cat, cfg.Times, func(d *trigger.Decision) { r.part.decided(d) })
	} else {
		part.engine = r.part.engine
		part.engine.SetOptions(cfg.Times)
	}
	r.part = part
	return nil
}

// Adopt switches to other campaigns, as a reload does, between two transactions: what a campaign that was gone has left
// behind is forgotten when the users who acted meanwhile are committed. What those among them that are new ask of the
// past is read first, with LookBack, or counts as not there.
func (r *Rerun) Adopt(cat *campaign.Catalog) error {
	r.commit()
	return r.do(nil, func(p *partition) error {
		p.cfg.Catalog = cat
		err := p.engine.SetCatalog(cat)
		if p.hindsight == nil {
			p.engine.Adopt()
			return err
		}
		for h := p.hindsight; err == nil && !h.grafted(); {
			err = h.graft(p.engine, graftUsers)
		}
		p.hindsight = nil
		p.engine.Adopt()
		return err
	})
}

// LookBack reads the past that the campaigns of cat took in when they were adopted, with clients made of opts, for the
// Adopt that follows.
func (r *Rerun) LookBack(ctx context.Context, opts []kgo.Opt, m Move, cat *campaign.Catalog) error {
	p := r.part
	fresh := p.engine.Fresh(cat)
	if len(fresh) == 0 {
		return nil // taken in before; an adoption may be journalled more than once
	}
	h := look(p.engine, fresh, &p.cfg, m.Past.Until)
	h.past.From = m.Past.From
	p.hindsight = h
	return h.read(ctx, opts, pastSpan{p.id, p.cfg.Inputs, m.Cuts}, func(int64) {})
}

// Advance lets the wall clock move the partition's.
func (r *Rerun) Advance(clock int64) error {
	return r.do(nil, func(p *partition) error { return p.engine.Advance(clock) })
}

// Take processes a record of the i-th input at the record time rt. One that is a fault of the engine in the journal is
// passed over as it was.
func (r *Rerun) Take(i int, record *kgo.Record, rt int64, isFault bool) error {
	return r.do(record, func(p *partition) error {
		if isFault {
			p.faults.add(record)
		}
		p.record = record
		p.pass(i, record, rt)
		if record.Attrs.IsControl() {
			return nil
		}
		return p.judge(record, rt)
	})
}

// Skip passes over records of the i-th input that are no more.
func (r *Rerun) Skip(i int, next int64) { r.part.next[i] = next }

// Next is the offset at which the i-th input goes on.
func (r *Rerun) Next(i int) int64 { return r.part.next[i] }

// Inputs are the topics of the owner, in its order; nil before Open.
func (r *Rerun) Inputs() []string {
	if r.part == nil {
		return nil
	}
	return r.part.inputs()
}

// Clock is the partition's; math.MinInt64 before the first record.
func (r *Rerun) Clock() int64 { return r.part.engine.Clock() }

// do runs one step and hands on what it made.
func (r *Rerun) do(record *kgo.Record, step func(*partition) error) (err error) {
	p := r.part
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("the engine failed: %v\n%s", v, debug.Stack())
		}
		if err != nil && record != nil {
			err = fmt.Errorf("%s/%d at %d: %w", record.Topic, record.Partition, record.Offset, err)
		}
	}()
	if err := step(p); err != nil {
		return err
	}
	for _, made := range p.out {
		r.write(made)
	}
	p.clear()
	p.record = nil
	if r.taken++; r.taken%commitEvery == 0 {
		r.commit()
	}
	return nil
}

// commit ends an undo log.
func (r *Rerun) commit() {
	r.part.engine.Changes(func(string, []byte) {})
	r.part.engine.Commit()
}
