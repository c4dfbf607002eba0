package trigger

import (
	"fmt"

	"vigil/trigger/shelf"
)

// keptLive is how many decoded users stay so between events. Encoding a user and decoding it again costs less than
// walking through memory that no cache holds, so it is few: those who act again and again.
const keptLive = 64

// slot is what the table knows of a user beside the record.
type slot struct {
	due    int64  // earliest D that is pending and not held
	heaped int64  // D of the slot's entry in the heap; other entries are stale
	touch  uint32 // 1 + the index of its touch in the transaction; 0: untouched
	flags  byte   // of the record's header
	store  stored
	print  uint16 // of the record that the store has; 0: it has none
}

// stored says what the store on disk has of a slot's record.
type stored byte

const (
	storedFully stored = iota // what is committed
	storedNot                 // something older, or nothing
	storedSoon                // what is committed, once the checkpoint under way has ended
	storedOnly                // what is committed, and here it was evicted
)

// touch is what a transaction does to one user: the undo log and the record to be.
type touch struct {
	slot    uint32
	was     int64 // due and flags at the last Commit
	wasFlag byte
	hot     bool  // touched again since it was last asked
	changed bool  // record is to be
	user    *user // decoded; nil: what counts is record, or if nothing changed the committed one
	record  []byte
}

// table holds the records of all users of a partition, the undo log of the transaction in progress, and the heap of
// deadlines over both.
type table struct {
	records   shelf.Shelf
	slots     []slot
	touches   []touch  // in the order of the first touch
	live      []uint32 // touches with a decoded user, the one to go first in front
	prune     func(*user)
	fetch     func(key string) ([]byte, error)
	w         writer
	pool      []*user
	peeked    user
	heap      heap
	timers    int    // slots with a due
	hand      int    // of Evict
	truncated uint64 // records that shed properties
	dirty     int64  // bytes of touches' records to be
	unstored  []uint32
	digest    uint64 // of what the store has
	soon      []uint32
}

// id is the number of a user's slot, a new one where there is none.
func (t *table) id(name string) uint32 {
	i, fresh := t.records.ID(name)
	if fresh {
		t.slots = append(t.slots, slot{due: never, heaped: never})
	}
	return i
}

// touch gives the decoded user, to be read and changed until the next park, Commit or Rollback.
func (t *table) touch(i uint32) (*user, error) {
	s := &t.slots[i]
	if s.touch == 0 {
		t.touches = append(t.touches, touch{slot: i, was: s.due, wasFlag: s.flags})
		s.touch = uint32(len(t.touches))
	}
	to := &t.touches[s.touch-1]
	if to.user != nil {
		to.hot = true
		return to.user, nil
	}
	var u *user
	if n := len(t.pool); n > 0 {
		u, t.pool = t.pool[n-1], t.pool[:n-1]
	} else {
		u = &user{}
	}
	u.name, u.slot = t.records.Name(i), i
	if err := t.read(i, u); err != nil {
		return nil, err
	}
	to.user = u
	t.live = append(t.live, s.touch-1)
	return u, nil
}

// read decodes the record of slot i as it is in the transaction.
func (t *table) read(i uint32, u *user) error {
	record, err := t.record(i)
	if err != nil {
		return err
	}
	if record == nil {
		u.reset()
		return nil
	}
	if err := u.decode(record); err != nil {
		return &RecordError{u.name, err}
	}
	return nil
}

func (t *table) record(i uint32) ([]byte, error) {
	s := &t.slots[i]
	if s.touch > 0 && t.touches[s.touch-1].changed {
		return t.touches[s.touch-1].record, nil
	}
	if s.store == storedOnly {
		record, err := t.fetch(t.records.Name(i))
		if err != nil {
			return nil, fmt.Errorf("read the record of user %q: %w", t.records.Name(i), err)
		}
		if printOf(record) != s.print {
			return nil, fmt.Errorf("read the record of user %q: %w", t.records.Name(i), errStore)
		}
		s.store = storedFully
		t.records.Put(i, record)
	}
	return t.records.Record(i), nil
}

// peek gives the user only to look at, until the next peek.
func (t *table) peek(i uint32) (*user, error) {
	if at := t.slots[i].touch; at > 0 && t.touches[at-1].user != nil {
		return t.touches[at-1].user, nil
	}
	t.peeked.name, t.peeked.slot = t.records.Name(i), i
	return &t.peeked, t.read(i, &t.peeked)
}

// park encodes decoded users until few are left. Nobody may hold one.
func (t *table) park() {
	if len(t.live) <= keptLive {
		return
	}
	gone := 0
	for ; len(t.live)-gone > keptLive; gone++ {
		at := t.live[gone]
		if to := &t.touches[at]; to.hot {
			to.hot = false
			t.live = append(t.live, at)
		} else {
			t.encode(to)
		}
	}
	t.live = t.live[:copy(t.live, t.live[gone:])]
}

// encode makes a touch's user bytes again.
func (t *table) encode(to *touch) {
	u := to.user
	to.user = nil
	if u.changed {
		t.prune(u)
		record, flags, due := t.fit(u)
		t.slots[to.slot].flags = flags
		t.setDue(to.slot, due)
		t.dirty += int64(len(record) - len(to.record))
		to.record, to.changed = record, true
	}
	t.release(u)
}

// fit encodes a user, who first forgets what makes the record too large for its topic.
func (t *table) fit(u *user) (record []byte, flags byte, due int64) {
	record, flags, due = t.w.encode(u)
	for step := 0; len(record) > maxRecordBytes && u.shed(step); step++ {
		if step == 0 {
			t.truncated++
		}
		record, flags, due = t.w.encode(u)
	}
	return record, flags, due
}

// release puts a decoded user by for the next touch of any.
func (t *table) release(u *user) {
	if len(t.pool) < 4*keptLive && cap(u.seen) < 256 && len(u.profile) < 4096 {
		u.changed = false
		t.pool = append(t.pool, u)
	}
}

// retime notes when u must be visited next; to be called after every change of its timers or kept events.
func (t *table) retime(u *user) {
	s := &t.slots[u.slot]
	flags, due := u.header()
	s.flags = flags
	t.setDue(u.slot, due)
}

func (t *table) setDue(i uint32, due int64) {
	s := &t.slots[i]
	if (s.due == never) != (due == never) {
		if due == never {
			t.timers--
		} else {
			t.timers++
		}
	}
	s.due = due
	if due < s.heaped {
		s.heaped = due
		t.heap.push(entry{due, i})
	}
}

// earliest is the smallest D that is pending; it drops stale entries of the heap on the way.
func (t *table) earliest() int64 {
	for len(t.heap) > 0 {
		top := t.heap[0]
		s := &t.slots[top.slot]
		if top.due == s.heaped && top.due == s.due {
			return top.due
		}
		t.heap.pop()
		if top.due == s.heaped {
			s.heaped = never
			if s.due != never {
				s.heaped = s.due
				t.heap.push(entry{s.due, top.slot})
			}
		}
	}
	return never
}

// load takes in a committed record.
func (t *table) load(name string, record []byte) error {
	i := t.id(name)
	s := &t.slots[i]
	s.flags = 0
	due := int64(never)
	if record == nil {
		t.records.Drop(i)
	} else {
		r := reader{b: record}
		s.flags, due = r.header()
		if r.err != nil {
			return &RecordError{name, r.err}
		}
		t.records.Put(i, record)
	}
	t.unstore(i)
	t.setDue(i, due)
	return nil
}

// changes encodes every changed user; commit makes the bytes the user's record.
func (t *table) changes(yield func(key string, record []byte)) {
	for _, at := range t.live {
		t.encode(&t.touches[at])
	}
	t.live = t.live[:0]
	for i := range t.touches {
		if to := &t.touches[i]; to.changed {
			yield(t.records.Name(to.slot), to.record)
		}
	}
}

func (t *table) commit() {
	for i := range t.touches {
		to := &t.touches[i]
		t.slots[to.slot].touch = 0
		switch {
		case !to.changed:
			continue
		case to.record == nil:
			t.records.Drop(to.slot)
		default:
			t.records.Put(to.slot, to.record)
		}
		t.unstore(to.slot)
	}
	t.forget()
}

func (t *table) rollback() {
	for i := range t.touches {
		to := &t.touches[i]
		s := &t.slots[to.slot]
		s.flags, s.touch = to.wasFlag, 0
		t.setDue(to.slot, to.was)
	}
	t.forget()
}

// forget ends a transaction.
func (t *table) forget() {
	for _, at := range t.live {
		t.release(t.touches[at].user)
	}
	t.live = t.live[:0]
	clear(t.touches)
	t.touches, t.dirty = t.touches[:0], 0
}
