package trigger

// unstore notes that the store lacks the committed record of slot i.
func (t *table) unstore(i uint32) {
	s := &t.slots[i]
	if s.store != storedNot {
		s.store = storedNot
		t.unstored = append(t.unstored, i)
	}
}

// Unstored is the number of records that the store lacks: those committed or loaded since the last Checkpoint.
func (e *Engine) Unstored() int {
	n := len(e.table.unstored)
	if e.unstored {
		n++
	}
	return n
}

// Checkpoint hands over the committed records that the store lacks, nil for one that is no more. The bytes are valid
// during the call only, the keys for good. The records count as stored once Stored is called, and are not handed over
// again.
func (e *Engine) Checkpoint(yield func(key string, record []byte)) {
	t := &e.table
	for _, i := range t.unstored {
		t.slots[i].store = storedSoon
		yield(t.records.Name(i), t.records.Record(i))
	}
	t.soon = append(t.soon, t.unstored...)
	t.unstored = t.unstored[:0]
	if e.unstored {
		e.unstored = false
		yield(PartitionKey, e.saved.encode())
	}
}

// Stored says that the store has all that Checkpoint handed over.
func (e *Engine) Stored() {
	t := &e.table
	for _, i := range t.soon {
		if t.slots[i].store == storedSoon {
			t.slots[i].store = storedFully
		}
	}
	t.soon = t.soon[:0]
}

// Evict drops the bytes of committed records until at most maxBytes remain in memory: only those that the store has,
// which fetch can bring back, and none of the transaction in progress. A hand goes round the table, so that every
// record has its turn.
func (e *Engine) Evict(maxBytes int64) {
	t := &e.table
	for range t.slots {
		if t.records.Bytes() <= maxBytes || t.fetch == nil {
			return
		}
		t.hand = (t.hand + 1) % len(t.slots)
		s := &t.slots[t.hand]
		if s.store == storedFully && s.touch == 0 && t.records.Record(uint32(t.hand)) != nil {
			t.records.Drop(uint32(t.hand))
			s.store = storedOnly
		}
	}
}
