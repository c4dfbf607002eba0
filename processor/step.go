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

// step takes what was polled for the partition, one list per input topic, and lets the wall clock settle what is due,
// until the load is enough: more says that there is more to do at once. A panic in the engine ends the session, whose work is undone; the record in hand is a dead letter when it comes again.
func (p *partition) step(batches [][]*kgo.Record, ends *observed) (err error) {
	p.wall, p.more, p.settles = time.Now(), false, 0
	for i := range batches {
		if len(p.queue[i]) == 0 {
			p.queue[i] = batches[i]
		} else {
			p.queue[i] = append(p.queue[i], batches[i]...)
		}
		if n := len(batches[i]); n > 0 {
			p.read[i] = batches[i][n-1].Offset + 1
		}
	}
	if p.engine == nil {
		return nil
	}
	if p.hindsight != nil && !p.hindsight.grafted() {
		return p.graft()
	}
	defer func() {
		if v := recover(); v != nil {
			p.faults.add(p.record)
			err = fmt.Errorf("partition %d: the engine failed: %v\n%s", p.id, v, debug.Stack())
		}
	}()
	if err := p.follow(); err != nil || p.more {
		return err
	}
	if len(p.next) == 1 {
		err = p.takeAll()
	} else {
		err = p.merge(ends)
	}
	p.record = nil
	if err != nil || p.more {
		return err
	}
	return p.settle(ends)
}

// takeAll takes the records of the only input.
func (p *partition) takeAll() error {
	for i := 0; len(p.queue[0]) > 0; i++ {
		q := p.queue[0]
		if i%expected == 0 {
			p.expect(q[:min(expected, len(q))])
		}
		if taken, err := p.take(0, q[0], p.recordTime(q[0])); !taken || err != nil {
			return err
		}
		p.queue[0] = q[1:]
	}
	p.queue[0] = nil // what a poll brought is let go
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

// take processes one record: settle what its time makes due, decode, judge, remember. One that is no event becomes a
// dead letter, and the partition moves on. Once the load is enough the record is not taken and comes again.
func (p *partition) take(topic int, r *kgo.Record, rt int64) (taken bool, err error) {
	if p.weigh() || p.jottedEnough() {
		p.more = true
		return false, nil
	}
	p.record = r
	if r.Attrs.IsControl() {
		p.pass(topic, r, rt)
		return true, nil
	}
	if p.engine.NextDue() <= max(rt, p.engine.Clock()) {
		if arrived, err := p.advance(rt); !arrived || err != nil {
			return false, err
		}
	}
	p.pass(topic, r, rt)
	return true, p.judge(r, rt)
}

// pass moves the position behind a record.
func (p *partition) pass(topic int, r *kgo.Record, rt int64) {
	if rt != r.Timestamp.UnixMilli() {
		p.metrics.recordSkew.Inc()
		p.journal.Clamps = append(p.journal.Clamps, Clamp{r.Topic, r.Offset, rt})
		p.jotted += jotBytes + len(r.Topic)
	}
	p.next[topic] = r.Offset + 1
	p.moved = true
	p.worked++
}

// judge decodes a record and hands it to the engine, whose clock is at its time.
func (p *partition) judge(r *kgo.Record, rt int64) error {
	if p.faults.has(r) {
		p.journal.Faults = append(p.journal.Faults, Place{r.Topic, r.Offset})
		p.jotted += jotBytes + len(r.Topic)
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

// recordTime is rt; one too far ahead of the wall clock is taken as now, and journalled once the record is taken, so
// that one producer with a wrong clock cannot fire everybody's timers and a replay does the same. So is that of a record
// without a timestamp, which Kafka writes as -1: its event would be one of 1969.
func (p *partition) recordTime(r *kgo.Record) int64 {
	rt, now := r.Timestamp.UnixMilli(), p.wall.UnixMilli()
	if rt >= 0 && rt-now <= maxSkew {
		return rt
	}
	return now
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
