package trigger

import (
	"fmt"
	"strings"
)

// slot is where the table keeps a user.
type slot struct {
	name    string
	record  []byte // committed; nil where there is none or it was evicted
	live    *user  // decoded, since the last Commit; nil: untouched since
	due     int64  // earliest D that is pending and not held
	was     int64  // due at the last Commit, while live
	heaped  int64  // D of the slot's entry in the heap; other entries are stale
	flags   byte   // of the record's header, as are
	wasFlag byte   // these at the last Commit, while live
	evicted bool
}

// table holds the records of all users of a partition, the undo log of the transaction in progress, and the heap of
// deadlines over both.
type table struct {
	slots     []slot
	index     map[string]uint32
	touched   []uint32 // slots with a live user, in the order of the first touch
	fetch     func(key string) ([]byte, error)
	w         writer
	pool      []*user
	peeked    user
	heap      heap
	timers    int // slots with a due
	bytes     int64
	hand      int    // of Evict
	truncated uint64 // records that shed properties
}

// id is the number of a user's slot, a new one where there is none.
func (t *table) id(name string) uint32 {
	if i, ok := t.index[name]; ok {
		return i
	}
	i := uint32(len(t.slots))
	name = strings.Clone(name)
	t.slots = append(t.slots, slot{name: name, due: never, heaped: never})
	t.index[name] = i
	return i
}

// touch gives the decoded user, to be read and changed until the next Commit or Rollback.
func (t *table) touch(i uint32) (*user, error) {
	s := &t.slots[i]
	if s.live != nil {
		return s.live, nil
	}
	u := &user{}
	if n := len(t.pool); n > 0 {
		u, t.pool = t.pool[n-1], t.pool[:n-1]
	}
	u.name, u.slot = s.name, i
	if err := t.read(s, u); err != nil {
		return nil, err
	}
	s.live, s.was, s.wasFlag = u, s.due, s.flags
	t.touched = append(t.touched, i)
	return u, nil
}

func (t *table) read(s *slot, u *user) error {
	record := s.record
	if s.evicted {
		var err error
		if record, err = t.fetch(s.name); err != nil {
			return fmt.Errorf("read the record of user %q: %w", s.name, err)
		}
		s.record, s.evicted = record, false
		t.bytes += int64(len(record))
	}
	if record == nil {
		u.reset()
		return nil
	}
	if err := u.decode(record); err != nil {
		return fmt.Errorf("decode the record of user %q: %w", s.name, err)
	}
	return nil
}

// peek gives the user only to look at, until the next peek.
func (t *table) peek(i uint32) (*user, error) {
	s := &t.slots[i]
	if s.live != nil {
		return s.live, nil
	}
	t.peeked.name, t.peeked.slot = s.name, i
	return &t.peeked, t.read(s, &t.peeked)
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
	t.bytes += int64(len(record)) - int64(len(s.record))
	s.record, s.flags, s.evicted = record, 0, false
	due := int64(never)
	if record != nil {
		r := reader{b: record}
		s.flags, due = r.header()
		if r.err != nil {
			return fmt.Errorf("load the record of user %q: %w", name, r.err)
		}
	}
	t.setDue(i, due)
	return nil
}

// changes encodes every changed user; commit makes the bytes the user's record.
func (t *table) changes(prune func(*user), yield func(key string, record []byte)) {
	for _, i := range t.touched {
		u := t.slots[i].live
		if !u.changed {
			continue
		}
		prune(u)
		var due int64
		u.encoded, t.slots[i].flags, due = t.w.encode(u)
		if len(u.encoded) > maxRecordBytes {
			u.shed()
			t.truncated++
			u.encoded, _, _ = t.w.encode(u)
		}
		t.setDue(i, due)
		yield(u.name, u.encoded)
	}
}

func (t *table) commit() {
	for _, i := range t.touched {
		s := &t.slots[i]
		if s.live.changed {
			t.bytes += int64(len(s.live.encoded)) - int64(len(s.record))
			s.record = s.live.encoded
		}
		t.release(s)
	}
	t.touched = t.touched[:0]
}

func (t *table) rollback() {
	for _, i := range t.touched {
		s := &t.slots[i]
		s.flags = s.wasFlag
		t.setDue(i, s.was)
		t.release(s)
	}
	t.touched = t.touched[:0]
}

// release puts a decoded user by for the next touch of any.
func (t *table) release(s *slot) {
	if len(t.pool) < 1<<16 && cap(s.live.seen) < 256 && len(s.live.profile) < 4096 {
		s.live.changed, s.live.encoded = false, nil
		t.pool = append(t.pool, s.live)
	}
	s.live = nil
}

// Evict drops the bytes of committed records until at most maxBytes remain in memory: only those for which stored is
// true, which fetch can bring back, and none that changed since the last Commit. A hand goes round the table, so that
// every record has its turn.
func (e *Engine) Evict(maxBytes int64, stored func(key string) bool) {
	t := &e.table
	for range t.slots {
		if t.bytes <= maxBytes || t.fetch == nil {
			return
		}
		t.hand = (t.hand + 1) % len(t.slots)
		s := &t.slots[t.hand]
		if s.live != nil || s.record == nil || !stored(s.name) {
			continue
		}
		t.bytes -= int64(len(s.record))
		s.record, s.evicted = nil, true
	}
}

// entry is a deadline of a slot.
type entry struct {
	due  int64
	slot uint32
}

// heap is a 4-ary heap of deadlines, the smallest first.
type heap []entry

func (h *heap) push(e entry) {
	*h = append(*h, e)
	s := *h
	i := len(s) - 1
	for i > 0 {
		parent := (i - 1) / 4
		if s[parent].due <= e.due {
			break
		}
		s[i] = s[parent]
		i = parent
	}
	s[i] = e
}

func (h *heap) pop() {
	s := *h
	last := s[len(s)-1]
	s = s[:len(s)-1]
	*h = s
	if len(s) == 0 {
		return
	}
	i := 0
	for {
		least := 4*i + 1
		if least >= len(s) {
			break
		}
		for c := least + 1; c < min(least+4, len(s)) && c < 4*i+5; c++ {
			if s[c].due < s[least].due {
				least = c
			}
		}
		if s[least].due >= last.due {
			break
		}
		s[i] = s[least]
		i = least
	}
	s[i] = last
}
