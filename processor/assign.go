package processor

import (
	"context"
	"slices"
	"time"
)

// apply takes in what other goroutines told: partitions taken away, assigned or restored.
func (s *session) apply(ctx context.Context) error {
	s.mu.Lock()
	changes := s.changes
	s.changes = nil
	s.mu.Unlock()
	for i, c := range changes {
		if err := s.take(ctx, c); err != nil {
			s.mu.Lock()
			s.changes = append(changes[i+1:], s.changes...) // what is restored in them is to be closed
			s.mu.Unlock()
			return err
		}
	}
	return s.reload(ctx)
}

func (s *session) take(ctx context.Context, c change) error {
	if c.failed != nil {
		return c.failed
	}
	s.revokeAll(c.revoked)
	for topic, offsets := range c.assigned {
		for id, begin := range offsets {
			s.assign(ctx, topic, id, begin)
		}
	}
	if c.restored != nil {
		return s.install(ctx, c.restored)
	}
	return nil
}

// assign notes where a topic of a partition begins; with the last of them its state is restored, by another goroutine.
func (s *session) assign(ctx context.Context, topic string, id int32, begin beginning) {
	part := s.partitions[id]
	if part == nil {
		part = newPartition(s, id)
		s.partitions[id] = part
	}
	i := slices.Index(s.inputs, topic)
	part.next[i], part.read[i], part.committed[i] = begin.offset, begin.offset, begin.offset
	part.continued = part.continued || !begin.fresh
	if part.engine != nil || slices.Contains(part.next, -1) || s.restores[id] != nil {
		return
	}
	s.mu.Lock()
	part.marks = s.marks[id]
	s.mu.Unlock()
	s.background(ctx, &restored{part: part, catalog: s.cfg.Catalog}, s.restore)
}

// install puts a restored partition to work.
func (s *session) install(ctx context.Context, r *restored) error {
	part := r.part
	if s.partitions[part.id] != part {
		r.close() // taken away in the meantime, perhaps to come back: that is another restore
		return nil
	}
	s.restores[part.id]()
	delete(s.restores, part.id)
	if r.err != nil {
		r.close()
		return r.err
	}
	if r.catalog != s.cfg.Catalog { // adopted meanwhile: other campaigns may be fresh
		r.catalog = s.cfg.Catalog
		s.background(ctx, r, s.lookBack)
		return nil
	}
	if err := part.adopt(r); err != nil {
		return err
	}
	part.aside = r.aside
	part.setAside()
	part.more = true // what waits for it, and what there is to take in of the past
	paused := map[string][]int32{}
	for _, topic := range s.inputs {
		paused[topic] = []int32{part.id}
	}
	s.kafka.Client().ResumeFetchPartitions(paused)
	s.status(part.id, stateRunning)
	s.cfg.Log.Info().Int32("partition", part.id).Int("users", r.engine.Stats().Users).Int64("tail", r.tail).
		Dur("took", time.Since(r.began)).Msg("partition restored")
	return nil
}

func (s *session) revokeAll(topics map[string][]int32) {
	for _, ids := range topics {
		for _, id := range ids {
			s.revoke(id)
		}
	}
}

// revoke gives a partition up: what it did is committed, for no transaction is open while partitions move.
func (s *session) revoke(id int32) {
	if cancel := s.restores[id]; cancel != nil {
		cancel()
		delete(s.restores, id)
	}
	s.status(id, "")
	part := s.partitions[id]
	if part == nil {
		return
	}
	delete(s.partitions, id)
	if part.engine == nil {
		return
	}
	part.engine.Rollback()
	s.group.Go(part.giveUp) // the others go on meanwhile
}

// closeRestored closes the stores of restores that ended after the loop did.
func (s *session) closeRestored() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.changes {
		if c.restored != nil {
			c.restored.close()
		}
	}
}

// reload adopts a new catalog between transactions.
func (s *session) reload(ctx context.Context) error {
	if s.inTxn || s.cfg.Reload == nil {
		return nil
	}
	for _, part := range s.partitions {
		// One move of the clock settles by one catalog: a replay makes it in one piece. So it takes in the past.
		if part.halfway || part.moved || part.hindsight != nil {
			return nil
		}
	}
	select {
	case cat := <-s.cfg.Reload:
		s.cfg.Catalog = cat
		for _, part := range s.partitions {
			if part.engine != nil && len(part.engine.Fresh(cat)) > 0 {
				s.adoptLater(ctx, part, cat)
			} else if err := part.setCatalog(cat); err != nil {
				return err
			}
		}
		s.cfg.Log.Info().Int("campaigns", cat.Len()).Msg("campaigns adopted")
	default:
	}
	return nil
}
