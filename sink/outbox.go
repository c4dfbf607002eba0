package sink

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/kafka"
	"vigil/sink/core"
	"vigil/sink/wire"
	"vigil/webhook"
)

// outbox writes what became of a delivery and marks its offset done when all of that is acked. Workers and the
// dispatcher use it at a time.
type outbox struct {
	sink *Sink
	ctx  context.Context // ends when the stop's budget is spent: what is not acked then stays open
	fail context.CancelCauseFunc

	mu     sync.Mutex
	closed bool           // guarded by mu; nothing is begun any more
	late   sync.WaitGroup // outcomes written from a promise; added to with mu
}

// later runs what a promise may not wait for; once the outbox is closed it is left undone, and its offset open.
func (o *outbox) later(f func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.closed {
		o.late.Go(f)
	}
}

// close waits for what was begun so.
func (o *outbox) close() {
	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
	o.late.Wait()
}

// outcome is one delivery's set of records on their way.
type outcome struct {
	parcel *parcel
	left   atomic.Int32
	failed atomic.Bool
}

// settle writes a fate: the attempt first, then what carries the delivery on.
func (o *outbox) settle(p *parcel, f core.Fate) {
	now := time.Now()
	o.sink.meter.Settled(f)
	records := make([]*kgo.Record, 0, 2)
	if f.Outcome != webhook.Parked || p.part.tier < core.TierShort { // going round in the parking is no news
		o.log(p, f)
		records = append(records, o.attempt(p, f, now))
	}
	switch f.Outcome {
	case webhook.Retry, webhook.Parked:
		records = append(records, o.carry(p, f))
	case webhook.Delivered:
		o.sink.note(p, f.Answer.Status)
	default:
		records = append(records, o.dead(p, f.Code, f.Reason))
	}
	o.write(p, records)
}

// poison writes what is no delivery at all.
func (o *outbox) poison(p *parcel) {
	o.sink.meter.Poison()
	o.where(o.sink.log.Warn(), p.record).Str("outcome", string(webhook.Dead)).Str("reason", core.CodePoison).Err(p.bad).Msg("delivery")
	o.write(p, []*kgo.Record{o.dead(p, core.CodePoison, core.Cut(p.bad.Error(), webhook.MaxReasonBytes))})
}

func (o *outbox) write(p *parcel, records []*kgo.Record) {
	out := &outcome{parcel: p}
	out.left.Store(int32(len(records)))
	for _, r := range records {
		o.sink.client.Produce(o.ctx, r, func(r *kgo.Record, err error) { o.acked(out, r, err) })
	}
}

// acked runs on the client's own goroutine and must not wait for it: whatever writes again does so elsewhere.
func (o *outbox) acked(out *outcome, r *kgo.Record, err error) {
	switch {
	case err == nil:
		if out.left.Add(-1) == 0 && !out.failed.Load() {
			o.sink.finish(out.parcel)
		}
	case o.ctx.Err() != nil || errors.Is(err, kgo.ErrClientClosed): // we stop: the offset stays open
		out.failed.Store(true)
	case errors.As(err, new(net.Error)): // the client gives a record up that it could not begin with
		o.later(func() { o.again(out, r) })
	case errors.Is(err, kerr.MessageTooLarge) && r.Topic != o.sink.cfg.Topics.Attempts:
		out.failed.Store(true)
		o.later(func() { o.tooLarge(out.parcel, r) })
	default:
		out.failed.Store(true)
		_, told := kafka.Diagnose(err)
		o.fail(fmt.Errorf("write to %s: %w", r.Topic, told))
	}
}

// again writes a record once more after a pause; where the stop's budget ends first, its offset stays open.
func (o *outbox) again(out *outcome, r *kgo.Record) {
	select {
	case <-time.After(pause):
	case <-o.ctx.Done():
	}
	o.sink.client.Produce(o.ctx, r, func(r *kgo.Record, err error) { o.acked(out, r, err) })
}

// tooLarge deals with a record that the broker does not take: what would be carried on becomes a dead letter, and a
// dead letter loses its value. Nothing may stop a partition.
func (o *outbox) tooLarge(p *parcel, r *kgo.Record) {
	why := strconv.Itoa(len(r.Value)) + " bytes are more than " + r.Topic + " takes"
	if r.Topic != o.sink.cfg.Topics.DeadLetters {
		o.settle(p, core.Fate{Outcome: webhook.Dead, Code: core.CodeTooLarge, Reason: why, Attempts: p.d.Attempt - 1})
		return
	}
	short := o.dead(p, core.CodeTooLarge, why+"; the value is still at the topic, partition and offset named here")
	if r.Value == nil {
		o.fail(fmt.Errorf("write to %s: %w", r.Topic, kerr.MessageTooLarge))
		return
	}
	short.Value = nil
	o.write(p, []*kgo.Record{short})
}

// attempt is the line of the delivery log.
func (o *outbox) attempt(p *parcel, f core.Fate, now time.Time) *kgo.Record {
	d := p.d
	a := webhook.Attempt{
		V: webhook.Version, FireID: d.FireID, Campaign: d.Campaign, User: d.User, Endpoint: p.lane, Attempt: f.Attempts,
		Outcome: f.Outcome, Reason: f.Reason, At: now, NextAt: f.Next, Origin: wire.Origin(p.record),
	}
	if f.Answer != nil {
		a.Status, a.LatencyMS, a.Remote = f.Answer.Status, f.Answer.Latency.Milliseconds(), f.Answer.Remote
		a.At, a.Response = now.Add(-f.Answer.Latency), f.Answer.Body
	}
	return &kgo.Record{Topic: o.sink.cfg.Topics.Attempts, Key: []byte(d.FireID), Value: a.Encode()}
}

// carry is the delivery on its way to a retry or parked topic.
func (o *outbox) carry(p *parcel, f core.Fate) *kgo.Record {
	d := *p.d
	d.Attempt, d.NotBefore = f.Attempts+1, f.Next
	t, half := o.sink.cfg.Topics, o.sink.parked/2
	r := &kgo.Record{Key: p.record.Key, Value: d.Encode(), Headers: p.record.Headers, Partition: p.part.id}
	switch f.To {
	case core.TierRetry1:
		r.Topic = t.Retry1
	case core.TierRetry2:
		r.Topic = t.Retry2
	default:
		r.Topic = t.Parked
		if half > 0 {
			r.Partition %= half
		}
		if f.To == core.TierLong {
			r.Partition += half
		}
	}
	return r
}

func (o *outbox) dead(p *parcel, code, reason string) *kgo.Record {
	return wire.DeadLetter(o.sink.cfg.Topics.DeadLetters, p.record, code, reason)
}

// log is the one line for a fate.
func (o *outbox) log(p *parcel, f core.Fate) {
	level := zerolog.InfoLevel
	if f.Outcome == webhook.Dead {
		level = zerolog.WarnLevel
	}
	e := o.sink.log.WithLevel(level)
	if level < o.sink.log.GetLevel() {
		return
	}
	e = o.where(e, p.record).Str("campaign", p.d.Campaign).Str("user", p.d.User).Str("fire_id", p.d.FireID).
		Str("endpoint", p.lane).Int("attempt", f.Attempts).Str("outcome", string(f.Outcome))
	if f.Code != "" {
		e = e.Str("code", f.Code)
	}
	if f.Reason != "" {
		e = e.Str("reason", f.Reason)
	}
	if f.Answer != nil {
		e = e.Dur("latency", f.Answer.Latency)
		if f.Answer.Err != nil {
			e = e.Str("error", core.Cut(f.Answer.Err.Error(), 512))
		}
	}
	e.Msg("delivery")
}

func (o *outbox) where(e *zerolog.Event, r *kgo.Record) *zerolog.Event {
	return e.Str("topic", r.Topic).Int32("partition", r.Partition).Int64("offset", r.Offset)
}
