package processor

import (
	"time"

	"vigil/state"
)

// When a checkpoint is written (docs/decisions: checkpoints stretch under load). A long tail costs time at the next
// restore, about 3 s for a million records; a short one writes the same user again and again.
const (
	smallRows     = 20_000           // dirty users that are written as soon as the interval is over
	tailPerUser   = 4                // changelog records per user in memory for which a checkpoint waits,
	shortTail     = 250_000          // but for so many in any case,
	longTail      = 1_000_000        // and never for more
	maxCheckpoint = 60 * time.Second // after which none waits
	recordsSchema = 1
)

// A slice is how many users are written at a time. Their records are copied while the partition waits, and while they are
// written the brokers and the loop have one core less: written all at once, a million users held the decisions of others
// up for more than a second (docs/decisions/0061).
const (
	leastSlice = 5_000
	lastSlice  = 25_000 // at the end, when nobody waits for decisions
	inSlices   = 100    // that a checkpoint of all partitions is cut into, at first
)

// checkpoint writes the users of a partition that its store lacks if it is time: a slice of them by another goroutine,
// the next one after a later commit, and no two partitions at a time. The store's meta stands still until the last of those
// that it lacked at the beginning are written: rows are absolute, so one that is newer than the meta does no harm.
func (s *session) checkpoint(p *partition) {
	if p.engine == nil || !s.checkpointed(p, false) || p.broken.Load() || s.writing.Load() {
		return
	}
	n := p.engine.Unstored()
	since := time.Since(p.checkpoint)
	if p.left == 0 {
		if n == 0 || since < s.cfg.CheckpointInterval || n > smallRows && p.tail < s.maxTail(p) && since < maxCheckpoint {
			return
		}
		p.checkpoint, p.tail, p.left, p.coming = time.Now(), 0, n, p.mark()
	}
	n = min(s.slice(p), p.left)
	rows := p.unstored(n)
	if p.left -= n; p.left == 0 {
		p.stored = p.coming
	}
	done, meta := make(chan struct{}), p.meta(p.stored)
	p.done = done
	s.writing.Store(true)
	s.group.Go(func() error {
		p.writeAt(rows, meta)
		p.mergeStore()
		s.writing.Store(false)
		close(done)
		s.tell(change{}) // the next slice, of whichever partition, does not wait for a tick
		return nil
	})
}

// slice is how many users of a partition's checkpoint are written at a time.
func (s *session) slice(p *partition) int {
	return max(leastSlice, p.left*len(s.partitions)/inSlices)
}

// retire writes all that the store lacks and closes it.
func (p *partition) retire() error {
	if p.done != nil {
		<-p.done
	}
	p.done = nil
	for p.engine != nil && p.engine.Unstored() > 0 && !p.broken.Load() {
		rows := p.unstored(lastSlice)
		if p.engine.Unstored() == 0 {
			p.stored = p.mark()
		}
		p.writeAt(rows, p.meta(p.stored))
	}
	return p.close()
}

// giveUp closes the store of a partition that another process has from now on, and needs this machine's time for. What the
// store lacks is written only where it is little: should the partition come back, the changelog has the rest.
func (p *partition) giveUp() error {
	if p.engine.Unstored() <= smallRows {
		return p.retire()
	}
	return p.close()
}

// maxTail is how many changelog records a restore may have to read before a checkpoint no longer waits for more. With
// many records to a user most of them are of users that are written but once. Where memory is short it is few, for only
// what the store has can be evicted.
func (s *session) maxTail(p *partition) int64 {
	stats := p.engine.Stats()
	if stats.Bytes > s.budget() {
		return shortTail
	}
	return min(max(int64(stats.Users)*tailPerUser, shortTail), longTail)
}

// budget is the bytes of records that a partition may keep in memory.
func (s *session) budget() int64 { return s.cfg.CacheBytes / int64(max(len(s.partitions), 1)) }

// checkpointed takes in the end of the writing under way, which it waits for if asked to; false while it goes on.
func (s *session) checkpointed(p *partition, wait bool) bool {
	if p.done == nil {
		return true
	}
	if !wait {
		select {
		case <-p.done:
		default:
			return false
		}
	}
	<-p.done
	p.done = nil
	if !p.broken.Load() {
		p.engine.Stored()
		p.engine.Evict(s.budget())
	}
	return true
}

// rowsBlock is how many bytes of rows share one allocation.
const rowsBlock = 1 << 20

// unstored copies records that the store lacks, at most so many users': while they are written the engine goes on.
func (p *partition) unstored(most int) []state.Row {
	rows := make([]state.Row, 0, min(most+1, p.engine.Unstored()))
	var block []byte
	p.engine.Checkpoint(most, func(key string, record []byte) {
		if record == nil {
			rows = append(rows, state.Row{Key: key})
			return
		}
		if len(record) > cap(block)-len(block) {
			block = make([]byte, 0, max(rowsBlock, len(record)))
		}
		start := len(block)
		block = append(block, record...)
		rows = append(rows, state.Row{Key: key, Value: block[start:len(block):len(block)]})
	})
	return rows
}

// mark says up to where, and from when, a store is a copy of the changelog; some of its rows may be newer.
type mark struct{ offset, written int64 }

func (p *partition) mark() mark { return mark{p.offset, time.Now().UnixMilli()} }

// meta is that of a store which holds what was handed over so far.
func (p *partition) meta(m mark) state.Meta {
	return state.Meta{Offset: m.offset, TopicID: p.topicID, Schema: recordsSchema, Written: m.written, Digest: p.engine.Digest()}
}

// writeAt writes rows and meta. A fault of the disk costs the cache, not the data: the next restore reads more of the
// changelog.
func (p *partition) writeAt(rows []state.Row, meta state.Meta) {
	began := time.Now()
	if err := p.store.Write(rows, meta); err != nil {
		p.failed(err)
		return
	}
	p.metrics.checkpointRows.Add(float64(len(rows)))
	p.metrics.checkpointSeconds.Observe(time.Since(began).Seconds())
}

// mergeStore keeps the store cheap to read. Where a partition is closed it is left to the next owner of the disk.
func (p *partition) mergeStore() {
	if p.broken.Load() {
		return
	}
	if err := p.store.Merge(); err != nil {
		p.failed(err)
	}
}

// failed ends the checkpoints of a store: a later one would claim what was not written.
func (p *partition) failed(err error) {
	p.broken.Store(true)
	p.metrics.checkpointErrors.Inc()
	p.cfg.Log.Error().Err(err).Int32("partition", p.id).Msg("checkpoint failed")
}
