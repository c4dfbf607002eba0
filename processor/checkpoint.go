package processor

import (
	"time"

	"vigil/state"
)

// When a checkpoint is written (docs/decisions: checkpoints stretch under load). A long tail costs time at the next
// restore, about 3 s for a million records; a short one writes the same user again and again.
const (
	smallRows     = 20_000           // dirty users that are written as soon as the interval is over
	maxTail       = 250_000          // changelog records of a partition behind which a checkpoint no longer waits
	maxCheckpoint = 60 * time.Second // after which none waits
	recordsSchema = 1
)

// checkpoint writes the dirty users of a partition to its store if it is time, or now and to the end if last.
func (s *session) checkpoint(p *partition, last bool) {
	if last {
		if p.done != nil {
			<-p.done
			p.done = nil
		}
		if p.engine != nil && len(p.dirty) > 0 && !p.broken.Load() {
			p.writeAt(p.dirty, p.meta())
			p.dirty = map[string][]byte{}
		}
		return
	}
	since := time.Since(p.checkpoint)
	if p.broken.Load() || p.writing.Load() || len(p.dirty) == 0 || since < s.cfg.CheckpointInterval ||
		len(p.dirty) > smallRows && p.tail < maxTail && since < maxCheckpoint {
		return
	}
	dirty := p.dirty
	p.inFlight, p.dirty = dirty, make(map[string][]byte, len(dirty)/2)
	p.checkpoint, p.tail = time.Now(), 0
	p.writing.Store(true)
	done := make(chan struct{})
	p.done = done
	meta := p.meta()
	s.group.Go(func() error {
		defer close(done)
		defer p.writing.Store(false)
		p.writeAt(dirty, meta)
		return nil
	})
	s.evict(p)
}

// evict keeps the records in memory within the process's budget.
func (s *session) evict(p *partition) {
	if p.broken.Load() {
		return
	}
	budget := s.cfg.CacheBytes / int64(max(len(s.partitions), 1))
	p.engine.Evict(budget, func(key string) bool {
		_, waiting := p.dirty[key]
		_, flying := p.inFlight[key]
		return !waiting && !flying
	})
}

func (p *partition) meta() state.Meta {
	return state.Meta{Offset: p.offset.Load(), TopicID: p.topicID, Schema: recordsSchema, Written: time.Now().UnixMilli()}
}

// writeAt writes rows and meta. A fault of the disk costs the cache, not the data: the next restore reads more of the
// changelog.
func (p *partition) writeAt(dirty map[string][]byte, meta state.Meta) {
	began := time.Now()
	if err := p.store.Write(rows(dirty), meta); err != nil {
		p.broken.Store(true) // a later checkpoint would claim what this one did not write
		p.metrics.checkpointErrors.Inc()
		p.cfg.Log.Error().Err(err).Int32("partition", p.id).Msg("checkpoint failed")
		return
	}
	p.metrics.checkpointRows.Add(float64(len(dirty)))
	p.metrics.checkpointSeconds.Observe(time.Since(began).Seconds())
}
