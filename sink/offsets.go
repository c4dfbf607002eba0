package sink

import (
	"context"
	"encoding/base64"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// The order of durability, for every delivery (delivery 2, I1):
//
//  1. the attempt is made;
//  2. the records that carry its outcome are produced: attempts, and retry, parked or dead letter where there is one;
//  3. all of them are acked: the offset is done;
//  4. the watermark, below which everything is done, is committed together with a bitmap of what is done above it.
//
// A crash between 1 and 2 or 2 and 3 makes the same attempt again: a duplicate, never a loss. Between 3 and 4 as well;
// with 2 complete a retry may then exist twice. After 4 nothing is repeated.

const (
	window         = 20_000 // offsets from the watermark to the newest fetched: its bitmap fits the commit metadata
	commitInterval = 200 * time.Millisecond
	metaPrefix     = "v1:"
)

// partition tracks which offsets of one partition are done. Offsets that were never fetched (transaction markers,
// aborted or compacted records) are no marks at all and therefore never hold the watermark.
type partition struct {
	topic string
	id    int32
	tier  tier

	// Owned by the dispatcher.
	inFlight int
	paused   bool
	leaving  bool

	mu       sync.Mutex // guards what follows
	marks    []mark     // fetched offsets from the watermark on, in order
	first    uint64     // sequence number of marks[0]
	next     int64      // the offset after the newest fetched; -1 before the first
	epoch    int32      // leader epoch of the newest fetched
	dirty    bool       // something is to be committed
	known    bitmap     // what the last owner had done above its watermark
	knownLow int64      // the offset of the first bit of known
}

// mark is one fetched offset.
type mark struct {
	offset int64
	since  int64 // when it was decided, in ms: for the age of what is unfinished
	done   bool
}

func newPartition(topic string, id int32, t tier) *partition {
	return &partition{topic: topic, id: id, tier: t, next: -1}
}

// fetched takes note of a record and returns its sequence number; fresh is false where the last owner had finished it.
func (p *partition) fetched(offset int64, epoch int32, since time.Time) (seq uint64, fresh bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next, p.epoch = offset+1, epoch
	if i := offset - p.knownLow; p.known.get(i) {
		p.dirty = true
		return 0, false
	}
	p.marks = append(p.marks, mark{offset: offset, since: since.UnixMilli()})
	return p.first + uint64(len(p.marks)) - 1, true
}

// passed takes note of a control record: nothing is to be done for it.
func (p *partition) passed(offset int64, epoch int32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next, p.epoch, p.dirty = offset+1, epoch, true
}

// finish marks an offset done: the records that carry its outcome are acked.
func (p *partition) finish(seq uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.marks[seq-p.first].done = true
	p.dirty = true
	n := 0
	for n < len(p.marks) && p.marks[n].done {
		n++
	}
	p.marks, p.first = p.marks[n:], p.first+uint64(n)
}

// span is the number of offsets from the watermark to the newest fetched.
func (p *partition) span() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.marks) == 0 {
		return 0
	}
	return p.next - p.marks[0].offset
}

// oldest is when the oldest unfinished delivery was decided, in ms; false where all is done.
func (p *partition) oldest() (int64, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.marks) == 0 {
		return 0, false
	}
	return p.marks[0].since, true
}

// commit is what to commit now: the watermark, its epoch and the metadata; ok is false where nothing changed since.
func (p *partition) commit() (at kgo.EpochOffset, meta string, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.dirty || p.next < 0 {
		return at, "", false
	}
	p.dirty = false
	at = kgo.EpochOffset{Epoch: p.epoch, Offset: p.next}
	if len(p.marks) == 0 {
		return at, "", true
	}
	at.Offset = p.marks[0].offset
	return at, p.doneAbove(at.Offset).encode(), true
}

// doneAbove is the bitmap of what is done from low on: all that is no open mark.
func (p *partition) doneAbove(low int64) bitmap {
	last, anyDone := low, false
	for _, m := range p.marks {
		if m.done && m.offset < low+window {
			last, anyDone = m.offset, true
		}
	}
	if !anyDone {
		return nil
	}
	done := make(bitmap, (last-low)/8+1)
	for _, m := range p.marks {
		if m.done && m.offset <= last {
			done.set(m.offset - low)
		}
	}
	return done
}

// resume takes in what the last owner committed.
func (p *partition) resume(low int64, meta string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.knownLow, p.known = low, decodeBitmap(meta)
}

// again says that a commit did not succeed.
func (p *partition) again() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dirty = true
}

// bitmap holds one bit an offset.
type bitmap []byte

func (b bitmap) get(i int64) bool { return i >= 0 && i < int64(len(b))*8 && b[i/8]&(1<<(i%8)) != 0 }

func (b bitmap) set(i int64) { b[i/8] |= 1 << (i % 8) }

// encode is the commit metadata: at most 3,339 bytes, below the broker's 4,096.
func (b bitmap) encode() string {
	if len(b) == 0 {
		return ""
	}
	return metaPrefix + base64.StdEncoding.EncodeToString(b)
}

// decodeBitmap reads commit metadata; what it cannot read means nothing done: duplicates, no loss.
func decodeBitmap(meta string) bitmap {
	encoded, ok := strings.CutPrefix(meta, metaPrefix)
	if !ok {
		return nil
	}
	b, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(b) > window/8 {
		return nil
	}
	return b
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
		at, meta, ok := p.commit()
		if !ok {
			continue
		}
		if offsets[p.topic] == nil {
			offsets[p.topic], metas[p.topic] = map[int32]kgo.EpochOffset{}, map[int32]string{}
		}
		offsets[p.topic][p.id], metas[p.topic][p.id] = at, meta
		sent = append(sent, p)
	}
	if len(sent) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, drainBudget)
	defer cancel()
	ctx = kgo.PreCommitFnContext(ctx, func(req *kmsg.OffsetCommitRequest) error { return putMetadata(req, metas) })
	s.client.CommitOffsetsSync(ctx, offsets, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse, err error) {
		if err == nil {
			err = commitError(resp)
		}
		if err == nil {
			return
		}
		for _, p := range sent {
			p.again()
		}
		s.noteChange()
		if ctx.Err() == nil {
			s.log.Warn().Err(err).Msg("offsets not committed, trying again")
		}
	})
}

// putMetadata puts the bitmaps where the client would write its member id.
func putMetadata(req *kmsg.OffsetCommitRequest, metas map[string]map[int32]string) error {
	for i := range req.Topics {
		t := &req.Topics[i]
		for j := range t.Partitions {
			meta := metas[t.Topic][t.Partitions[j].Partition]
			t.Partitions[j].Metadata = &meta
		}
	}
	return nil
}

func commitError(resp *kmsg.OffsetCommitResponse) error {
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return err
			}
		}
	}
	return nil
}

// recall reads the bitmaps of newly assigned partitions back.
func (s *Sink) recall(ctx context.Context, parts []*partition) {
	committed, err := kadm.NewClient(s.client).FetchOffsets(ctx, s.cfg.Group)
	if err != nil {
		s.log.Warn().Err(err).Msg("commit metadata not read: what was finished above the watermark is sent again")
		return
	}
	for _, p := range parts {
		if o, ok := committed.Lookup(p.topic, p.id); ok && o.Err == nil {
			p.resume(o.At, o.Metadata)
		}
	}
}
