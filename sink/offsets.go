package sink

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"vigil/kafka"
	"vigil/sink/completion"
	"vigil/sink/core"
	"vigil/sink/wire"
)

// The order of durability, for every delivery (delivery 2, I1):
//
//  1. the attempt is made;
//  2. the records that carry its outcome are produced: attempts, and retry, parked or dead letter where there is one;
//  3. all of them are acked: the offset is done;
//  4. the watermark, below which everything is done, is committed together with a bitmap of what is done above it.
//
// A crash between 1 and 2 or 2 and 3 makes the same attempt again: a duplicate, never a loss. Between 3 and 4 as well;
// with 2 complete a retry may then exist twice. After 4 nothing is repeated. The completion file of this instance, never
// synced, saves from most of that: right after 1 it notes a success, whose outcome the next life writes instead of sending
// again, and right after 3 that the offset is done.

const commitInterval = 200 * time.Millisecond

// partition is one partition that this member owns.
type partition struct {
	core.Track
	topic string
	id    int32
	tier  core.Tier

	expected int64                      // the offset that comes next, below 0 where that is not known; set before the first fetch, then of the poll loop
	decided  kafka.Decided              // of the poll loop: what was read and is not known to be committed yet
	recalled map[int64]completion.Entry // by offset, what the completion file knows; set before the first fetch

	// Owned by the dispatcher.
	inFlight int
	paused   bool
	leaving  bool
}

// commitLoop commits at most every commitInterval while something changes, until ctx ends.
func (s *Sink) commitLoop(ctx context.Context) {
	for {
		select {
		case <-s.changed:
		case <-ctx.Done():
			return
		}
		select {
		case <-time.After(commitInterval):
		case <-ctx.Done():
			return
		}
		s.commit(ctx, s.owned(nil))
	}
}

// noteChange wakes the commit loop.
func (s *Sink) noteChange() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// commit commits the watermarks of the partitions that changed. One commit runs at a time, so that an older watermark
// never follows a newer one.
func (s *Sink) commit(ctx context.Context, parts []*partition) {
	s.commitMu.Lock()
	defer s.commitMu.Unlock()
	offsets := map[string]map[int32]kgo.EpochOffset{}
	metas := map[string]map[int32]string{}
	var sent []*partition
	for _, p := range parts {
		offset, epoch, meta, ok := p.Commit()
		if !ok {
			continue
		}
		if offsets[p.topic] == nil {
			offsets[p.topic], metas[p.topic] = map[int32]kgo.EpochOffset{}, map[int32]string{}
		}
		offsets[p.topic][p.id] = kgo.EpochOffset{Epoch: epoch, Offset: offset}
		metas[p.topic][p.id] = meta
		sent = append(sent, p)
	}
	if len(sent) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, drainBudget)
	defer cancel()
	ctx = kgo.PreCommitFnContext(ctx, func(req *kmsg.OffsetCommitRequest) error { return wire.PutMetadata(req, metas) })
	s.client.CommitOffsetsSync(ctx, offsets, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse, err error) {
		if err == nil {
			err = wire.CommitError(resp)
		}
		if err == nil {
			return
		}
		for _, p := range sent {
			p.Again()
		}
		s.noteChange()
		final, told := kafka.Diagnose(err)
		switch {
		case final:
			s.out.fail(fmt.Errorf("commit offsets: %w", told))
		case ctx.Err() == nil:
			s.log.Warn().Err(told).Msg("offsets not committed, trying again")
		}
	})
}

// recall reads back what is known of newly assigned partitions: the bitmaps, and what this instance itself has done
// since the last commit.
func (s *Sink) recall(ctx context.Context, parts []*partition) {
	committed, err := kadm.NewClient(s.client).FetchOffsets(ctx, s.cfg.Group)
	if err != nil {
		s.log.Warn().Err(err).Msg("commit metadata not read: what was finished above the watermark is sent again")
	}
	mine := map[core.Tier]map[int32]*partition{}
	for _, p := range parts {
		if err != nil {
			p.expected = -1
		}
		if o, ok := committed.Lookup(p.topic, p.id); ok && o.Err == nil {
			p.Resume(o.At, o.Metadata)
			p.expected = max(o.At, 0)
		}
		if mine[p.tier] == nil {
			mine[p.tier] = map[int32]*partition{}
		}
		mine[p.tier][p.id] = p
	}
	noted := s.done.Recall(func(tier uint16, id int32) bool { return mine[core.Tier(tier)][id] != nil })
	s.mu.Lock()
	defer s.mu.Unlock()
	for at, e := range noted {
		p := mine[core.Tier(at.Topic)][at.Partition]
		if p.recalled == nil {
			p.recalled = map[int64]completion.Entry{}
		}
		p.recalled[at.Offset] = e
	}
}

// finish marks a delivery done: what carries its outcome is acked.
func (s *Sink) finish(p *parcel) {
	p.part.Finish(p.seq)
	s.note(p, 0)
	s.noteChange()
}

// note writes to the completion file: the status of an answer, or 0 for what is done.
func (s *Sink) note(p *parcel, status int) {
	s.done.Note(completion.Place{Topic: uint16(p.part.tier), Partition: p.part.id, Offset: p.record.Offset},
		completion.Entry{ID: p.identity(), Status: uint16(status)})
}

// identity tells the record of a parcel from another one that may have had its offset once.
func (p *parcel) identity() uint64 {
	if p.d == nil {
		return completion.ID(p.record.Timestamp, "")
	}
	return completion.ID(p.record.Timestamp, p.d.FireID)
}
