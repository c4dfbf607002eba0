package trigger

import (
	"encoding/binary"
	"errors"
	"unsafe"

	"vigil/event"
)

// The binary form of a user record, version 1:
//
//	version, flags, [earliest due], then erased, newest, profile, seen ids, events, sections
//
// Numbers are varints, times are differences from the time written before, strings have their length in front. The
// header alone says when the user has to be visited next. Events stand once, however many threads keep them.
const (
	recordVersion = 1

	flagProfile   = 1 << 0 // the user has a profile
	flagScheduled = 1 << 1 // some thread keeps events for instants
	flagHeld      = 1 << 2 // some timer is held by a paused campaign
	flagDue       = 1 << 3 // some timer is pending and not held
)

// What a thread holds, one bit each, in the order written.
const (
	hasSpent = 1 << iota
	hasCount
	hasKept
	hasDones
	hasCycle
	hasDateTS
	hasCancelTS
	hasDecided
	hasFired
	hasTimers
)

var errRecord = errors.New("trigger: user record is cut short or malformed")

// fixedSlots are written as a number.
var fixedSlots = [...]string{"", "delay", "inaction", "session"}

// writer builds a record.
type writer struct {
	b      []byte
	last   int64
	events []*event.Snapshot
	at     map[*event.Snapshot]int
	block  []byte // records that were written
}

func (w *writer) uint(v uint64) { w.b = binary.AppendUvarint(w.b, v) }
func (w *writer) text(s string) { w.uint(uint64(len(s))); w.b = append(w.b, s...) }
func (w *writer) time(t int64) {
	w.b = binary.AppendVarint(w.b, t-w.last)
	w.last = t
}

// optional writes a time that may be none.
func (w *writer) optional(t int64) {
	if t == none {
		w.b = append(w.b, 0)
		return
	}
	w.b = append(w.b, 1)
	w.time(t)
}

// ref is the number of an event in the record.
func (w *writer) ref(ev *event.Snapshot) uint64 {
	for i, known := range w.events {
		if i == 16 {
			break
		}
		if known == ev {
			return uint64(i)
		}
	}
	i, ok := w.at[ev]
	if !ok {
		i = len(w.events)
		w.events = append(w.events, ev)
		if i >= 16 {
			if w.at == nil {
				w.at = map[*event.Snapshot]int{}
			}
			w.at[ev] = i
		}
	}
	return uint64(i)
}

// encode gives the record of u in bytes of their own, nil where nothing is known of the user; flags and due are those
// of the header.
func (w *writer) encode(u *user) (record []byte, flags byte, due int64) {
	flags, due = u.header()
	if flags == 0 && u.erased == none && u.newest == none && len(u.seen) == 0 && len(u.sections) == 0 {
		return nil, 0, never
	}
	w.last, w.events = 0, w.events[:0]
	clear(w.at)
	w.b = w.b[:0]
	for _, s := range u.sections {
		w.section(s)
	}
	body := w.b
	w.b = append(body, recordVersion, flags)
	w.last = 0
	if flags&flagDue != 0 {
		w.time(due)
	}
	w.optional(u.erased)
	w.optional(u.newest)
	if flags&flagProfile != 0 {
		w.uint(uint64(len(u.profile)))
		w.b = append(w.b, u.profile...)
	}
	w.uint(uint64(len(u.seen)))
	for _, s := range u.seen {
		w.b = binary.LittleEndian.AppendUint64(w.b, s.hash)
		w.time(s.rt)
	}
	w.uint(uint64(len(w.events)))
	for _, ev := range w.events {
		w.text(ev.ID)
		w.text(ev.Type)
		w.time(ev.TS)
		w.uint(uint64(len(ev.Props)))
		w.b = append(w.b, ev.Props...)
	}
	w.uint(uint64(len(u.sections)))
	head := w.b[len(body):]
	record = w.space(len(w.b))
	record = append(append(record, head...), body...)
	return record, flags, due
}

// recordBlock is how many bytes of records share one allocation.
const recordBlock = 256 << 10

// space is room for a record; nobody else ever writes there.
func (w *writer) space(n int) []byte {
	if n > recordBlock/8 {
		return make([]byte, 0, n)
	}
	if n > cap(w.block)-len(w.block) {
		w.block = make([]byte, 0, recordBlock)
	}
	start := len(w.block)
	w.block = w.block[:start+n]
	return w.block[start : start : start+n]
}

func (w *writer) section(s *section) {
	w.text(s.id)
	w.b = binary.LittleEndian.AppendUint32(w.b, s.print)
	w.uint(uint64(len(s.fires)))
	for _, at := range s.fires {
		w.time(at)
	}
	w.optional(s.cancelTS)
	w.uint(uint64(len(s.threads)))
	for _, t := range s.threads {
		w.thread(t)
	}
}

func (t *thread) holds() uint64 {
	var bits uint64
	set := func(bit uint64, is bool) {
		if is {
			bits |= bit
		}
	}
	set(hasSpent, t.spent)
	set(hasCount, t.count != 0)
	set(hasKept, len(t.kept) > 0)
	set(hasDones, len(t.dones) > 0)
	set(hasCycle, t.cycleT0 != none)
	set(hasDateTS, t.dateTS != none)
	set(hasCancelTS, t.cancelTS != none)
	set(hasDecided, len(t.decided) > 0)
	set(hasFired, len(t.fired) > 0)
	set(hasTimers, len(t.timers) > 0)
	return bits
}

func (w *writer) thread(t *thread) {
	bits := t.holds()
	w.text(t.key)
	w.uint(bits)
	if bits&hasCount != 0 {
		w.uint(t.count)
	}
	if bits&hasKept != 0 {
		w.uint(uint64(len(t.kept)))
		for _, m := range t.kept {
			not := uint64(0)
			if m.not {
				not = 1
			}
			w.uint(w.ref(m.ev))
			w.uint(uint64(m.did)<<1 | not)
		}
	}
	if bits&hasDones != 0 {
		w.uint(uint64(len(t.dones)))
		for _, ts := range t.dones {
			w.time(ts)
		}
	}
	if bits&hasCycle != 0 {
		w.time(t.cycleT0)
		w.time(t.cycleEnd)
	}
	if bits&hasDateTS != 0 {
		w.time(t.dateTS)
	}
	if bits&hasCancelTS != 0 {
		w.time(t.cancelTS)
	}
	w.lists(t, bits)
}

func (w *writer) lists(t *thread, bits uint64) {
	if bits&hasDecided != 0 {
		w.uint(uint64(len(t.decided)))
		for _, d := range t.decided {
			w.slot(d.slot)
			w.time(d.clock)
		}
	}
	if bits&hasFired != 0 {
		w.uint(uint64(len(t.fired)))
		for _, f := range t.fired {
			w.time(f.t0)
			w.time(f.due)
			w.text(f.anchor)
			w.slot(f.slot)
		}
	}
	if bits&hasTimers != 0 {
		w.uint(uint64(len(t.timers)))
		for _, tm := range t.timers {
			w.timer(tm)
		}
	}
}

func (w *writer) slot(slot string) {
	for i, fixed := range fixedSlots {
		if slot == fixed {
			w.uint(uint64(i))
			return
		}
	}
	w.uint(uint64(len(slot) + len(fixedSlots)))
	w.b = append(w.b, slot...)
}

func (w *writer) timer(tm *timer) {
	w.time(tm.due)
	w.time(tm.t0)
	w.slot(tm.slot)
	w.b = binary.LittleEndian.AppendUint32(w.b, tm.rev)
	var bits uint64
	if tm.deferred {
		bits |= 1
	}
	if tm.held {
		bits |= 2
	}
	if tm.anchor != nil {
		bits |= 4
	}
	if tm.resumed {
		bits |= 8
	}
	w.uint(bits | uint64(len(tm.events))<<4)
	if tm.anchor != nil {
		w.uint(w.ref(tm.anchor))
	}
	for _, ev := range tm.events {
		w.uint(w.ref(ev))
	}
}

// reader takes a record apart. After a fault everything reads as zero and err is set.
type reader struct {
	b    []byte
	last int64
	err  error
}

func (r *reader) uint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.b, r.err = nil, errRecord
		return 0
	}
	r.b = r.b[n:]
	return v
}

// length is a count of things of at least size bytes each.
func (r *reader) length(size int) int {
	n := r.uint()
	if n > uint64(len(r.b)/size) {
		r.b, r.err = nil, errRecord
		return 0
	}
	return int(n)
}

func (r *reader) time() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.b, r.err = nil, errRecord
		return 0
	}
	r.b = r.b[n:]
	r.last += v
	return r.last
}

func (r *reader) optional() int64 {
	if r.byte() == 0 {
		return none
	}
	return r.time()
}

func (r *reader) byte() byte {
	b := r.bytes(1)
	if b == nil {
		return 0
	}
	return b[0]
}

func (r *reader) bytes(n int) []byte {
	if n > len(r.b) {
		r.b, r.err = nil, errRecord
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

// text aliases the record, whose bytes never change.
func (r *reader) text(n int) string {
	return aliased(r.bytes(n))
}

func aliased(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	return unsafe.String(&b[0], len(b))
}

func (r *reader) slot() string {
	n := r.uint()
	if n < uint64(len(fixedSlots)) {
		return fixedSlots[n]
	}
	n -= uint64(len(fixedSlots))
	if n > uint64(len(r.b)) {
		r.b, r.err = nil, errRecord
		return ""
	}
	return r.text(int(n))
}

// header reads what Load needs to know of a record.
func (r *reader) header() (flags byte, due int64) {
	if v := r.byte(); r.err == nil && v != recordVersion {
		r.err = newer(v)
		return 0, never
	}
	flags, due = r.byte(), never
	if flags&flagDue != 0 {
		due = r.time()
	}
	return flags, due
}
