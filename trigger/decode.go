package trigger

import (
	"encoding/binary"
	"slices"

	"vigil/event"
)

// decode reads a record into u, whose name and slot stay. Strings and bytes alias the record.
func (u *user) decode(record []byte) error {
	u.reset()
	r := reader{b: record}
	flags, _ := r.header()
	if r.err != nil {
		return r.err
	}
	u.erased, u.newest = r.optional(), r.optional()
	if flags&flagProfile != 0 {
		u.profile = r.bytes(r.length(1))
	}
	n := r.length(9)
	u.seen = slices.Grow(u.seen, n+1)
	for range n {
		hash := r.bytes(8)
		if hash == nil {
			break
		}
		rt := r.time()
		u.unsorted = u.unsorted || len(u.seen) > 0 && u.seen[len(u.seen)-1].rt > rt
		u.seen = append(u.seen, seenID{binary.LittleEndian.Uint64(hash), rt})
	}
	n = r.length(4)
	u.events = slices.Grow(u.events, n)
	for range n {
		u.events = append(u.events, event.Snapshot{
			ID: r.text(r.length(1)), Type: r.text(r.length(1)), TS: r.time(), Props: r.bytes(r.length(1)),
		})
	}
	r.last = 0
	for range r.length(8) {
		if r.section(u, next(&u.sections)); r.err != nil {
			break
		}
	}
	return r.err
}

func (r *reader) event(u *user) *event.Snapshot {
	i := r.uint()
	if i >= uint64(len(u.events)) {
		r.b, r.err = nil, errRecord
		return &event.Snapshot{}
	}
	return &u.events[i]
}

func (r *reader) section(u *user, s *section) {
	id := r.text(r.length(1))
	s.reset(id, r.fixed32())
	for range r.length(1) {
		s.fires = append(s.fires, r.time())
	}
	s.cancelTS = r.optional()
	for range r.length(2) {
		if r.thread(u, next(&s.threads)); r.err != nil {
			return
		}
	}
}

func (r *reader) fixed32() uint32 {
	b := r.bytes(4)
	if b == nil {
		return 0
	}
	return binary.LittleEndian.Uint32(b)
}

func (r *reader) thread(u *user, t *thread) {
	t.reset(r.text(r.length(1)))
	bits := r.uint()
	t.spent = bits&hasSpent != 0
	if bits&hasCount != 0 {
		t.count = r.uint()
	}
	if bits&hasKept != 0 {
		for range r.length(2) {
			ev, how := r.event(u), r.uint()
			t.kept = append(t.kept, mark{ev, uint16(how >> 1), how&1 != 0})
		}
	}
	if bits&hasDones != 0 {
		for range r.length(1) {
			t.dones = append(t.dones, r.time())
		}
	}
	if bits&hasCycle != 0 {
		t.cycleT0, t.cycleEnd = r.time(), r.time()
	}
	if bits&hasDateTS != 0 {
		t.dateTS = r.time()
	}
	if bits&hasCancelTS != 0 {
		t.cancelTS = r.time()
	}
	r.lists(u, t, bits)
}

func (r *reader) lists(u *user, t *thread, bits uint64) {
	if bits&hasDecided != 0 {
		for range r.length(2) {
			t.decided = append(t.decided, decidedSlot{r.slot(), r.time()})
		}
	}
	if bits&hasFired != 0 {
		for range r.length(4) {
			t.fired = append(t.fired, firedTimer{r.time(), r.time(), r.text(r.length(1)), r.slot()})
		}
	}
	if bits&hasTimers != 0 {
		for range r.length(8) {
			if r.timer(u, next(&t.timers)); r.err != nil {
				return
			}
		}
	}
}

func (r *reader) timer(u *user, tm *timer) {
	*tm = timer{events: tm.events[:0]}
	tm.due, tm.t0 = r.time(), r.time()
	tm.slot = r.slot()
	tm.rev = r.fixed32()
	bits := r.uint()
	tm.deferred, tm.held, tm.resumed = bits&1 != 0, bits&2 != 0, bits&8 != 0
	if bits&4 != 0 {
		tm.anchor = r.event(u)
	}
	n := bits >> 4
	if n > uint64(len(r.b)) {
		r.b, r.err = nil, errRecord
		return
	}
	for range n {
		tm.events = append(tm.events, r.event(u))
	}
}
