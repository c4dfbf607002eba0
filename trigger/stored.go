package trigger

import (
	"errors"

	"github.com/cespare/xxhash/v2"
)

// errStore is what there is to say of a store that gives back another record than it was given.
var errStore = errors.New("trigger: the store has another record than it was given")

// printOf is a short print of a stored record, never 0; 0 where there is none.
func printOf(record []byte) uint16 {
	if record == nil {
		return 0
	}
	return max(uint16(xxhash.Sum64(record)), 1)
}

// weigh is what a record adds to the digest: one record, and its print.
func weigh(print uint16) uint64 {
	if print == 0 {
		return 0
	}
	return 1<<40 + uint64(print)
}

// swap puts a record's print in the place of another.
func (t *table) swap(old *uint16, record []byte) {
	print := printOf(record)
	t.digest += weigh(print) - weigh(*old)
	*old = print
}

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
	if e.known.unstored {
		n++
	}
	return n
}

// Checkpoint hands over committed records that the store lacks, nil for one that is no more: those of at most so many
// users, the longest changed first, and that of PartitionKey. The bytes are valid during the call only, the keys for good.
// The records count as stored once Stored is called, and are not handed over again.
func (e *Engine) Checkpoint(most int, yield func(key string, record []byte)) {
	t := &e.table
	n := min(most, len(t.unstored))
	for _, i := range t.unstored[:n] {
		s, record := &t.slots[i], t.records.Record(i)
		s.store = storedSoon
		t.swap(&s.print, record)
		yield(t.records.Name(i), record)
	}
	t.soon = append(t.soon, t.unstored[:n]...)
	t.unstored = t.unstored[:copy(t.unstored, t.unstored[n:])]
	if e.known.unstored {
		e.known.unstored = false
		record := e.known.encode()
		t.swap(&e.known.print, record)
		yield(KnownKey, record)
	}
	if e.unstored {
		e.unstored = false
		record := e.saved.encode()
		t.swap(&e.print, record)
		yield(PartitionKey, record)
	}
}

// Digest is how many records a store has that holds what Checkpoint handed over so far, in the upper 24 bits, and a sum of
// their prints below. A store that lost a record, or kept an older one, has another one but for one time in 65,536; it is
// what a store is asked for that comes back after its process has ended.
func (e *Engine) Digest() uint64 { return e.table.digest }

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
