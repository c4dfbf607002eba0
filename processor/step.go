package processor

import (
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/event"
)

// maxSkew is how far, in ms, a record's time may be ahead of the wall clock before it is taken as now (semantics 2.1).
const maxSkew = event.MaxSkewMillis

// step takes what was polled for the partition, one list per input topic, and lets the wall clock settle what is due. A
// panic in the engine ends the session, whose work is undone; the record in hand is a dead letter when it comes again.
func (p *partition) step(batches [][]*kgo.Record, ends *observed) (err error) {
	if p.engine == nil {
		return nil
	}
	p.wall = time.Now()
	defer func() {
		if v := recover(); v != nil {
			p.faults.add(p.record)
			err = fmt.Errorf("partition %d: the engine failed: %v\n%s", p.id, v, debug.Stack())
		}
	}()
	if len(p.next) == 1 {
		if batches != nil {
			if err := p.takeAll(0, batches[0]); err != nil {
				return err
			}
		}
	} else if err := p.merge(batches, ends); err != nil {
		return err
	}
	return p.settle(ends)
}

func (p *partition) takeAll(topic int, records []*kgo.Record) error {
	for i, r := range records {
		if i%expected == 0 {
			p.expect(records[i:min(i+expected, len(records))])
		}
		if err := p.take(topic, r); err != nil {
			return err
		}
	}
	p.record = nil
	p.read[topic] = p.next[topic]
	return nil
}

// expected is of how many records the users are told to the engine before they come.
const expected = 64

// expect tells the engine of whom the next records are, where their keys say so.
func (p *partition) expect(records []*kgo.Record) {
	if p.cfg.Fields.User != "" {
		return
	}
	p.keys = p.keys[:0]
	for _, r := range records {
		p.keys = append(p.keys, r.Key)
	}
	p.engine.Expect(p.keys)
}

// take processes one record: decode, judge, remember. One that is no event becomes a dead letter, and the partition
// moves on.
func (p *partition) take(topic int, r *kgo.Record) error {
	p.next[topic] = r.Offset + 1
	p.moved = true
	p.worked++
	if r.Attrs.IsControl() {
		return nil
	}
	p.record = r
	rt := p.recordTime(r)
	if p.faults.has(r) {
		return p.reject(r, rt, &event.Error{Code: codeFault, Msg: "the engine failed on this record"})
	}
	in := event.Record{
		Key: r.Key, Value: r.Value, RT: rt, Topic: r.Topic, Partition: r.Partition, Offset: r.Offset,
	}
	if len(r.Headers) > 0 {
		in.Header = func(name string) ([]byte, bool) { return header(r, name) }
	}
	if r.Topic == p.cfg.ProfilesTopic {
		name, profile, err := p.decoder.DecodeProfile(in)
		if err != nil {
			return p.reject(r, rt, err)
		}
		return p.engine.ReplaceProfile(name, rt, profile)
	}
	ev, err := p.decoder.Decode(in)
	if err != nil {
		return p.reject(r, rt, err)
	}
	return p.engine.Apply(ev)
}

// recordTime is rt; one too far ahead of the wall clock is taken as now and journalled, so that one producer with a
// wrong clock cannot fire everybody's timers and a replay does the same. So is that of a record without a timestamp,
// which Kafka writes as -1: its event would be one of 1969.
func (p *partition) recordTime(r *kgo.Record) int64 {
	rt, now := r.Timestamp.UnixMilli(), p.wall.UnixMilli()
	if rt >= 0 && rt-now <= maxSkew {
		return rt
	}
	rt = now
	p.metrics.recordSkew.Inc()
	p.journal.Clamps = append(p.journal.Clamps, clamp{r.Topic, r.Offset, rt})
	return rt
}

// reject moves the clock as any record does, and the record to the dead letters.
func (p *partition) reject(r *kgo.Record, rt int64, err error) error {
	var wrong *event.Error
	if !errors.As(err, &wrong) {
		return fmt.Errorf("decode %s/%d at %d: %w", r.Topic, r.Partition, r.Offset, err)
	}
	p.deadLetter(r, wrong)
	return p.engine.Advance(rt)
}
