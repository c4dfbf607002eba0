package sink

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/kafka"
	"vigil/sink/core"
	"vigil/sink/egress"
	"vigil/sink/wire"
	"vigil/webhook"
)

const (
	maxPoll = 256                    // records a poll brings
	pause   = 500 * time.Millisecond // after a poll that brought only errors
)

// leave asks the dispatcher to let go of partitions; idle is closed when nothing of theirs is in flight.
type leave struct {
	parts []*partition
	idle  chan struct{}
}

// pollLoop reads, decodes and hands over until ctx ends. A rebalance can only happen between handing over and the next
// poll, so that the dispatcher knows of every record before it is asked to let its partition go.
func (s *Sink) pollLoop(ctx context.Context) {
	for ctx.Err() == nil {
		fetches := s.client.PollRecords(ctx, maxPoll)
		batch := s.take(fetches)
		if len(batch) > 0 {
			select {
			case s.batches <- batch:
			case <-ctx.Done():
			}
		}
		s.client.AllowRebalance()
		if failed := s.fetchErrors(ctx, fetches); failed && len(batch) == 0 {
			select {
			case <-time.After(pause):
			case <-ctx.Done():
			}
		}
	}
}

// fetchErrors logs what a poll could not read; the client tries again by itself. What no new try mends ends the sink.
func (s *Sink) fetchErrors(ctx context.Context, fetches kgo.Fetches) (failed bool) {
	fetches.EachError(func(topic string, id int32, err error) {
		if ctx.Err() != nil {
			return
		}
		failed = true
		final, told := kafka.Diagnose(err, madeAnew)
		if final {
			s.out.fail(fmt.Errorf("read %s/%d: %w", topic, id, told))
			return
		}
		s.log.Warn().Str("topic", topic).Int32("partition", id).Err(told).Msg("records not read, trying again")
	})
	return failed
}

// madeAnew is of a topic that is not the one any more that this client reads.
var madeAnew = kafka.Remedy{
	Err: kerr.UnknownTopicID, Final: true,
	Do: "the topic was deleted, perhaps made anew; what was in it and not sent is lost. Start again: the sink reads a new one from its beginning",
}

// missed tells of records that were deleted before they were read, and of a topic that is not the one whose offset was
// committed. Both are read from the beginning of what is there, and what was read before waits for no marker.
func (s *Sink) missed(part *partition, tp kgo.FetchTopicPartition) {
	if len(tp.Records) == 0 {
		return
	}
	expected, first := part.expected, tp.Records[0].Offset
	part.expected = tp.Records[len(tp.Records)-1].Offset + 1
	switch {
	case first < expected:
		part.decided.Break()
		s.meter.Lost(1)
		s.log.Error().Str("topic", tp.Topic).Int32("partition", tp.Partition).Int64("expected", expected).Int64("found", first).
			Msg("the topic is not the one that was read before: it was deleted and made anew, or has lost records; what is there is sent")
	case expected >= 0 && tp.LogStartOffset > expected:
		part.decided.Break()
		s.meter.Lost(tp.LogStartOffset - expected)
		s.log.Error().Str("topic", tp.Topic).Int32("partition", tp.Partition).Int64("expected", expected).Int64("found", tp.LogStartOffset).
			Msg("records were deleted before they were sent: give the topic a longer retention than your longest outage")
	}
}

// take notes every offset and decodes what is to be done.
func (s *Sink) take(fetches kgo.Fetches) []*parcel {
	var batch []*parcel
	fetches.EachPartition(func(tp kgo.FetchTopicPartition) {
		part := s.part(tp.Topic, tp.Partition)
		if part == nil { // an injected error has no partition
			return
		}
		s.missed(part, tp)
		for _, r := range tp.Records {
			part.decided.Add(r)
		}
		for r := range part.decided.Ready() {
			if r.Attrs.IsControl() {
				part.Passed(r.Offset, r.LeaderEpoch)
				s.noteChange()
				continue
			}
			if p := s.open(part, r); p != nil {
				batch = append(batch, p)
			}
		}
	})
	return batch
}

// open decodes one record; nil where it was finished before. A record that is no delivery is a parcel too.
func (s *Sink) open(part *partition, r *kgo.Record) *parcel {
	d, err := webhook.DecodeDelivery(r.Value)
	since := r.Timestamp
	if err == nil && !d.DecidedAt.IsZero() && wire.Origin(r) == webhook.OriginAuto { // a replay waits since it was written
		since = d.DecidedAt
	}
	seq, fresh := part.Fetched(r.Offset, r.LeaderEpoch, since)
	if !fresh {
		s.noteChange()
		return nil
	}
	p := &parcel{d: d, bad: err, record: r, part: part, seq: seq}
	if e, known := part.recalled[r.Offset]; known && e.ID == p.identity() {
		if p.answered = int(e.Status); p.answered == 0 {
			part.Finish(seq)
			s.noteChange()
			return nil
		}
	}
	if d == nil {
		return p
	}
	p.lane = egress.Key(d)
	return p
}

// part is the tracker of a partition that this member owns, or nil.
func (s *Sink) part(topic string, id int32) *partition {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.parts[topic][id]
}

// owned are the trackers of the given partitions, or of all for nil.
func (s *Sink) owned(which map[string][]int32) []*partition {
	s.mu.Lock()
	defer s.mu.Unlock()
	var parts []*partition
	if which == nil {
		for _, ids := range s.parts {
			for _, p := range ids {
				parts = append(parts, p)
			}
		}
		return parts
	}
	for topic, ids := range which {
		for _, id := range ids {
			if p := s.parts[topic][id]; p != nil {
				parts = append(parts, p)
			}
		}
	}
	return parts
}

// assigned starts to track partitions, from what their last owner had done.
func (s *Sink) assigned(ctx context.Context, client *kgo.Client, added map[string][]int32) {
	if len(added) == 0 {
		return
	}
	<-s.ready
	client.ResumeFetchPartitions(added) // one that left while paused may have come back
	s.mu.Lock()
	for topic, ids := range added {
		if s.parts[topic] == nil {
			s.parts[topic] = map[int32]*partition{}
		}
		for _, id := range ids {
			s.parts[topic][id] = &partition{topic: topic, id: id, tier: s.tierOf(topic, id)}
		}
	}
	s.countParts()
	s.mu.Unlock()
	s.recall(ctx, s.owned(added))
}

// tierOf is the tier of a partition.
func (s *Sink) tierOf(topic string, id int32) core.Tier {
	switch topic {
	case s.cfg.Topics.Webhooks:
		return core.TierFirst
	case s.cfg.Topics.Retry1:
		return core.TierRetry1
	case s.cfg.Topics.Retry2:
		return core.TierRetry2
	}
	if id < s.parked/2 {
		return core.TierShort
	}
	return core.TierLong
}

// revoked lets partitions go in order: nothing new, a while for what is in flight, the outcomes, the offsets.
func (s *Sink) revoked(_ context.Context, client *kgo.Client, gone map[string][]int32) {
	<-s.ready
	parts := s.owned(gone)
	if len(parts) == 0 {
		return
	}
	budget, cancel := context.WithTimeout(context.Background(), drainBudget)
	defer cancel()
	s.letGo(budget, parts)
	flush, cancelFlush := context.WithTimeout(context.Background(), drainBudget)
	defer cancelFlush()
	if err := client.Flush(flush); err != nil {
		s.log.Warn().Err(err).Msg("outcomes not written before a partition left: its deliveries may be sent again")
	}
	s.commit(flush, parts)
	s.forget(gone)
}

// lost forgets partitions that another member has already: nothing is committed.
func (s *Sink) lost(_ context.Context, _ *kgo.Client, gone map[string][]int32) {
	parts := s.owned(gone)
	s.forget(gone)
	now, cancel := context.WithCancel(context.Background())
	cancel()
	s.letGo(now, parts)
}

// letGo has the dispatcher drop what waits, and waits for what is in flight as long as ctx allows.
func (s *Sink) letGo(ctx context.Context, parts []*partition) {
	l := &leave{parts: parts, idle: make(chan struct{})}
	select {
	case s.leaves <- l:
	case <-s.drained:
		return
	}
	select {
	case <-l.idle:
	case <-s.drained:
	case <-ctx.Done():
	}
}

func (s *Sink) forget(gone map[string][]int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for topic, ids := range gone {
		for _, id := range ids {
			delete(s.parts[topic], id)
		}
	}
	s.countParts()
}

// countParts counts the partitions of this member; the caller holds mu.
func (s *Sink) countParts() {
	n := 0
	for _, ids := range s.parts {
		n += len(ids)
	}
	s.ours.Store(int32(n))
}

// share is the part of all partitions that this member owns: its part of what an endpoint may be asked to bear.
func (s *Sink) share() float64 { return float64(s.ours.Load()) / float64(max(1, s.total)) }
